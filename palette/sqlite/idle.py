"""Open SQLite connections that nobody uses: to open one takes SQLite two milliseconds, in which it reads our schema.

Each thread that works opens one of its own, and closes it when its request or its step is over.
"""

import atexit
import os
import sqlite3
import threading
from contextlib import suppress
from typing import Final

# Of one file, in one process; what is more is closed.
MOST: Final = 16

# Which file a connection has open: another may lie under that name by now.
File = tuple[int, int]

_idle: dict[File, list[sqlite3.Connection]] = {}
_lock = threading.Lock()
# What a forked process has from its parent: a connection belongs to the process that opened it, and is not even closed.
_of_the_parent: list[object] = []


def file_at(path: str) -> File | None:
    """None where there is none yet."""
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116 (in the path of every request)
        return found.st_dev, found.st_ino
    return None


def take(file: File | None) -> sqlite3.Connection | None:
    """One that has this file open; of others' files none is kept."""
    with _lock:
        if file is not None and file in _idle:
            return _idle[file].pop() if _idle[file] else None
    close_all()
    return None


def keep(file: File | None, connection: sqlite3.Connection, path: str) -> bool:
    """False where there are enough, or `path` is another file by now; then the caller closes it."""
    if file is None or file_at(path) != file:
        return False
    with _lock:
        idle = _idle.setdefault(file, [])
        if len(idle) >= MOST:
            return False
        idle.append(connection)
    return True


def leave_to_the_parent(connection: object) -> None:
    """Used by nobody here, and closed by nobody."""
    _of_the_parent.append(connection)


def close_all() -> None:
    """At the end of the process, or when the file is another: the last that closes it writes its log back."""
    with _lock:
        found = [connection for idle in _idle.values() for connection in idle]
        _idle.clear()
    for connection in found:
        connection.close()


def _begin_anew() -> None:
    """In a forked child, in which another thread may have held the lock."""
    global _lock, _idle
    leave_to_the_parent(_idle)
    _lock, _idle = threading.Lock(), {}


atexit.register(close_all)
os.register_at_fork(after_in_child=_begin_anew)
