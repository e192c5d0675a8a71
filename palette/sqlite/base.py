"""Waits for SQLite's one writer in short steps.

SQLite's own wait sleeps longer from step to step, up to a tenth of a second, so that between the short transactions of
many threads the machine stands idle. Here SQLite does not wait at all: of a process's threads that met a lock, one asks
again every millisecond, and the others stand in line behind it. `timeout` stays the seconds until "database is locked".
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, Final, TypeVar
from weakref import WeakSet

from django.db.backends.sqlite3 import base
from django.db.backends.utils import debug_transaction

from palette.sqlite import idle

Result = TypeVar("Result")

STEP_SECONDS: Final = 0.001
# SQLite's default for who names none: what Python's module takes.
TIMEOUT_SECONDS: Final = 5.0
# SQLITE_BUSY and SQLITE_BUSY_RECOVERY; to SQLITE_BUSY_SNAPSHOT waiting brings no end.
BUSY: Final = frozenset({5, 5 | 1 << 8})

_line = threading.Lock()


def _new_line() -> None:
    """In a forked child, in which another thread may have stood first."""
    global _line
    _line = threading.Lock()


os.register_at_fork(after_in_child=_new_line)


def patiently(act: Callable[[], Result], seconds: float, *, ahead: bool = False) -> Result:
    """What `act` returns once no lock is in its way; raises `OperationalError` where one still is after `seconds`.

    Who is `ahead`, in a transaction that others wait for, does not stand in line behind them.
    """
    ends_at = time.monotonic() + seconds
    try:
        return act()
    except sqlite3.OperationalError as error:
        line = None if ahead else _line
        if not _is_busy(error) or (line and not line.acquire(timeout=seconds)):
            raise
    try:
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > ends_at:
                    raise
            time.sleep(STEP_SECONDS)
    finally:
        if line:
            line.release()


def _is_busy(error: sqlite3.OperationalError) -> bool:
    # What Python raises itself has no code.
    return getattr(error, "sqlite_errorcode", None) in BUSY


@lru_cache(maxsize=1024)
def _converted(query: str) -> str:
    return base.FORMAT_QMARK_REGEX.sub("?", query).replace("%%", "%")


class Cursor(base.SQLiteCursorWrapper):
    """Meets a lock patiently."""

    seconds = TIMEOUT_SECONDS

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        """`?` for `%s`, of a text that comes again looked up."""
        return super().convert_query(query, param_names=param_names) if param_names else _converted(query)

    def execute(self, query: str, params: Any = None) -> Any:
        """As ever."""
        return patiently(partial(super().execute, query, params), self.seconds, ahead=self.connection.in_transaction)

    def executemany(self, query: str, param_list: Iterable[Any]) -> Any:
        """As ever; outside of a transaction each is one of its own, and `rowcount` the last one's."""
        if self.connection.in_transaction:
            return super().executemany(query, param_list)
        for params in param_list:
            self.execute(query, params)
        return self


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, with that cursor, and with connections that stay open for whoever comes next."""

    seconds = TIMEOUT_SECONDS
    file: idle.File | None = None
    opened_by = 0

    def get_connection_params(self) -> dict[str, Any]:
        """For `sqlite3.connect`, of which the wait is taken away."""
        params: dict[str, Any] = super().get_connection_params()
        self.seconds = params.get("timeout", TIMEOUT_SECONDS)
        return params | {"timeout": 0.0}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """One that was left open, or a new one, which waits where another process is just making the file."""
        self.cursors: WeakSet[Cursor] = WeakSet()
        self.opened_by = os.getpid()
        self.file = idle.file_at(conn_params["database"])
        if found := idle.take(self.file):
            found.execute("PRAGMA foreign_keys = ON")
            return found
        opened = patiently(partial(super().get_new_connection, conn_params), self.seconds)
        self.file = idle.file_at(conn_params["database"])
        return opened

    def bound_cursor(self) -> Any:
        """Every cursor binds values beside the statement, and SQLite keeps what comes again prepared."""
        return self.cursor()

    def create_cursor(self, name: str | None = None) -> Any:
        """One that waits as long as the settings say."""
        cursor = self.connection.cursor(factory=Cursor)
        cursor.seconds = self.seconds
        self.cursors.add(cursor)
        return cursor

    def _commit(self) -> None:
        # With a journal that is no WAL it is only here that the readers are in the way.
        if self.connection is not None:
            with debug_transaction(self, "COMMIT"), self.wrap_database_errors:
                patiently(self.connection.commit, self.seconds, ahead=True)

    def is_usable(self) -> bool:
        """Not after an error: a file that could not be written when it was opened stays so for this connection."""
        return not self.errors_occurred

    def _close(self) -> None:
        """Left open, unless amid a transaction or in trouble; a read that is not over would show what was then."""
        if self.connection is None:
            return
        if self.opened_by != os.getpid():
            idle.leave_to_the_parent(self.connection)
            return
        for cursor in list(self.cursors):
            cursor.close()
        free = not (self.in_atomic_block or self.connection.in_transaction or self.errors_occurred)
        if not (free and idle.keep(self.file, self.connection, self.settings_dict["NAME"])):
            with self.wrap_database_errors:
                self.connection.close()
