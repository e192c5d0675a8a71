"""What comes of files that mean harm: none acts on our origin, none ends, fills or holds up whoever keeps it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.models import User
from gallery import child, derivatives, library, storage
from gallery.files import EXTENSIONS, UnusableFile, inspect
from gallery.leases import claim
from gallery.models import Asset
from gallery.tests.hostile import FILES
from gallery.tests.making import snapshot

pytestmark = pytest.mark.django_db

# A child may be killed by its clock: here that is set shorter, and a machine that does much else is waited for.
CHILD_SECONDS = 6
MOST_SECONDS = 4 * CHILD_SECONDS
MOST_MIB = 48


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "CHILD_SECONDS", CHILD_SECONDS)


def memory(name: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at most since it was asked for."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) / 1024


@contextmanager
def unharmed() -> Iterator[None]:
    """What happens inside takes neither long nor much memory of this process."""
    Path("/proc/self/clear_refs").write_text("5")
    before, started = memory("VmRSS"), time.monotonic()
    yield
    assert time.monotonic() - started < MOST_SECONDS
    assert memory("VmHWM") - before < MOST_MIB


def kept(owner: User, content: bytes, folder: Path) -> Asset:
    """The asset of a paid output, derived as often as it is tried."""
    (path := folder / "output").write_bytes(content)
    facts = inspect(path, keep_oversized=True)
    key = storage.new_key(owner_id=owner.pk, output_id=1, extension=facts.extension)
    storage.put(path=path, key=key, content_type=facts.content_type)
    asset = library.enter_asset(
        owner_id=owner.pk, facts=facts, storage_key=key, snapshot=snapshot(), now=timezone.now()
    )
    derivatives.derive(claim(Asset.objects.filter(pk=asset.pk))[0])
    return Asset.objects.get(pk=asset.pk)


def assert_passive(response: Any, content_type: str) -> None:
    """Nothing in the answer can act: not its type, and not what a browser may make of it."""
    assert response.status_code == 200
    assert response["Content-Type"] == content_type
    assert content_type in EXTENSIONS
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("name", FILES)
class TestHostileFile:
    def test_as_an_output_does_no_harm(self, owner: User, owners: Client, tmp_path: Path, name: str) -> None:
        make, content_type, can_be_shown = FILES[name]
        content = make()

        with unharmed():
            try:
                asset = kept(owner, content, tmp_path)
            except UnusableFile:
                asset = None

        assert (asset.content_type if asset else "") == content_type
        if asset:
            assert bool(asset.thumbnail_key) is can_be_shown
            assert_passive(owners.get(f"/assets/{asset.pk}/file"), content_type)
            saved = owners.get(f"/assets/{asset.pk}/file?download=1")
            assert saved["Content-Disposition"].startswith("attachment")
            for page in ("/gallery/", f"/gallery/{asset.pk}/"):
                shown = owners.get(page).content.decode()
                assert can_be_shown or f'"/assets/{asset.pk}/file"' not in shown

    def test_as_an_upload_does_no_harm(self, owner: User, owners: Client, name: str) -> None:
        # As much of it as comes in at once; what Django's test client holds of it counts too.
        content = FILES[name][0]()[: 8 << 20]

        with unharmed():
            answer = owners.post(
                "/api/gallery/assets", {"file": SimpleUploadedFile("x.png", content, content_type="image/png")}
            )

        assert answer.status_code in {201, 413, 415, 422}
        stored = [item.key for item in storage.listing()]
        assert stored == list(Asset.objects.values_list("storage_key", flat=True))
        if answer.status_code == 201:
            asset = Asset.objects.get()
            assert asset.content_type.startswith("image/")
            assert_passive(owners.get(f"/assets/{asset.pk}/file"), asset.content_type)
