"""How a web process ends under load: it takes no new connections, answers what it was asked, and lets sockets go.

Daphne by itself cancels everything at once. Sockets are closed with 1012, "service restart", after which a page comes
back by itself, a little later than its neighbours.
"""

import asyncio
import logging
import time
from typing import Any, Final

from palette.limits import App, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

# Shorter than what the supervisor, or a process manager with its usual half minute, waits before it kills.
GRACE_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.05
# https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
SERVICE_RESTART: Final = 1012

# Requests whose body is on its way, and whether this process is about to end.
_arriving: Final[set[Any]] = set()
_ending = asyncio.Event()


class LastWords:
    """ASGI: answers of a process that is about to end ask the proxy to send nothing more on their connection."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if _ending.is_set() and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"Connection", b"close")]
            await send(message)

        await self.app(scope, receive, send_last)


def drain_at_end(server_class: Any, request_class: Any) -> None:
    """Let Daphne's server class finish before it ends, and its request class tell of bodies that are on their way."""
    note_arrivals(request_class)
    hear, kill = server_class.listen_success, server_class.kill_all_applications

    def remember(self: Any, port: Any) -> None:
        self.__dict__.setdefault("ports", []).append(port)
        hear(self, port)

    def drain_then_kill(self: Any) -> Any:
        from twisted.internet.defer import Deferred  # only under Daphne, which has installed its reactor by now

        _ending.set()
        for port in self.__dict__.get("ports", ()):
            port.stopListening()
        for protocol in list(self.connections):
            let_go(protocol)
        drained = Deferred.fromFuture(asyncio.ensure_future(drain(self)))
        return drained.addCallback(lambda _: kill(self))

    server_class.listen_success, server_class.kill_all_applications = remember, drain_then_kill


def note_arrivals(request_class: Any) -> None:
    """Daphne knows a request only when its body is whole."""
    begin, end, lose = request_class.gotLength, request_class.requestReceived, request_class.connectionLost

    def noted_begin(self: Any, length: int | None) -> None:
        _arriving.add(self)
        begin(self, length)

    def noted_end(self: Any, *words: bytes) -> None:
        end(self, *words)
        _arriving.discard(self)

    def noted_loss(self: Any, reason: Any) -> None:
        _arriving.discard(self)
        lose(self, reason)

    request_class.gotLength, request_class.requestReceived = noted_begin, noted_end
    request_class.connectionLost = noted_loss


def let_go(protocol: Any) -> None:
    """Close a socket for the restart; autobahn's `sendClose` would refuse the code."""
    if not is_socket(protocol):
        return
    try:
        protocol.sendCloseFrame(code=SERVICE_RESTART, reasonUtf8=b"")
    except Exception as error:  # not open yet, or just gone
        log.info("a socket could not be told of the restart (%s)", type(error).__name__)


def is_socket(protocol: Any) -> bool:
    return hasattr(protocol, "sendCloseFrame")


async def drain(server: Any) -> None:
    """Until every request is answered, or the grace is over.

    Two looks must have found nothing: of a connection that was taken at the very last the first may know nothing yet,
    and what was written last has to leave.
    """
    ends_at, idle_looks = time.monotonic() + GRACE_SECONDS, 0
    while idle_looks < 2 and time.monotonic() < ends_at:
        idle_looks = 0 if busy(server) else idle_looks + 1
        await asyncio.sleep(LOOK_SECONDS)
    if left := busy(server):
        log.warning("%s requests were cut off at the end of this process", left)


def busy(server: Any) -> int:
    """Requests that are not answered yet."""
    open_ones = [protocol for protocol, known in list(server.connections.items()) if "disconnected" not in known]
    return len(_arriving) + sum(not is_socket(protocol) for protocol in open_ones)
