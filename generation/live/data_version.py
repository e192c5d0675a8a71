"""SQLite's own word on whether another connection has committed: `PRAGMA data_version`, microseconds a look.

Where Linux tells that the file was written (inotify), a look follows at once; without that, or where a system does not
tell (a folder of another machine), it is looked again and again.
"""

import asyncio
import logging
import select
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)

# Between two looks, and at a database that has been quiet for so many of them.
EAGER_SECONDS: Final = 0.01
QUIET_SECONDS: Final = 0.025
QUIET_AFTER: Final = 100
# What is written is about to be committed: so many looks follow, the first ones after this pause. Where there is no end
# to the writing, as in a copy beside the database, they become rarer.
COMMITTING_SECONDS: Final = 0.001
COMMITTING_LOOKS: Final = 10


class DataVersion:
    """One connection that never writes. Commits of every other connection count, of this process too."""

    def __init__(self, path: str | Path) -> None:
        """Raises `sqlite3.Error` when there is no such file."""
        address = f"file:{quote(str(path))}?mode=rw"
        # Opened by one thread and perhaps closed by another, never used by two at a time.
        self._connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        self._seen = self._read()
        self._writes = writes_at(Path(path).resolve())
        # How many looks found nothing since the last change, or since something began to be written.
        self._looks = 0
        # How many follow yet, one soon after the other.
        self._due = 0

    def changed(self) -> bool:
        """Whether somebody committed since the last time this was asked."""
        if self._writes and self._writes.any():
            if not self._due:
                self._looks = 0
            self._due = COMMITTING_LOOKS
        try:
            version = self._read()
        except sqlite3.OperationalError:  # busy with recovery, or without WAL with a commit: the next look tells
            version, self._due = self._seen, max(self._due, 2)
        changed, self._seen = version != self._seen, version
        self._looks, self._due = 0 if changed else self._looks + 1, max(self._due - 1, 0)
        return changed

    def wait(self, seconds: float) -> bool:
        """True as soon as somebody commits, False after `seconds`."""
        ends_at = time.monotonic() + seconds
        while not (changed := self.changed()) and (rest := self._rest(ends_at)) > 0:
            if self._writes and not self._due:
                select.select([self._writes], [], [], rest)
            else:
                time.sleep(rest)
        return changed

    async def wait_async(self, seconds: float) -> bool:
        """The same for an event loop; may be canceled."""
        ends_at = time.monotonic() + seconds
        while not (changed := self.changed()) and (rest := self._rest(ends_at)) > 0:
            if self._writes and not self._due:
                await readable(self._writes, rest)
            else:
                await asyncio.sleep(rest)
        return changed

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
        if self._writes:
            self._writes.close()

    def _rest(self, ends_at: float) -> float:
        """Seconds until the next look."""
        if self._due:
            pause = min(COMMITTING_SECONDS * max(1, self._looks // COMMITTING_LOOKS), QUIET_SECONDS)
        else:
            pause = EAGER_SECONDS if self._writes is None and self._looks < QUIET_AFTER else QUIET_SECONDS
        return min(pause, ends_at - time.monotonic())

    def _read(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


class Writes:
    """What the system tells of writes to a file and its journals.

    Raises OSError or ImportError where it tells nothing. What it loses (the queue is full, the folder is gone) is
    found by the looks that follow now and then.
    """

    def __init__(self, path: Path) -> None:
        from inotify_simple import INotify, flags

        self._name = path.name
        self._inotify: INotify = INotify(nonblocking=True)
        try:
            # The journal comes and goes, its folder stays.
            self._inotify.add_watch(path.parent, flags.MODIFY)
        except OSError:
            self._inotify.close()
            raise

    def fileno(self) -> int:
        """To be read when something was written, also to another file in that folder."""
        return int(self._inotify.fileno())

    def any(self) -> bool:
        """Whether there were some since this was last asked."""
        return any(event.name.startswith(self._name) for event in self._inotify.read(timeout=0))

    def close(self) -> None:
        """Let go of the folder."""
        self._inotify.close()


def writes_at(path: Path) -> Writes | None:
    """None where nothing is told: on other systems, and where a user has as many of these as he may."""
    if sys.platform != "linux":
        return None
    try:
        return Writes(path)
    except (OSError, ImportError) as error:
        log.info("%s is looked at now and then: %s", path.name, error)
        return None


async def readable(writes: Writes, seconds: float) -> None:
    """Until there is something to read, or `seconds` are over."""
    loop = asyncio.get_running_loop()
    told = loop.create_future()

    def tell() -> None:
        if not told.done():
            told.set_result(None)

    loop.add_reader(writes, tell)
    try:
        await asyncio.wait([told], timeout=seconds)
    finally:
        loop.remove_reader(writes)
