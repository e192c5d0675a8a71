"""How a process learns that the database changed, without a broker.

SQLite is asked for its `data_version` when its file was written. PostgreSQL tells by `NOTIFY palette`, heard on a
direct connection (a pooled one is handed on, and a listener with it). A database in memory cannot be watched: there,
and while PostgreSQL is out of reach, `wait` ends early and says True, so that the caller looks for himself.
"""

import asyncio
import sqlite3
import time
from contextlib import suppress
from typing import Any, Final

import psycopg
from django.db import connection

from generation.live.data_version import DataVersion

CHANNEL: Final = "palette"
# Without a word from the database callers look this often.
BLIND_SECONDS: Final = 0.05
# Between two tries to reach PostgreSQL again; the last is repeated. Callers look as often.
BACK_OFF_SECONDS: Final = (0.1, 0.25, 0.5, 1.0)
CONNECT_TIMEOUT_SECONDS: Final = 5


class _BackOff:
    """When to try again to connect."""

    def __init__(self) -> None:
        self._failures = 0
        self._again_at = 0.0

    def failed(self) -> None:
        self._again_at = time.monotonic() + BACK_OFF_SECONDS[min(self._failures, len(BACK_OFF_SECONDS) - 1)]
        self._failures += 1

    def succeeded(self) -> None:
        self._failures = 0

    @property
    def pause_seconds(self) -> float:
        return max(0.0, self._again_at - time.monotonic())


class _Source:
    """What both twins know of the database that the calling thread's connection names."""

    def __init__(self) -> None:
        self.postgres: dict[str, Any] | None = None
        self.version: DataVersion | None = None
        if connection.vendor == "postgresql":
            self.postgres = _direct_parameters()
        elif connection.vendor == "sqlite":
            with suppress(sqlite3.Error):  # in memory, or not there
                self.version = DataVersion(connection.settings_dict["NAME"])


def _direct_parameters() -> dict[str, Any]:
    """psycopg's arguments for a connection of our own: those of Django's, without its cursors and adapters."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    return parameters | {
        "autocommit": True,
        "application_name": "palette live",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        # A listener sends nothing, so that only keepalives find out that the other side is gone.
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }


class Watch:
    """For one thread of a process that may wait: `wait` returns True as soon as another connection committed.

    Every commit since the last `wait` counts, also one made while nobody waited.
    """

    def __init__(self) -> None:
        self._source = _Source()
        self._listener: psycopg.Connection[Any] | None = None
        self._back_off = _BackOff()
        if self._source.postgres is not None:
            self._listen()

    def wait(self, seconds: float) -> bool:
        """True when the database changed, or may have while it could not be watched; False after `seconds`."""
        if self._source.postgres is not None:
            return self._hear(seconds)
        if self._source.version is not None:
            return self._source.version.wait(seconds)
        time.sleep(min(seconds, BLIND_SECONDS))
        return True

    def close(self) -> None:
        """Let go of the connection; `wait` is not called any more."""
        if self._source.version is not None:
            self._source.version.close()
        self._drop()

    def _hear(self, seconds: float) -> bool:
        if self._listener is None:
            time.sleep(min(seconds, self._back_off.pause_seconds))
            if not self._back_off.pause_seconds:
                self._listen()
            return True  # nobody knows what happened meanwhile
        try:
            heard = bool(list(self._listener.notifies(timeout=seconds, stop_after=1)))
            list(self._listener.notifies(timeout=0))  # many bells are one
        except psycopg.Error:
            self._drop()
            self._back_off.failed()
            return True
        return heard

    def _listen(self) -> None:
        assert self._source.postgres is not None
        try:
            self._listener = psycopg.connect(**self._source.postgres)
            self._listener.execute(f"LISTEN {CHANNEL}")
            self._back_off.succeeded()
        except psycopg.Error:
            self._drop()
            self._back_off.failed()

    def _drop(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None


class AsyncWatch:
    """The twin for an event loop. `wait` may be canceled; one task uses it at a time."""

    def __init__(self) -> None:
        self._source = _Source()
        self._listener: psycopg.AsyncConnection[Any] | None = None
        self._back_off = _BackOff()

    async def wait(self, seconds: float) -> bool:
        """True when the database changed, or may have while it could not be watched; False after `seconds`."""
        if self._source.postgres is not None:
            return await self._hear(seconds)
        if self._source.version is not None:
            return await self._source.version.wait_async(seconds)
        await asyncio.sleep(min(seconds, BLIND_SECONDS))
        return True

    async def close(self) -> None:
        """Let go of the connection; `wait` is not called any more."""
        if self._source.version is not None:
            self._source.version.close()
        await self._drop()

    async def _hear(self, seconds: float) -> bool:
        if self._listener is None:
            await asyncio.sleep(min(seconds, self._back_off.pause_seconds))
            if not self._back_off.pause_seconds:
                await self._listen()
            return True
        try:
            heard = bool([note async for note in self._listener.notifies(timeout=seconds, stop_after=1)])
            async for _ in self._listener.notifies(timeout=0):
                pass
        except psycopg.Error:
            await self._drop()
            self._back_off.failed()
            return True
        return heard

    async def _listen(self) -> None:
        assert self._source.postgres is not None
        try:
            self._listener = await psycopg.AsyncConnection.connect(**self._source.postgres)
            await self._listener.execute(f"LISTEN {CHANNEL}")
            self._back_off.succeeded()
        except psycopg.Error:
            await self._drop()
            self._back_off.failed()

    async def _drop(self) -> None:
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
