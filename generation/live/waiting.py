"""Waits for the end of predictions: no database connection is held for any of them.

One task for each event loop looks for all who wait in it, woken by the same bells as the live feed, and without a bell
once in a while. Nor is a thread held: a request gets another one when it goes on.
"""

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync, sync_to_async
from django.conf import settings
from django.utils import timezone

from accounts.models import ApiToken
from generation.live import sessions
from generation.live.bell import LayerBell
from generation.live.changes import AsyncWatch
from generation.live.relay import LOOK_SECONDS, LOOK_SECONDS_BESIDE_REDIS, PAUSE_SECONDS, TOGETHER_SECONDS
from generation.live.sessions import Credentials
from generation.models import Prediction
from generation.states import TERMINAL
from generation.work.connections import let_go

log = logging.getLogger(__name__)

# In one process, of one user and of all.
MOST_WAITERS: Final = 20
MOST_IN_ALL: Final = 200


@dataclass(eq=False)
class Waiter:
    """Who waits for which prediction, let in by a token or a session. `over` is set at its end, or theirs."""

    user_id: int
    prediction_id: UUID
    let_in_by: UUID | Credentials
    over: asyncio.Event = field(default_factory=asyncio.Event)


class WaitingRoom:
    """One per event loop, found with `waiting_room()`; all is called in that loop."""

    def __init__(self) -> None:
        self._waiters: set[Waiter] = set()
        self._bell: AsyncWatch | LayerBell | None = None
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    async def wait(self, waiter: Waiter, seconds: float) -> bool:
        """Until it is over, or `seconds` are; False, at once, where as many wait already as may."""
        own = sum(1 for other in self._waiters if other.user_id == waiter.user_id)
        if own >= MOST_WAITERS or len(self._waiters) >= MOST_IN_ALL:
            return False
        self._enter(waiter)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    # What happened before it was on the list rang for nobody.
                    await self._look([waiter], with_sessions=False)
                    let_thread_go()
                    await waiter.over.wait()
        finally:
            self._leave(waiter)
        return True

    def _enter(self, waiter: Waiter) -> None:
        self._waiters.add(waiter)
        self._users_changed()
        if self._task is None or self._task.done():
            # Outlives the request that begins it, so it must not look for the others in that one's thread.
            self._task = asyncio.create_task(self._run(), name="waiting-room", context=Context())

    def _leave(self, waiter: Waiter) -> None:
        self._waiters.discard(waiter)
        self._users_changed()
        if not self._waiters and self._task is not None:
            self._task.cancel()
            self._task = None

    def _users_changed(self) -> None:
        if isinstance(self._bell, LayerBell):
            self._bell.users_changed()

    async def _run(self) -> None:
        def users() -> set[int]:
            return {waiter.user_id for waiter in self._waiters}

        bell = self._bell = LayerBell(users) if settings.REDIS_URL else AsyncWatch()
        try:
            await self._keep_looking(bell, LOOK_SECONDS_BESIDE_REDIS if settings.REDIS_URL else LOOK_SECONDS)
        finally:
            await bell.close()

    async def _keep_looking(self, bell: AsyncWatch | LayerBell, seconds: float) -> None:
        checked_at = time.monotonic()
        # Not only until it is canceled: a client that times out just then may keep that to itself.
        while self._task is asyncio.current_task():
            try:
                await bell.wait(seconds)
                await asyncio.sleep(TOGETHER_SECONDS)
                due = time.monotonic() - checked_at >= LOOK_SECONDS
                checked_at = time.monotonic() if due else checked_at
                await self._look(list(self._waiters), with_sessions=due)
            except Exception as error:
                log.warning("could not look for those who wait: %s", type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self, waiters: Collection[Waiter], *, with_sessions: bool) -> None:
        for waiter in await sync_to_async(ended)(waiters, with_sessions=with_sessions):
            waiter.over.set()


def let_thread_go() -> None:
    """End the thread that this request has to itself; what it asks for next is given another."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    thread = SyncToAsync.context_to_thread_executor.pop(context, None) if context else None
    if thread:
        thread.shutdown(wait=False)


def ended(waiters: Collection[Waiter], *, with_sessions: bool) -> list[Waiter]:
    """Those whose prediction has ended, and with `with_sessions` those who would not be let in any more."""
    try:
        wanted = {waiter.prediction_id for waiter in waiters}
        over = set(Prediction.objects.filter(pk__in=wanted, status__in=TERMINAL).values_list("pk", flat=True))
        out = turned_away({waiter.let_in_by for waiter in waiters}) if with_sessions else set()
        return [waiter for waiter in waiters if waiter.prediction_id in over or waiter.let_in_by in out]
    finally:
        let_go()


def turned_away(let_in_by: Collection[UUID | Credentials]) -> set[UUID | Credentials]:
    """Tokens that are revoked or expired and sessions that have ended, of those given."""
    now = timezone.now()
    by_session = {one for one in let_in_by if isinstance(one, Credentials)}
    by_token = {one for one in let_in_by if isinstance(one, UUID)}
    rows = ApiToken.objects.filter(pk__in=by_token, user__is_active=True)
    good = {row.pk for row in rows if row.is_good(now)}
    return (by_token - good) | (sessions.ended(by_session, now=now) if by_session else set())


_rooms: "WeakKeyDictionary[asyncio.AbstractEventLoop, WaitingRoom]" = WeakKeyDictionary()


def waiting_room() -> WaitingRoom:
    """The room of the running event loop."""
    return _rooms.setdefault(asyncio.get_running_loop(), WaitingRoom())
