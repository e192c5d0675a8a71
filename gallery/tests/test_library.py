"""Entering, uploading, describing and trashing assets."""

import base64
import io
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import responses
from PIL import Image

from accounts.models import User
from gallery import descriptions, library, storage, trash
from gallery.fetcher import FetchError
from gallery.files import FileFacts, UnusableFile
from gallery.models import Asset, Tag
from gallery.storage import StorageError
from gallery.tests import samples
from gallery.tests.making import NOW, make_asset, make_film, snapshot

FACTS = FileFacts("image", "image/png", "png", 10, "0" * 64, 64, 36, None)


def upload(owner: User, content: bytes, **details: Any) -> Asset:
    return library.upload_asset(owner=owner, file=io.BytesIO(content), name="lake.png", now=NOW, **details)


def stored_files(folder: Path) -> int:
    return len([path for path in (folder / "assets").rglob("*") if path.is_file()])


class TestEnterAsset:
    def test_writes_the_snapshot_and_asks_for_derivatives(self, owner: User) -> None:
        source = make_asset(owner=owner)

        asset = library.enter_asset(
            owner_id=owner.pk, facts=FACTS, storage_key="k", snapshot=snapshot(made_from=[source.pk]), now=NOW
        )

        assert (asset.origin, asset.prompt, asset.cost_micros) == ("generated", "A still lake at blue hour", 39_000)
        assert asset.due_at == NOW
        assert list(asset.made_from.all()) == [source]
        assert list(source.made_into.all()) == [asset]

    def test_returns_the_first_when_an_output_comes_twice(self, owner: User) -> None:
        same = snapshot()

        first = library.enter_asset(owner_id=owner.pk, facts=FACTS, storage_key="a", snapshot=same, now=NOW)
        second = library.enter_asset(owner_id=owner.pk, facts=FACTS, storage_key="b", snapshot=same, now=NOW)

        assert second == first
        assert second.storage_key == "a"
        assert Asset.objects.count() == 1

    def test_does_not_descend_from_what_another_owns(self, owner: User, stranger: User) -> None:
        theirs = make_asset(owner=stranger)

        asset = library.enter_asset(
            owner_id=owner.pk, facts=FACTS, storage_key="k", snapshot=snapshot(made_from=[theirs.pk]), now=NOW
        )

        assert not asset.made_from.exists()


class TestUploadAsset:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
    def test_keeps_the_very_bytes_of_a_picture_without_metadata(self, owner: User, format: str) -> None:
        content = samples.picture(format)

        asset = upload(owner, content)

        with storage.as_file(asset.storage_key) as path:
            assert path.read_bytes() == content
        assert (asset.origin, asset.title, asset.width) == ("upload", "lake", 64)
        assert asset.storage_key.startswith(f"{owner.pk}/upload/")

    def test_takes_the_place_out_and_stands_the_picture_up(self, owner: User) -> None:
        asset = upload(owner, samples.photograph(size=(64, 36), orientation=6))

        with storage.as_file(asset.storage_key) as path, Image.open(path) as picture:
            assert picture.size == (36, 64)
            assert not picture.getexif()
            assert b"GPS" not in path.read_bytes()
            assert "exif" not in picture.info
        assert (asset.width, asset.height) == (36, 64)

    @pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
    def test_takes_metadata_out_of_every_format(self, owner: User, format: str) -> None:
        exif = Image.Exif()
        exif[0x010E] = "taken at home"

        asset = upload(owner, samples.picture(format, exif=exif, frames=3 if format != "PNG" else 1))

        with storage.as_file(asset.storage_key) as path:
            assert b"taken at home" not in path.read_bytes()
            with Image.open(path) as picture:
                assert getattr(picture, "n_frames", 1) == (3 if format != "PNG" else 1)

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "unknown_type"),
            (b"", "empty"),
            (samples.bomb(), "too_many_pixels"),
            (b"\x89PNG\r\n\x1a\n" + bytes(25 * 1024 * 1024), "too_large"),
        ],
    )
    def test_refuses_what_is_no_picture_and_keeps_nothing(
        self, owner: User, tmp_path: Path, content: bytes, code: str
    ) -> None:
        with pytest.raises(UnusableFile) as refused:
            upload(owner, content)

        assert refused.value.code == code
        assert Asset.objects.count() == stored_files(tmp_path) == 0

    def test_refuses_films(self, owner: User, tmp_path: Path) -> None:
        with pytest.raises(UnusableFile) as refused:
            upload(owner, samples.film(tmp_path / "film.mp4").read_bytes())

        assert refused.value.code == "not_an_image"

    @pytest.mark.parametrize("name", ["../../etc/passwd", "a/b\\c.png", "x\r\ny.png", "ä" * 300 + ".png", ""])
    def test_uses_names_for_the_title_only(self, owner: User, name: str) -> None:
        asset = library.upload_asset(owner=owner, file=io.BytesIO(samples.picture()), name=name, now=NOW)

        assert ".." not in asset.storage_key
        assert asset.storage_key.isascii()
        assert "\n" not in asset.title and len(asset.title) <= 200

    def test_keeps_nothing_when_the_reference_name_is_taken(self, owner: User, tmp_path: Path) -> None:
        upload(owner, samples.picture(), reference_name="@lake")

        with pytest.raises(descriptions.InvalidDetails):
            upload(owner, samples.picture(), reference_name="lake")

        assert Asset.objects.count() == stored_files(tmp_path) == 1


