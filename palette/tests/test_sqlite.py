"""SQLite's one writer is waited for in short steps, and connections stay open for whoever comes next."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from palette.sqlite import base, idle
from palette.sqlite.base import DatabaseWrapper

pytestmark = pytest.mark.django_db
TIMEOUT = 0.2


@contextmanager
def opened(path: Path, timeout: float = TIMEOUT) -> Iterator[Any]:
    settings = connection.settings_dict | {"NAME": str(path), "ENGINE": "palette.sqlite"}
    settings["OPTIONS"] = {
        "timeout": timeout,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL",
    }
    made = DatabaseWrapper(settings, alias="apart")
    made.inc_thread_sharing()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "apart.sqlite3"
    idle.close_all()


@pytest.fixture
def one(path: Path) -> Iterator[Any]:
    with opened(path) as made:
        made.cursor().execute("CREATE TABLE words (word TEXT)")
        yield made


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's transaction."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


@contextmanager
def transaction_of(database: Any) -> Iterator[None]:
    database.cursor().execute("BEGIN IMMEDIATE")
    yield
    database.commit()


def words(database: Any) -> list[str]:
    with database.cursor() as cursor:
        return [word for (word,) in cursor.execute("SELECT word FROM words ORDER BY word").fetchall()]


class TestWaiting:
    def test_writes_when_the_other_is_through(self, path: Path) -> None:
        with opened(path, timeout=30) as one:
            one.cursor().execute("CREATE TABLE words (word TEXT)")
            with writing(path) as other:
                done = threading.Thread(target=one.cursor().execute, args=("INSERT INTO words VALUES (%s)", ["late"]))
                done.start()
                done.join(0.05)
                assert done.is_alive()
                other.execute("COMMIT")
                done.join(30)

            assert words(one) == ["late"]

    @pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "INSERT INTO words VALUES ('never')"])
    def test_gives_up_after_its_time(self, one: Any, path: Path, statement: str) -> None:
        with writing(path), pytest.raises(OperationalError, match="locked"):
            one.cursor().execute(statement)

        assert words(one) == []

    def test_who_is_in_a_transaction_does_not_stand_in_line(self, path: Path) -> None:
        with opened(path, timeout=30) as one, base._line:
            one.cursor().execute("CREATE TABLE words (word TEXT)")
            one.cursor().execute("PRAGMA journal_mode=DELETE")
            reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM words").fetchall()
            leaving = threading.Timer(0.2, reader.close)
            leaving.start()
            with transaction_of(one):
                one.cursor().execute("INSERT INTO words VALUES ('kept')")

            assert words(one) == ["kept"]
            leaving.join()

    def test_a_child_stands_in_a_line_of_its_own(self) -> None:
        with base._line:
            if (child := os.fork()) == 0:
                os._exit(1 if base._line.locked() else 0)
            assert os.waitpid(child, 0)[1] == 0

    def test_an_error_of_pythons_own_is_told_as_it_is(self) -> None:
        def fail() -> None:
            raise sqlite3.OperationalError("Error creating function")

        with pytest.raises(sqlite3.OperationalError, match="creating"):
            base.patiently(fail, 1)

    def test_other_faults_are_not_waited_for(self, path: Path) -> None:
        with opened(path, timeout=3600) as one, pytest.raises(OperationalError, match="no such table"):
            one.cursor().execute("INSERT INTO nowhere VALUES (1)")

    def test_many_at_a_time_outside_of_a_transaction(self, one: Any) -> None:
        one.cursor().executemany("INSERT INTO words VALUES (%s)", [["a"], ["b"]])

        assert words(one) == ["a", "b"]

    def test_a_hundred_threads_all_come_to_write(self, path: Path, one: Any) -> None:
        def write(number: int) -> None:
            with opened(path, timeout=60) as own, own.cursor() as cursor:
                cursor.execute("INSERT INTO words VALUES (%s)", [f"{number:03}"])

        threads = [threading.Thread(target=write, args=(number,)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert words(one) == [f"{number:03}" for number in range(100)]


class TestStayingOpen:
    def test_the_next_one_gets_what_was_open(self, one: Any, path: Path) -> None:
        first = one.connection
        one.close()

        with opened(path) as other:
            other.ensure_connection()
            assert other.connection is first

    def test_a_read_that_is_not_over_shows_nothing_old_to_the_next(self, one: Any, path: Path) -> None:
        one.cursor().executemany("INSERT INTO words VALUES (%s)", [["a"], ["b"], ["c"]])
        left = one.cursor().execute("SELECT word FROM words")
        left.fetchone()
        one.close()
        with writing(path) as other:
            other.execute("INSERT INTO words VALUES ('d')")
            other.execute("COMMIT")

        with opened(path) as next_one:
            assert words(next_one) == ["a", "b", "c", "d"]

    def test_what_was_not_committed_is_not_passed_on(self, one: Any, path: Path) -> None:
        one.cursor().execute("BEGIN IMMEDIATE")
        one.cursor().execute("INSERT INTO words VALUES ('half')")
        one.close()

        with opened(path) as other:
            other.cursor().execute("INSERT INTO words VALUES ('whole')")
            assert words(other) == ["whole"]

    def test_another_file_of_that_name_is_opened_anew(self, one: Any, path: Path) -> None:
        one.close()
        for file in path.parent.iterdir():
            file.rename(file.with_name(f"old-{file.name}"))

        with opened(path) as other:
            assert other.introspection.table_names() == []

    def test_a_child_uses_none_of_its_parents(self, one: Any, path: Path) -> None:
        one.close()
        assert idle.take(idle.file_at(str(path))) is not None
        with opened(path) as again:
            again.ensure_connection()

        if (child := os.fork()) == 0:
            os._exit(0 if idle.take(idle.file_at(str(path))) is None else 1)
        assert os.waitpid(child, 0)[1] == 0

    def test_no_more_are_kept_than_are_of_use(self, path: Path, one: Any) -> None:
        own = [sqlite3.connect(path) for _ in range(idle.MOST + 2)]
        file = idle.file_at(str(path))

        assert [idle.keep(file, each, str(path)) for each in own] == [True] * idle.MOST + [False] * 2

    def test_a_file_that_was_replaced_meanwhile_is_let_go(self, one: Any, path: Path) -> None:
        first = one.connection
        for file in path.parent.iterdir():
            file.rename(file.with_name(f"old-{file.name}"))
        sqlite3.connect(path).close()
        one.close()

        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            first.execute("SELECT 1")

    def test_one_that_met_an_error_is_opened_anew(self, one: Any, path: Path) -> None:
        first = one.connection
        with pytest.raises(OperationalError):
            one.cursor().execute("INSERT INTO nowhere VALUES (1)")
        one.close_if_unusable_or_obsolete()

        one.ensure_connection()

        assert one.connection is not first

    def test_a_child_opens_its_own_also_where_its_parent_had_one_in_use(self, one: Any) -> None:
        first = one.connection
        if (child := os.fork()) == 0:
            one.close()
            one.ensure_connection()
            os._exit(1 if one.connection is first else 0)
        assert os.waitpid(child, 0)[1] == 0
