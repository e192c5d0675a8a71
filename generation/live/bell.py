"""Redis as a bell: the channel layer carries "user N, event M", and only for users who have a socket here."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any, Final

from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

# A layer that does not answer is left alone until the next try.
PATIENCE_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 1.0


def group_of(user_id: int) -> str:
    """The group that the events of one user are published to; derived on the server, never named by a client."""
    return f"user-{user_id}"


class LayerBell:
    """`wait` like that of a watch, over the channel layer. What it misses, the caller's own look finds."""

    def __init__(self, users: Callable[[], Collection[int]]) -> None:
        """`users` tells who has a socket here at the moment."""
        self._users = users
        self._layer: Any = get_channel_layer()
        self._channel = ""
        self._joined: set[int] = set()
        self._receiving: asyncio.Task[Any] | None = None
        self._asked = asyncio.Event()
        self._silent = False

    def users_changed(self) -> None:
        """Somebody came or went: follow suit now."""
        self._asked.set()

    async def wait(self, seconds: float) -> bool:
        """True when it rang or cannot be heard, False after `seconds`."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                joined = await self._follow()
            self._silent = False
        except Exception as error:
            if not self._silent:
                log.warning("the channel layer does not answer: %s", type(error).__name__)
            self._silent = True
            await asyncio.sleep(min(seconds, PAUSE_SECONDS))
            return True
        # What was said before we listened has to be looked for.
        return joined or await self._ring(seconds)

    async def close(self) -> None:
        """Leave every group; a layer that is out of reach is left as it is."""
        if self._receiving is not None:
            self._receiving.cancel()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for user_id in self._joined:
                    await self._layer.group_discard(group_of(user_id), self._channel)
        except Exception as error:
            log.debug("could not leave the channel layer: %s", type(error).__name__)

    async def _follow(self) -> bool:
        """Listen to those who are here; True when somebody is new."""
        self._asked.clear()
        if not self._channel:
            self._channel = await self._layer.new_channel()
        wanted = set(self._users())
        new = wanted - self._joined
        for user_id in new:
            await self._layer.group_add(group_of(user_id), self._channel)
            self._joined.add(user_id)
        for user_id in self._joined - wanted:
            await self._layer.group_discard(group_of(user_id), self._channel)
            self._joined.discard(user_id)
        return bool(new)

    async def _ring(self, seconds: float) -> bool:
        # A canceled `receive` gives its channel up, so it goes on from one wait to the next; it may have rung between.
        if self._receiving is None:
            self._receiving = asyncio.create_task(self._layer.receive(self._channel))
        asked = asyncio.create_task(self._asked.wait())
        try:
            await asyncio.wait({self._receiving, asked}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        return await self._take() or self._asked.is_set()

    async def _take(self) -> bool:
        """Whether it has rung; all that is waiting counts as once."""
        rang = False
        while self._receiving is not None and self._receiving.done():
            rang = True
            failed = self._receiving.exception()
            self._receiving = None if failed else asyncio.create_task(self._layer.receive(self._channel))
            await asyncio.sleep(0)
        return rang