class TestImportReference:
    def test_keeps_a_data_uri(self, owner: User) -> None:
        uri = "data:image/png;base64," + base64.b64encode(samples.picture()).decode()

        assert library.import_reference(owner=owner, source=uri, now=NOW).origin == Asset.Origin.UPLOAD

    @responses.activate
    def test_fetches_an_https_address(self, owner: User) -> None:
        responses.get("https://example.com/lake", body=samples.picture("JPEG"), content_type="text/html")

        asset = library.import_reference(owner=owner, source="https://example.com/lake", now=NOW)

        assert asset.content_type == "image/jpeg"

    @responses.activate
    def test_refuses_what_is_no_picture(self, owner: User) -> None:
        responses.get("https://example.com/lake", body=b"<html>", content_type="image/png")

        with pytest.raises(UnusableFile):
            library.import_reference(owner=owner, source="https://example.com/lake", now=NOW)

    @pytest.mark.parametrize(
        "source", ["http://127.0.0.1/", "https://169.254.169.254/", "data:x", "file:///etc/passwd"]
    )
    def test_reaches_for_nothing_inside(self, owner: User, source: str) -> None:
        with pytest.raises(FetchError):
            library.import_reference(owner=owner, source=source, now=NOW)

    def test_takes_ten_a_minute(self, owner: User, stranger: User) -> None:
        for _ in range(library.IMPORTS_PER_MINUTE):
            make_asset(owner=owner, generated=False)

        with pytest.raises(library.TooManyImports):
            library.import_reference(owner=owner, source="data:,x", now=NOW + timedelta(seconds=59))
        for person, later in ((owner, 61), (stranger, 59)):
            with pytest.raises(UnusableFile):
                library.import_reference(owner=person, source="data:,x", now=NOW + timedelta(seconds=later))


class TestUpdateAsset:
    def test_writes_what_is_said(self, owner: User) -> None:
        asset = make_asset(owner=owner)

        descriptions.update_asset(
            asset=asset,
            changes={
                "title": "  The   lake ",
                "tags": ["blue hour", "lake", "lake", " "],
                "category": "places",
                "favourite": True,
                "reference_name": "@lake-blue",
            },
            now=NOW,
        )

        asset.refresh_from_db()
        assert (asset.title, asset.category, asset.favourite) == ("The lake", "places", True)
        assert asset.reference_name == "lake-blue"
        assert sorted(tag.name for tag in asset.tags.all()) == ["blue hour", "lake"]

    def test_shares_tags_between_assets_of_one_owner_only(self, owner: User, stranger: User) -> None:
        for person in (owner, owner, stranger):
            descriptions.update_asset(asset=make_asset(owner=person), changes={"tags": ["lake"]}, now=NOW)

        assert Tag.objects.count() == 2

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("title", "x" * 201),
            ("title", 7),
            ("title", "a\x00b"),
            ("tags", "lake"),
            ("tags", ["x" * 61]),
            ("tags", [1]),
            ("tags", [str(number) for number in range(31)]),
            ("category", "none such"),
            ("category", ["places"]),
            ("category", None),
            ("favourite", "yes"),
            ("favourite", None),
            ("reference_name", "two words"),
            ("reference_name", "x" * 41),
            ("reference_name", "<b>"),
        ],
    )
    def test_refuses_by_field_and_changes_nothing(self, owner: User, field: str, value: Any) -> None:
        asset = make_asset(owner=owner)

        with pytest.raises(descriptions.InvalidDetails) as refused:
            descriptions.update_asset(
                asset=asset, changes={field: value, **({} if field == "title" else {"title": "new"})}, now=NOW
            )

        assert list(refused.value.errors) == [field]
        asset.refresh_from_db()
        assert asset.title == ""

    def test_leaves_a_reference_name_to_its_first_holder(self, owner: User, stranger: User) -> None:
        descriptions.update_asset(asset=make_asset(owner=owner), changes={"reference_name": "lake"}, now=NOW)
        descriptions.update_asset(asset=make_asset(owner=stranger), changes={"reference_name": "lake"}, now=NOW)

        with pytest.raises(descriptions.InvalidDetails) as refused:
            descriptions.update_asset(asset=make_asset(owner=owner), changes={"reference_name": "lake"}, now=NOW)

        assert "reference_name" in refused.value.errors


class TestTrash:
    def test_puts_aside_and_restores(self, owner: User) -> None:
        asset = make_film(owner=owner, prediction_id=uuid4())

        trash.trash_asset(asset=asset, now=NOW)
        assert not Asset.objects.for_owner(owner).kept().exists()

        trash.restore_asset(asset=asset)
        assert Asset.objects.for_owner(owner).kept().exists()


class TestStorageFaults:
    def test_leave_no_asset(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        def put(**_: Any) -> None:
            raise StorageError("down", status=503)

        monkeypatch.setattr(storage, "put", put)

        with pytest.raises(StorageError):
            upload(owner, samples.picture())

        assert not Asset.objects.exists()
