"""SQLite's own word on whether another connection has committed: `PRAGMA data_version`, microseconds a look."""

import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

# How long between two looks; a database that has been quiet for a while is looked at less often.
EAGER_SECONDS: Final = 0.01
QUIET_SECONDS: Final = 0.025
QUIET_AFTER: Final = 100


class DataVersion:
    """One connection that never writes. Commits of every other connection count, of this process too."""

    def __init__(self, path: str | Path) -> None:
        """Raises `sqlite3.Error` when there is no such file."""
        address = f"file:{quote(str(path))}?mode=rw"
        # Opened by one thread and perhaps closed by another, never used by two at a time.
        self._connection = sqlite3.connect(address, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        self._seen = self._read()
        self._looks = 0

    def changed(self) -> bool:
        """Whether somebody committed since the last time this was asked."""
        try:
            version = self._read()
        except sqlite3.OperationalError:  # busy with recovery: the next look tells
            return False
        self._looks = self._looks + 1 if version == self._seen else 0
        changed, self._seen = version != self._seen, version
        return changed

    @property
    def pause_seconds(self) -> float:
        """How long to let go by before the next look."""
        return EAGER_SECONDS if self._looks < QUIET_AFTER else QUIET_SECONDS

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _read(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
