"""Hands new events to the sockets of this process. It runs in their event loop, from the first socket to the last."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.utils import timezone

from generation.live import feed, sessions
from generation.live.bell import LayerBell
from generation.live.changes import AsyncWatch
from generation.live.sessions import Credentials

log = logging.getLogger(__name__)

# After a look, what happens within this time is shown together: one frame for many events of one prediction.
TOGETHER_SECONDS: Final = 0.05
# However quiet the bell, it is looked this often: bells get lost.
LOOK_SECONDS: Final = 1.0
LOOK_SECONDS_BESIDE_REDIS: Final = 2.0
# A socket ends at most 30 s after its session.
SESSION_SECONDS: Final = 20.0
# Before the next try when the database does not answer.
PAUSE_SECONDS: Final = 1.0
# More pages than anybody has open in one process.
MOST_SOCKETS: Final = 50
# Credentials asked for in one statement.
BATCH: Final = 500


class Socket(Protocol):
    """What the relay knows of a consumer."""

    credentials: Credentials

    async def deliver(self, html: str) -> None: ...

    async def sign_out(self) -> None: ...


class Relay:
    """One per event loop, found with `relay()`. No method blocks; all are called in that loop."""

    def __init__(self) -> None:
        self._sockets: dict[int, set[Socket]] = {}
        self._bell: AsyncWatch | LayerBell | None = None
        self._task: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()

    def join(self, socket: Socket) -> bool:
        """Deliver to `socket` from now on; what happened before `ready` it has to ask for.

        False, and no delivery, when its user has as many open as anybody may.
        """
        own = self._sockets.setdefault(socket.credentials.user_id, set())
        if len(own) >= MOST_SOCKETS:
            return False
        own.add(socket)
        self._users_changed()
        if self._task is None or self._task.done():
            self.ready = asyncio.Event()
            self._task = asyncio.create_task(self._run(), name="live-relay")
        return True

    def leave(self, socket: Socket) -> None:
        """Deliver no more; with the last socket the relay ends."""
        own = self._sockets.get(socket.credentials.user_id, set())
        own.discard(socket)
        if not own:
            self._sockets.pop(socket.credentials.user_id, None)
            self._users_changed()
        if not self._sockets and self._task is not None:
            self._task.cancel()
            self._task = None

    @property
    def open(self) -> int:
        """How many sockets it delivers to."""
        return sum(len(own) for own in list(self._sockets.values()))

    def _users_changed(self) -> None:
        if isinstance(self._bell, LayerBell):
            self._bell.users_changed()

    async def _run(self) -> None:
        bell = self._bell = LayerBell(self._sockets.keys) if settings.REDIS_URL else AsyncWatch()
        seconds = LOOK_SECONDS_BESIDE_REDIS if settings.REDIS_URL else LOOK_SECONDS
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_looking(bell, seconds))
                group.create_task(self._keep_checking())
        finally:
            await bell.close()

    async def _keep_looking(self, bell: AsyncWatch | LayerBell, seconds: float) -> None:
        cursor: feed.Cursor | None = None
        ready = self.ready
        while True:
            try:
                if cursor is None:
                    cursor = await database_sync_to_async(feed.Cursor.at_end)(now=timezone.now())
                    ready.set()
                else:
                    await self._hand_out(cursor)
                await asyncio.sleep(TOGETHER_SECONDS)
                await bell.wait(seconds)
            except Exception as error:
                log.warning("could not look for events: %s", type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _hand_out(self, cursor: feed.Cursor) -> None:
        users = set(self._sockets)
        for frame in await database_sync_to_async(new_frames)(cursor, users, timezone.now()):
            for socket in list(self._sockets.get(frame.user_id, ())):
                await self._deliver(socket, frame.html)

    async def _deliver(self, socket: Socket, html: str) -> None:
        try:
            await socket.deliver(html)
        except Exception as error:  # gone this moment; it asks again when it is back
            log.warning("a socket took no frame: %s", type(error).__name__)

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(SESSION_SECONDS)
            try:
                await self.check(socket for own in list(self._sockets.values()) for socket in list(own))
            except Exception as error:
                log.warning("could not check the sessions of sockets: %s", type(error).__name__)

    async def check(self, sockets: Iterable[Socket]) -> None:
        """End those of `sockets` whose session has ended."""
        asked = list(sockets)
        for start in range(0, len(asked), BATCH):
            batch = asked[start : start + BATCH]
            over = await database_sync_to_async(sessions.ended)(
                {socket.credentials for socket in batch}, now=timezone.now()
            )
            for socket in batch:
                if socket.credentials in over:
                    await socket.sign_out()


def new_frames(cursor: feed.Cursor, users: Collection[int], now: datetime) -> list[feed.Frame]:
    """Frames for what `cursor` has not handed out. A card that cannot be drawn costs that card's frame only."""
    changed = cursor.read(now=now)
    try:
        return feed.frames(prediction_ids=changed, users=users, now=now)
    except Exception:
        log.exception("could not draw the cards of %d predictions together", len(changed))
    return [frame for one in changed for frame in single(one, users, now)]


def single(prediction_id: UUID, users: Collection[int], now: datetime) -> list[feed.Frame]:
    """The frame of one prediction, or none if it cannot be drawn."""
    try:
        return feed.frames(prediction_ids=[prediction_id], users=users, now=now)
    except Exception:
        log.exception("could not draw the card of prediction %s", prediction_id)
        return []


_relays: "WeakKeyDictionary[asyncio.AbstractEventLoop, Relay]" = WeakKeyDictionary()


def relay() -> Relay:
    """The relay of the running event loop."""
    return _relays.setdefault(asyncio.get_running_loop(), Relay())


def sockets() -> int:
    """How many sockets this process holds open, asked from any thread."""
    return sum(one.open for one in list(_relays.values()))
