"""Commits that others make to a SQLite file, with and without the system's word on what is written."""

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from generation.live import data_version
from generation.live.data_version import DataVersion, Writes
from generation.live.tests.sockets import PATIENCE_SECONDS

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="no other system tells")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "palette.sqlite3"


@pytest.fixture(params=["wal", "delete"])
def commit(path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Writes once more, in another connection."""
    with sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=PATIENCE_SECONDS) as other:
        other.execute(f"PRAGMA journal_mode = {request.param}")
        other.execute("CREATE TABLE works (id)")

        def commit() -> None:
            other.execute("INSERT INTO works VALUES (1)")

        yield commit
    other.close()


@pytest.fixture
def version(path: Path, commit: Callable[[], None]) -> Iterator[DataVersion]:
    version = DataVersion(path)
    yield version
    version.close()


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that says nothing of files that are written."""
    monkeypatch.setattr(data_version, "writes_at", lambda path: None)


@pytest.fixture
def told_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks before something was written."""
    for name in ("EAGER_SECONDS", "QUIET_SECONDS"):
        monkeypatch.setattr(data_version, name, 4 * PATIENCE_SECONDS)


def soon(commit: Callable[[], None]) -> None:
    threading.Timer(0.2, commit).start()


@ON_LINUX
@pytest.mark.usefixtures("told_only")
class TestWhereTheSystemTells:
    def test_is_woken_by_what_is_written(self, version: DataVersion, commit: Callable[[], None]) -> None:
        began = time.monotonic()
        soon(commit)

        assert version.wait(2 * PATIENCE_SECONDS)

        assert time.monotonic() - began < PATIENCE_SECONDS

    async def test_wakes_an_event_loop(self, version: DataVersion, commit: Callable[[], None]) -> None:
        began = time.monotonic()
        soon(commit)

        assert await version.wait_async(2 * PATIENCE_SECONDS)

        assert time.monotonic() - began < PATIENCE_SECONDS

    async def test_can_be_canceled_and_asked_again(self, version: DataVersion, commit: Callable[[], None]) -> None:
        waiting = asyncio.create_task(version.wait_async(PATIENCE_SECONDS))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

        commit()

        assert await version.wait_async(PATIENCE_SECONDS)

    def test_looks_on_while_a_transaction_is_written_and_not_committed(
        self, version: DataVersion, path: Path, commit: Callable[[], None]
    ) -> None:
        """What passes its cache is written long before it is committed."""
        with sqlite3.connect(path, isolation_level=None, check_same_thread=False) as other:
            other.execute("PRAGMA cache_size = 10")
            other.execute("BEGIN IMMEDIATE")
            other.executemany("INSERT INTO works VALUES (?)", [("x" * 1000,)] * 500)
            assert not version.wait(0.1)

            soon(other.commit)

            assert version.wait(PATIENCE_SECONDS)
        other.close()

    def test_is_told_of_its_own_file_only(self, path: Path, commit: Callable[[], None]) -> None:
        writes = Writes(path)
        (path.parent / "another").write_text("a note")
        assert not writes.any()

        commit()

        assert writes.any()
        assert not writes.any()
        writes.close()

    def test_writing_without_end_is_not_looked_at_without_end(
        self, version: DataVersion, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A copy that somebody makes beside the database."""
        monkeypatch.setattr(data_version, "QUIET_SECONDS", 0.025)
        looks, read = [0], version._read

        def counted() -> int:
            looks[0] += 1
            return read()

        monkeypatch.setattr(version, "_read", counted)
        over = threading.Event()

        def copy() -> None:
            with path.with_name("palette.sqlite3.copy").open("wb", buffering=0) as file:
                while not over.wait(0.0001):
                    file.write(b"a page")

        copying = threading.Thread(target=copy)
        copying.start()
        version.wait(1)
        over.set()
        copying.join()

        # Of a second with a look in each millisecond.
        assert looks[0] < 400

    def test_a_user_who_may_have_no_more_of_these_looks_by_himself(
        self, path: Path, commit: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import inotify_simple

        def refused(*arguments: object, **named: object) -> None:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(inotify_simple, "INotify", refused)

        assert data_version.writes_at(path) is None

    def test_so_does_one_who_has_not_installed_it(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "inotify_simple", None)

        assert data_version.writes_at(path) is None


@pytest.mark.usefixtures("untold")
class TestWhereItDoesNot:
    def test_looks_by_itself(self, version: DataVersion, commit: Callable[[], None]) -> None:
        soon(commit)

        assert version.wait(PATIENCE_SECONDS)

    async def test_looks_by_itself_in_an_event_loop(self, version: DataVersion, commit: Callable[[], None]) -> None:
        soon(commit)

        assert await version.wait_async(PATIENCE_SECONDS)


class TestEither:
    def test_says_no_when_nothing_happens(self, version: DataVersion) -> None:
        assert not version.wait(0.1)

    def test_takes_many_commits_for_one(self, version: DataVersion, commit: Callable[[], None]) -> None:
        for _ in range(5):
            commit()

        assert version.wait(PATIENCE_SECONDS)
        assert not version.wait(0.1)
