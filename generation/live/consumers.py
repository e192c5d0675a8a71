"""One socket of a signed-in page: it asks what it has missed, and is sent cards."""

import asyncio
import json
import time
from contextlib import suppress
from typing import Any, Final

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from generation.live import feed
from generation.live.relay import Relay, relay
from generation.live.sessions import Credentials

# What a page has to say is one small object twice a minute.
MOST_BYTES: Final = 1024
BURST: Final = 10
MESSAGES_PER_SECOND: Final = 0.5
# A relay that is about to start may take this long before a question is answered without it.
READY_SECONDS: Final = 5.0

SIGNED_OUT: Final = 4401
# The server may send 1000 and what lies between 3000 and 4999. The page waits after these, and asks by itself.
NOT_UNDERSTOOD: Final = 4400
TOO_MANY: Final = 4429


class Allowance:
    """So many messages at once, refilled at a steady rate."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = time.monotonic()

    def take(self) -> bool:
        """Whether one more may come now."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * MESSAGES_PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def read_since(text: str | None) -> int | None:
    """The event id in `{"since": id}`; None for everything else that a stranger may send."""
    if text is None or len(text) > MOST_BYTES:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    since = message.get("since") if isinstance(message, dict) else None
    return since if type(since) is int and 0 <= since < 2**63 else None


class StudioConsumer(AsyncWebsocketConsumer):
    """Whose cards it gets is decided by the session alone; the client can name neither user nor group."""

    # No channel of its own: the relay of this process delivers, so that a broker's failure closes no socket.
    channel_layer_alias = "none"

    credentials: Credentials
    relay: Relay | None = None

    async def connect(self) -> None:
        """Refuse whoever is not signed in, before the handshake ends."""
        user = self.scope["user"]
        if not user.is_authenticated:
            await self.close(code=SIGNED_OUT)
            return
        self.credentials = Credentials(user.pk, self.scope["session"].session_key)
        self.allowance = Allowance()
        # Accepted even if only to be closed: the page learns no reason from a handshake that fails.
        await self.accept()
        if not relay().join(self):
            await self.close(code=TOO_MANY)
            return
        self.relay = relay()

    async def disconnect(self, code: int) -> None:
        """Whatever the reason, nothing is sent any more."""
        if self.relay is not None:
            self.relay.leave(self)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """`{"since": id}`: answer with every card that is unfinished or newer, then `{"seen": id}`."""
        since = read_since(text_data)
        if since is None or self.relay is None or not self.allowance.take():
            await self.close(code=NOT_UNDERSTOOD)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self.relay.ready.wait(), READY_SECONDS)
        await self.relay.check([self])
        if self.relay is not None:
            await self.catch_up(since)

    async def catch_up(self, since: int) -> None:
        """Send what may have been missed."""
        frames = await database_sync_to_async(feed.missed)(
            user_id=self.credentials.user_id, since=since, now=timezone.now()
        )
        for frame in frames:
            await self.deliver(frame.html)
        await self.send(text_data=json.dumps({"seen": max([since, *(frame.event for frame in frames)])}))

    async def deliver(self, html: str) -> None:
        """Send one card."""
        await self.send(text_data=html)

    async def sign_out(self) -> None:
        """The session that opened this socket is over."""
        if self.relay is not None:
            self.relay.leave(self)
            self.relay = None
            await self.close(code=SIGNED_OUT)


def bound_messages(protocol: Any) -> None:
    """Let a server's protocol class (autobahn's) hang up at the head of a frame that passes `MOST_BYTES`.

    Its own option for it binds what we send, too.
    """
    begin = protocol.onMessageFrameBegin

    def bounded(self: Any, length: int) -> None:
        if self.message_data_total_length + length > MOST_BYTES:
            self.dropConnection(abort=True)
        begin(self, length)

    protocol.onMessageFrameBegin = bounded
