"""How large a body may be, per address, and how slow: the doors that refuse another before it is kept anywhere."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from palette.middleware import Unthreaded
from palette.problems import too_large

MIB: Final = 1024 * 1024
# First match counts. A reference may have 20 MB, a generation carries several as data: URIs.
LIMITS: Final = (
    ("/api/webhooks/", MIB),
    ("/api/generation/", 24 * MIB),
    ("/api/gallery/assets", 25 * MIB),
    ("/generate", 24 * MIB),
    ("/estimate", 24 * MIB),
    ("/gallery/", 25 * MIB),
)
DEFAULT_LIMIT: Final = MIB
MARK: Final = "palette.body_too_large"
# So much of a body comes in so many seconds, or its connection is cut: a byte now and then would keep a place for ever.
LEAST_BYTES: Final = 16 * 1024
LEAST_WITHIN_SECONDS: Final = 10.0

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def limit_for(path: str, *, known: bool = True) -> int:
    """Bytes that the body of a request to `path` may have; strangers have nothing large to send anywhere."""
    return next((limit for prefix, limit in LIMITS if known and path.startswith(prefix)), DEFAULT_LIMIT)


def claims_to_be_known(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request names a session or a token; whose, and if it is any good, is for others to say."""
    session = f"{settings.SESSION_COOKIE_NAME}=".encode()
    return any(name == b"authorization" or (name == b"cookie" and session in value) for name, value in headers)


def exceeds(length: str, limit: int) -> bool:
    """Whether a Content-Length header announces more than `limit` bytes."""
    return length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit)


class LimitedBody:
    """ASGI: stop reading at the limit. Django would spool the whole body to disk before any view sees it.

    The application then gets an empty body and a mark in the scope, and `BodyLimitMiddleware` answers, so that
    a refusal carries the same headers as every other answer.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = self.bounded(scope, receive)
        await self.app(scope, receive, send)

    def bounded(self, scope: Scope, receive: Receive) -> Receive:
        """`receive`, which ends the body where the limit is passed and lets go of the rest."""
        limit = limit_for(scope["path"], known=claims_to_be_known(scope["headers"]))
        lengths = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-length"]
        too_long = any(exceeds(length, limit) for length in lengths)
        seen, cut = 0, False

        async def bounded_receive() -> Message:
            nonlocal seen, cut
            if not cut and too_long:
                cut = scope[MARK] = True
                return {"type": "http.request", "body": b"", "more_body": False}
            while (message := await receive())["type"] == "http.request":
                if cut:
                    continue
                seen += len(message.get("body", b""))
                if seen <= limit:
                    return message
                cut = scope[MARK] = True
                return {"type": "http.request", "body": b"", "more_body": False}
            return message

        return bounded_receive


def bound_bodies(request_class: Any) -> None:
    """Let Daphne's request class keep one byte more than the limit, or none of what announces more.

    Daphne collects a body, on disk, before it starts the application, so `LimitedBody` alone would come too late.
    The byte too many, or the announcement, tells it to refuse.
    """
    keep = request_class.handleContentChunk

    def keep_within(self: Any, data: bytes) -> None:
        path = unquote(self.channel._path.partition(b"?")[0].decode("latin-1"))
        headers = [(name.lower(), value) for name, values in self.requestHeaders.getAllRawHeaders() for value in values]
        limit = limit_for(path, known=claims_to_be_known(headers))
        announced = (value.decode("latin-1") for name, value in headers if name == b"content-length")
        room = limit + 1 - self.content.tell()
        if room > 0 and not any(exceeds(length, limit) for length in announced):
            keep(self, data[:room])

    request_class.handleContentChunk = keep_within


def hurry_bodies(request_class: Any) -> None:
    """Let Daphne's request class cut bodies that drip, and read none of them itself.

    Daphne's own timeout begins when the body is whole, and Twisted's with each byte. Twisted would also parse forms,
    for nobody, whole in memory, and hang up on a Content-Type that it cannot parse.
    """
    begin, keep = request_class.gotLength, request_class.handleContentChunk
    end, lose = request_class.requestReceived, request_class.connectionLost

    def look(self: Any) -> None:
        if self.came < LEAST_BYTES:
            self.channel.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self.channel.loseConnection()
        else:
            look_later(self)

    def look_later(self: Any) -> None:
        self.came = 0
        self.look = asyncio.get_running_loop().call_later(LEAST_WITHIN_SECONDS, look, self)

    def begin_to_look(self: Any, length: int | None) -> None:
        self._parsePOSTFormSubmission = False
        begin(self, length)
        if length != 0:
            look_later(self)

    def count(self: Any, data: bytes) -> None:
        self.came += len(data)
        keep(self, data)

    def look_no_more(self: Any) -> None:
        if look := getattr(self, "look", None):
            look.cancel()

    def end_looked_at(self: Any, *words: bytes) -> None:
        look_no_more(self)
        end(self, *words)

    def lose_looked_at(self: Any, reason: Any) -> None:
        look_no_more(self)
        lose(self, reason)

    request_class.gotLength, request_class.handleContentChunk = begin_to_look, count
    request_class.requestReceived, request_class.connectionLost = end_looked_at, lose_looked_at


class BodyLimitMiddleware(Unthreaded):
    """413 for what `LimitedBody` has cut off, and under WSGI for what Content-Length announces.

    The last of the middleware, so that its page has all that a page needs; none before it reads the body.
    """

    def waits_before(self, request: HttpRequest) -> bool:
        """The page that refuses does."""
        return is_too_large(request)

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse before anything reads on."""
        return too_large(request) if is_too_large(request) else None


def is_too_large(request: HttpRequest) -> bool:
    """Whether the body was cut off, or is announced to be larger than what its address takes."""
    known = "Authorization" in request.headers or settings.SESSION_COOKIE_NAME in request.COOKIES
    announced = request.headers.get("Content-Length", "")
    return getattr(request, "scope", {}).get(MARK, False) or exceeds(
        announced, limit_for(request.path_info, known=known)
    )
