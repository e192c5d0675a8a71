"""Thumbnails, posters and colours, and the child that may be lost."""

import io
import resource
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from PIL import Image

from accounts.models import User
from gallery import child, derivatives, storage
from gallery.leases import claim
from gallery.models import Asset
from gallery.storage import StorageError
from gallery.tests import samples
from gallery.tests.making import make_asset, make_film
from gallery.tests.s3server import S3Server


def derive_due() -> Asset:
    """Lease the one asset that is due, derive it, and read it again."""
    Asset.objects.exclude(due_at=None).update(due_at=timezone.now() - timedelta(seconds=1))
    [leased] = claim(Asset.objects.all())
    derivatives.derive(leased)
    return Asset.objects.get(pk=leased.pk)


def opened(key: str) -> Image.Image:
    with storage.as_file(key) as path:
        return Image.open(io.BytesIO(path.read_bytes()))


class TestDerive:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
    def test_makes_a_thumbnail_and_colours(self, owner: User, format: str) -> None:
        make_asset(owner=owner, content=samples.picture(format, size=(1024, 576)))

        asset = derive_due()

        assert (asset.due_at, asset.lease_token) == (None, None)
        thumbnail = opened(asset.thumbnail_key)
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (512, 288))
        assert len(bytes.fromhex(asset.placeholder)) == 9
        assert bytes.fromhex(asset.placeholder)[1] == pytest.approx(0x6C, abs=6)
        assert asset.poster_key == ""

    def test_never_enlarges(self, owner: User) -> None:
        make_asset(owner=owner, content=samples.picture(size=(64, 36)))

        assert opened(derive_due().thumbnail_key).size == (64, 36)

    @pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16", "1"])
    def test_shows_every_way_of_colour(self, owner: User, mode: str) -> None:
        buffer = io.BytesIO()
        Image.new(mode, (600, 300)).save(buffer, "PNG")
        make_asset(owner=owner, content=buffer.getvalue())

        assert opened(derive_due().thumbnail_key).size == (512, 256)

    def test_takes_the_first_frame_with_something_to_see_as_poster(self, owner: User) -> None:
        make_film(owner=owner)

        asset = derive_due()

        poster = opened(asset.poster_key)
        assert (poster.format, poster.size) == ("WEBP", (320, 180))
        right = poster.convert("RGB").getpixel((310, 90))
        assert isinstance(right, tuple) and right[0] > 180
        assert opened(asset.thumbnail_key).size == (320, 180)
        assert len(asset.placeholder) == 18

    def test_works_at_an_s3_store(self, owner: User, in_s3: S3Server) -> None:
        make_asset(owner=owner)

        assert opened(derive_due().thumbnail_key).format == "WEBP"

    def test_gives_up_after_three_tries(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(derivatives, "run_child", lambda *_: None)
        make_asset(owner=owner)

        for _ in range(2):
            assert derive_due().due_at is not None
        asset = derive_due()

        assert (asset.due_at, asset.thumbnail_key, asset.quarantined_at) == (None, "", None)

    def test_waits_for_a_store_that_is_down(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        def put(**_: Any) -> None:
            raise StorageError("down", status=503)

        make_asset(owner=owner)
        monkeypatch.setattr(storage, "put", put)

        for _ in range(6):
            assert derive_due().due_at is not None

        monkeypatch.undo()
        assert derive_due().due_at is None

    def test_gives_up_on_a_file_that_is_not_there(self, owner: User) -> None:
        asset = make_asset(owner=owner)
        storage.delete(asset.storage_key)

        for _ in range(2):
            derive_due()

        assert derive_due().due_at is None

    def test_leaves_nothing_behind_when_the_lease_was_lost(self, owner: User, tmp_path: Path) -> None:
        asset = make_asset(owner=owner)
        [leased] = claim(Asset.objects.all())
        Asset.objects.filter(pk=asset.pk).update(lease_token=None, lease_until=None)

        derivatives.derive(leased)

        asset.refresh_from_db()
        assert asset.thumbnail_key == ""
        assert len([path for path in (tmp_path / "assets").rglob("*") if path.is_file()]) == 1


class TestChild:
    """Hostile files end the child, never its parent."""

    @pytest.mark.parametrize(
        "content",
        [
            samples.bomb(side=12_000),
            samples.bomb(side=65_000),
            samples.picture("JPEG", size=(640, 480))[:500],
            b"not a picture",
            b"",
        ],
    )
    def test_ends_soon_on_nasty_pictures(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "nasty").write_bytes(content)
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        found = child.run_child("image", str(tmp_path / "nasty"), str(tmp_path / "thumbnail"))

        assert found is None
        assert time.monotonic() - started < 10
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024

    def test_is_killed_when_it_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hanging = tmp_path / "hanging.py"
        hanging.write_text("import time\ntime.sleep(60)\n")
        monkeypatch.setattr(child, "CHILD", hanging)

        assert child.run_child("image", seconds=0.3) is None

    def test_may_crash(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        crashing = tmp_path / "crashing.py"
        crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
        monkeypatch.setattr(child, "CHILD", crashing)

        assert child.run_child("image") is None

    def test_knows_no_secrets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        curious = tmp_path / "curious.py"
        curious.write_text("import json, os\nprint(json.dumps(dict(os.environ)))\n")
        monkeypatch.setattr(child, "CHILD", curious)
        monkeypatch.setenv("SECRET_KEY", "canary")

        assert "canary" not in str(child.run_child("image"))
