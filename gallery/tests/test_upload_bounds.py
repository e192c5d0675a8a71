"""What an upload may cost us, whoever sends it."""

import base64
import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from gallery import library, storage
from gallery.files import UnusableFile, inspect
from gallery.models import Asset
from gallery.tests.samples import bomb, film, picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return User.objects.create_user(username="ada", email="ada@example.com")


def upload(owner: User, data: bytes) -> Asset:
    return library.upload_asset(owner=owner, file=io.BytesIO(data), name="x.png", now=timezone.now())


class TestPicture:
    def test_is_measured_without_its_pixels(self, tmp_path: Path) -> None:
        # Decoding it would fail: most of the pixels that its header promises are missing.
        (tmp_path / "large").write_bytes(bomb(side=7000))

        facts = inspect(tmp_path / "large")

        assert (facts.width, facts.height) == (7000, 7000)

    def test_is_looked_through_without_its_pixels(self, ada: User) -> None:
        assert upload(ada, bomb(side=7000)).width == 7000

    def test_with_text_behind_its_pixels_is_cleaned(self, ada: User) -> None:
        plain = picture()
        words = b"tEXtplace\0" + b"48.1 N 11.5 E"
        chunk = (len(words) - 4).to_bytes(4, "big") + words + zlib.crc32(words).to_bytes(4, "big")
        asset = upload(ada, plain[:-12] + chunk + plain[-12:])

        with storage.as_file(asset.storage_key) as path:
            assert b"48.1" not in path.read_bytes()


class TestFilm:
    def test_is_not_opened_as_an_upload(self, ada: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(library, "inspect", lambda _: pytest.fail("it was opened"))

        with pytest.raises(UnusableFile) as error:
            upload(ada, film(tmp_path / "film.mp4").read_bytes())

        assert error.value.code == "not_an_image"


class TestRoom:
    def test_is_bounded_in_all(self, ada: User, client: Client) -> None:
        User.objects.filter(pk=ada.pk).update(storage_bytes_limit=len(picture()) + 10)
        upload(ada, picture())
        client.force_login(ada)

        answer = client.post("/api/gallery/assets", {"file": SimpleUploadedFile("x.png", picture())})

        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (413, "quota_full")
        assert problem["errors"][0]["field"] == "file"
        assert problem["errors"][0]["message"].startswith("Your storage is full: ")
        assert Asset.objects.count() == len(stored_files()) == 1

    def test_is_as_large_as_the_limit_and_no_larger(self, ada: User) -> None:
        User.objects.filter(pk=ada.pk).update(storage_bytes_limit=2 * len(picture()))
        for _ in range(2):
            upload(ada, picture())

        with pytest.raises(UnusableFile):
            upload(ada, picture())

    def test_is_unbounded_without_a_limit(self, ada: User) -> None:
        User.objects.filter(pk=ada.pk).update(storage_bytes_limit=None)

        assert upload(ada, picture())

    def test_is_bounded_by_the_minute(self, ada: User, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
        monkeypatch.setattr(library, "UPLOADS_PER_MINUTE", 2)
        for _ in range(2):
            upload(ada, picture())
        client.force_login(ada)

        answer = client.post("/api/gallery/assets", {"file": SimpleUploadedFile("x.png", picture())})

        assert answer.status_code == 429


def imported(owner: User) -> Asset:
    source = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    return library.import_reference(owner=owner, source=source, now=timezone.now())


@pytest.mark.django_db(transaction=True)
class TestRivals:
    """Each has put its file into the storage before the first of them is entered."""

    @pytest.fixture
    def meeting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put, all_stored = storage.put, Barrier(4)

        def meet(**given: Any) -> None:
            put(**given)
            all_stored.wait(timeout=20)

        monkeypatch.setattr(storage, "put", meet)

    @pytest.mark.parametrize("bound", ["storage_bytes_limit", "UPLOADS_PER_MINUTE", "IMPORTS_PER_MINUTE"])
    def test_are_counted_one_after_the_other(
        self, ada: User, meeting: None, bound: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if bound == "storage_bytes_limit":
            User.objects.filter(pk=ada.pk).update(storage_bytes_limit=len(picture()))
        else:
            monkeypatch.setattr(library, bound, 1)

        def rival(_: int) -> bool:
            try:
                return bool(imported(ada) if bound == "IMPORTS_PER_MINUTE" else upload(ada, picture()))
            except (UnusableFile, library.TooManyImports):
                return False
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(rival, range(4))) == [False, False, False, True]

        assert len(stored_files()) == Asset.objects.count() == 1


def stored_files() -> list[Path]:
    return [path for path in (Path(settings.DATA_DIR) / "assets").rglob("*") if path.is_file()]


class TestParts:
    @pytest.mark.parametrize("name", ["tags", "title", "category", "referenceName"])
    def test_are_refused_as_files_where_text_belongs(self, ada: User, client: Client, name: str) -> None:
        client.force_login(ada)
        parts = {"file": SimpleUploadedFile("x.png", picture()), name: SimpleUploadedFile("t", b"x")}

        answer = client.post("/api/gallery/assets", parts)

        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, name)
        assert not Asset.objects.exists()

    @pytest.mark.parametrize("given", ["x", "gallery", "//evil.example", "javascript:alert(1)", "\\\\evil"])
    def test_name_no_page_but_ours(self, ada: User, client: Client, given: str) -> None:
        asset = upload(ada, picture())
        client.force_login(ada)

        answer = client.post(f"/gallery/{asset.pk}/favourite", {"next": given})

        assert answer["Location"] == f"/gallery/{asset.pk}/"
