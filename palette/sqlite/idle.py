"""Open SQLite connections that nobody uses: to open one takes SQLite two milliseconds, in which it reads our schema.

Under ASGI each request has a thread of its own, and so would each open a connection of its own.
"""

import atexit
import os
import sqlite3
from contextlib import suppress
from typing import Final

# Of one file, in one process; what is more is closed.
MOST: Final = 16

# Which file a connection has open: another may lie under that name by now.
File = tuple[int, int]

_idle: dict[File, list[sqlite3.Connection]] = {}
_of_the_parent: list[dict[File, list[sqlite3.Connection]]] = []


def file_at(path: str) -> File | None:
    """None where there is none yet."""
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116 (in the path of every request)
        return found.st_dev, found.st_ino
    return None


def take(file: File | None) -> sqlite3.Connection | None:
    """One that has this file open; of others' files none is kept."""
    if file not in _idle:
        close_all()
        return None
    with suppress(IndexError):
        return _idle[file].pop()
    return None


def keep(file: File | None, connection: sqlite3.Connection) -> bool:
    """False where there are enough; then the caller closes it."""
    if file is None:
        return False
    idle = _idle.setdefault(file, [])
    if len(idle) >= MOST:
        return False
    idle.append(connection)
    return True


def close_all() -> None:
    """At the end of the process, or when the file is another: the last that closes it writes its log back."""
    for file in list(_idle):
        for connection in _idle.pop(file, []):
            connection.close()


def _leave_to_the_parent() -> None:
    """In a forked child: SQLite's connections belong to the process that has opened them, and are not even closed."""
    global _idle
    _of_the_parent.append(_idle)
    _idle = {}


atexit.register(close_all)
os.register_at_fork(after_in_child=_leave_to_the_parent)
