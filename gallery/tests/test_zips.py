"""Many originals as one ZIP: whole, well named, owned, bounded in memory, honest about what is not there."""

import io
import json
import os
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import AsyncClient, Client

from accounts.models import User
from gallery import storage, zips
from gallery.models import Asset, Collection
from gallery.naming import attachment, file_name, unique
from gallery.organising import Change, organise_assets
from gallery.tests.making import NOW, make_asset, make_film
from gallery.trash import trash_asset


def opened(assets: list[Asset]) -> zipfile.ZipFile:
    """The ZIP of these, whole and sound."""
    made = zipfile.ZipFile(io.BytesIO(b"".join(zips.archive(assets, now=NOW))))
    assert made.testzip() is None
    return made


def sent(response: Any) -> zipfile.ZipFile:
    """The ZIP in an answer."""
    assert response.status_code == 200, response
    made = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
    assert made.testzip() is None
    return made


class TestNames:
    @pytest.mark.parametrize(
        ("title", "name"),
        [
            ("../../etc/passwd", "etc-passwd-461.png"),
            ("C:\\con.exe", "C-con-exe-461.png"),
            ("a\r\nb\x00c\u202egnp", "a-b-c-gnp-461.png"),
            ("...", "A-still-lake-at-blue-hour-461.png"),
            ("Älv i dimma 霧", "Älv-i-dimma-霧-461.png"),
            ("हिन्दी झील", "हिन्दी-झील-461.png"),
            ("🎬", "A-still-lake-at-blue-hour-461.png"),
            ("x" * 200, "x" * 50 + "-461.png"),
        ],
    )
    def test_are_words_and_a_number(self, owner: User, title: str, name: str) -> None:
        asset = make_asset(owner=owner)
        asset.title = title

        assert file_name(asset) == name

    def test_are_told_apart_also_where_case_does_not_count(self) -> None:
        assert unique("Lake-1.png", {"lake-1.png", "lake-1-2.png"}) == "Lake-1-3.png"

    @pytest.mark.parametrize("name", ['a"b.png', "a\\b.png", "a\r\nX: y.png", "霧.png", "../x.png", "100%41.png"])
    def test_break_no_header(self, name: str) -> None:
        header = attachment(name)

        assert header.isascii() and header.isprintable()
        assert header.count('"') == 2 and "\\" not in header and "/" not in header


