"""Files that were just stored are read on this host without the store."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from gallery import nearby, storage
from gallery.storage import StorageError
from gallery.tests.s3server import S3Server

KEY = "7/0/made.png"


@pytest.fixture(autouse=True)
def own_folder(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def written(folder: Path, size: int = 5) -> Path:
    path = folder / uuid4().hex
    path.write_bytes(b"x" * size)
    return path


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "near").iterdir()}


class TestKept:
    def test_whoever_takes_it_has_it_alone(self, tmp_path: Path) -> None:
        nearby.keep(written(tmp_path), KEY)

        assert nearby.take(KEY, tmp_path / "mine")
        assert not nearby.take(KEY, tmp_path / "yours")
        assert (tmp_path / "mine").read_bytes() == b"xxxxx"
        assert not (tmp_path / "yours").exists()

    def test_makes_room_by_the_oldest(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nearby, "MOST_BYTES", 10)
        for number, key in enumerate("abc"):
            path = written(tmp_path)
            written_at = time.time() - 10 + number
            os.utime(path, (written_at, written_at))
            nearby.keep(path, key)
        nearby.keep(written(tmp_path, size=11), "too large")

        assert kept(tmp_path) == {"b", "c"}

    def test_is_removed_with_the_next_where_nobody_came_for_it(self, tmp_path: Path) -> None:
        path, past = written(tmp_path), time.time() - nearby.KEPT_SECONDS - 1
        os.utime(path, (past, past))
        nearby.keep(path, "old")
        nearby.keep(written(tmp_path), "new")

        assert kept(tmp_path) == {"new"}
        assert (tmp_path / "near").stat().st_mode & 0o777 == 0o700

    def test_is_swept_where_nobody_comes_for_it(self, tmp_path: Path) -> None:
        nearby.sweep()
        nearby.keep(written(tmp_path), "new")
        path, past = written(tmp_path), time.time() - nearby.KEPT_SECONDS - 1
        os.utime(path, (past, past))
        nearby.keep(path, "old")

        nearby.sweep()

        assert kept(tmp_path) == {"new"}

    def test_is_left_out_where_it_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "near").write_text("no folder")
        path = written(tmp_path)

        nearby.keep(path, KEY)
        nearby.drop(KEY)
        nearby.sweep()

        assert path.exists()
        assert not nearby.take(KEY, tmp_path / "mine")


@pytest.mark.services
class TestBesideTheStore:
    @pytest.fixture
    def asked(self, in_s3: S3Server) -> Iterator[list[str]]:
        asked: list[str] = []

        def note(model: Any, **_: Any) -> None:
            asked.append(model.name)

        events = storage._client().meta.events
        events.register("before-call.s3", note)
        yield asked
        events.unregister("before-call.s3", note)

    def test_is_read_instead_of_it_once(self, asked: list[str], tmp_path: Path) -> None:
        path, key = written(tmp_path), storage.new_key(owner_id=7, output_id=uuid4(), extension="png")
        storage.put(path=path, key=key, content_type="image/png")
        storage.keep_near(path, key)

        for _ in range(2):
            with storage.as_file(key) as found:
                assert found.read_bytes() == b"xxxxx"

        assert asked == ["PutObject", "GetObject"]
        assert not kept(tmp_path)

    def test_is_gone_with_what_is_deleted(self, asked: list[str], tmp_path: Path) -> None:
        path, key = written(tmp_path), storage.new_key(owner_id=7, output_id=uuid4(), extension="png")
        storage.put(path=path, key=key, content_type="image/png")
        storage.keep_near(path, key)

        storage.delete(key)

        with pytest.raises(StorageError), storage.as_file(key):
            pass
        assert asked == ["PutObject", "DeleteObject", "GetObject"]

    def test_is_not_needed_where_files_are_here(self, tmp_path: Path) -> None:
        storage.keep_near(path := written(tmp_path), KEY)

        assert path.exists()
