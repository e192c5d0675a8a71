"""Stream only as fast as the client reads.

Daphne takes whatever an application sends and keeps it until the client has read it: a film of a gigabyte for a
slow reader would lie in memory whole. Twisted tells a registered producer when the socket is full; here it waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate:
    """Twisted's push producer, as far as it may say stop and go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    def pauseProducing(self) -> None:
        self.open.clear()

    def resumeProducing(self) -> None:
        self.open.set()

    def stopProducing(self) -> None:
        self.open.set()


class Paced:
    """ASGI: hold the next chunk of a streamed body back until the last has left. Other servers do so themselves."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = daphnes_request(send) if scope["type"] == "http" else None
        await self.app(scope, receive, send if request is None else paced(send, request))


def daphnes_request(send: Send) -> Any:
    """The Twisted request behind Daphne's `send`, which is a partial of it; None under another server."""
    arguments = getattr(send, "args", ())
    return arguments[0] if arguments and hasattr(arguments[0], "registerProducer") else None


def paced(send: Send, request: Any) -> Send:
    """`send` that waits where `request`'s socket is full."""
    gate, registered = Gate(), False

    async def paced_send(message: Message) -> None:
        nonlocal registered
        more = message["type"] == "http.response.body" and message.get("more_body", False)
        # The channel is gone once the client is.
        if more and not registered and request.channel is not None:
            request.registerProducer(gate, True)
            registered = True
        elif registered and not more and request.channel is not None:
            request.unregisterProducer()
            registered = False
        if registered:
            await gate.open.wait()
        await send(message)

    return paced_send