class TestArchive:
    def test_holds_each_original_and_how_it_was_made(self, owner: User) -> None:
        picture, film = make_asset(owner=owner), make_film(owner=owner, frame_number=7, prompt="Waves 霧")
        organise_assets(owner=owner, ids=[picture.pk], change=Change(add_tags=["lake"]), now=NOW)

        made = opened([picture, film])

        assert made.namelist() == [
            "A-still-lake-at-blue-hour-461.png",
            "A-still-lake-at-blue-hour-461.png.json",
            "Waves-霧-7.mp4",
            "Waves-霧-7.mp4.json",
        ]
        with storage.as_file(film.storage_key) as path:
            assert made.read("Waves-霧-7.mp4") == path.read_bytes()
        told = json.loads(made.read("A-still-lake-at-blue-hour-461.png.json"))
        assert told["prompt"] == "A still lake at blue hour" and told["settings"] == {"aspect_ratio": "16:9"}
        assert (told["seed"], told["tags"], told["createdAt"]) == (829114203, ["lake"], "2026-07-01T12:00:00+00:00")
        assert {entry.compress_type for entry in made.infolist()} == {zipfile.ZIP_STORED}

    def test_names_each_once(self, owner: User) -> None:
        assets = [make_asset(owner=owner) for _ in range(3)]

        assert len(set(opened(assets).namelist())) == 6

    def test_is_unpacked_by_the_systems_own(self, owner: User, tmp_path: Path) -> None:
        path = tmp_path / "made.zip"
        path.write_bytes(b"".join(zips.archive([make_asset(owner=owner)], now=NOW)))

        subprocess.run([sys.executable, "-m", "zipfile", "-e", path, tmp_path / "out"], check=True)

        assert min(path.name for path in (tmp_path / "out").iterdir()) == "A-still-lake-at-blue-hour-461.png"

    @pytest.mark.parametrize("where", ["local", "in_s3"])
    def test_lists_what_is_not_there(self, owner: User, where: str, request: pytest.FixtureRequest) -> None:
        request.getfixturevalue(where)
        there, gone = make_asset(owner=owner), make_asset(owner=owner, frame_number=462)
        storage.delete(gone.storage_key)

        made = opened([there, gone])

        assert "A-still-lake-at-blue-hour-461.png" in made.namelist()
        assert "A-still-lake-at-blue-hour-462.png" not in made.namelist()
        assert "A-still-lake-at-blue-hour-462.png: not in the store" in made.read("failed.txt").decode()

    def test_lists_what_breaks_off(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(key: str) -> Any:
            yield b"half"
            raise storage.StorageError("the store went away")

        monkeypatch.setattr(storage, "read_chunks", broken)

        made = opened([make_asset(owner=owner)])

        assert "461.png: could not be read" in made.read("failed.txt").decode()

    @pytest.mark.parametrize("where", ["local", "in_s3"])
    def test_holds_a_chunk_at_a_time(
        self, owner: User, where: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        request.getfixturevalue(where)
        asset = make_film(owner=owner)
        large = tmp_path / "large"
        with large.open("wb") as file:
            for _ in range(200):
                file.write(os.urandom(1 << 20))
        asset.storage_key, asset.size_bytes = storage.new_key(owner_id=1, output_id="x", extension="mp4"), 200 << 20
        storage.put(path=large, key=asset.storage_key, content_type="video/mp4")

        tracemalloc.start()
        size = sum(map(len, zips.archive([asset], now=NOW)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert size > 200 << 20
        assert peak < 8 << 20


class TestDownload:
    def test_gives_what_is_selected_to_its_owner_alone(
        self, owner: User, owners: Client, strangers: Client, client: Client
    ) -> None:
        wanted, _ = make_asset(owner=owner), make_asset(owner=owner, frame_number=462)

        made = sent(owners.post("/gallery/download", {"asset": [str(wanted.pk)]}))

        assert len(made.namelist()) == 2
        assert strangers.post("/gallery/download", {"asset": [str(wanted.pk)]}).status_code == 302
        assert client.post("/gallery/download", {"asset": [str(wanted.pk)]})["Location"].startswith("/accounts/login")

    def test_gives_a_collection_to_its_owner_alone(
        self, owner: User, owners: Client, strangers: Client, client: Client
    ) -> None:
        assets = [make_asset(owner=owner, frame_number=number) for number in (1, 2)]
        organise_assets(owner=owner, ids=[one.pk for one in assets], change=Change(collect="Nattfärja"), now=NOW)
        trash_asset(asset=assets[0], now=NOW)
        address = f"/gallery/collections/{Collection.objects.get().pk}/download"

        response = owners.get(address)

        assert response["Content-Disposition"].startswith('attachment; filename="Nattfarja-')
        assert response["Cache-Control"] == "private, no-store"
        assert sent(response).namelist() == [f"A-still-lake-at-blue-hour-2.png{end}" for end in ("", ".json")]
        assert strangers.get(address).status_code == 404
        assert client.get(address).status_code == 302

    @pytest.mark.parametrize("given", [[], ["nonsense"]])
    def test_says_that_nothing_is_selected(self, owners: Client, given: list[str]) -> None:
        response = owners.post("/gallery/download", {"asset": given, "next": "/gallery/?select=1"}, follow=True)

        assert "Select some frames first." in response.content.decode()

    def test_says_how_many_are_too_many(self, owner: User, owners: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gallery.web.downloads.MOST_IN_ZIP", 2)
        ids = [str(make_asset(owner=owner).pk) for _ in range(3)]

        response = owners.post("/gallery/download", {"asset": ids}, follow=True)

        assert "At most 2 frames" in response.content.decode()

    @pytest.mark.django_db(transaction=True)
    async def test_streams_under_asgi_without_a_connection(self, async_client: AsyncClient) -> None:
        owner = await sync_to_async(User.objects.create_user)("o", "o@example.com")
        asset = await sync_to_async(make_asset)(owner=owner)
        await async_client.aforce_login(owner)

        response: Any = await async_client.post("/gallery/download", {"asset": [str(asset.pk)]})

        assert isinstance(response.streaming_content, AsyncIterator)
        assert await sync_to_async(lambda: connection.connection)() is None
        pieces = [piece async for piece in response.streaming_content]
        assert len(pieces) > 1
        assert len(zipfile.ZipFile(io.BytesIO(b"".join(pieces))).namelist()) == 2
