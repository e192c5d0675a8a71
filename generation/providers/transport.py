"""How calls to the provider travel: once, bounded in time and size, and every fault told apart by what it proves."""

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from generation.providers.answers import read_refusal
from generation.providers.base import AnswerLost, NotSent

# httpx raises these before the first byte of a request has left.
BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class OnceTransport(httpx.BaseTransport):
    """Sends a request once and hands back only 2xx answers with a JSON body, read whole.

    All else is raised from here, as `NotSent`, `AnswerLost` or a `Refused`: before the package's own retry layer,
    which sleeps for as long as a server says, and its error parser, which loses `retry_after` and `invalid_fields`,
    could see it. Redirects are not followed: the token stays with the origin it belongs to. A request's extension
    `most_bytes` overrides the cap on its answer.
    """

    def __init__(self, *, most_bytes: int, answer_seconds: float, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=20, keepalive_expiry=5)
        self._inner = httpx.HTTPTransport(trust_env=False, retries=0, limits=limits)
        self._most_bytes = most_bytes
        self._answer_seconds = answer_seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises `NotSent`, `AnswerLost` and the `Refused` errors."""
        what = f"{request.method} {request.url.path}"
        try:
            answer = self._inner.handle_request(request)
            try:
                body = self._read(answer, what, request.extensions.get("most_bytes", self._most_bytes))
            finally:
                answer.close()
        except BEFORE_SENDING as error:
            # The text of a protocol error may repeat a header, and one of them is the token.
            raise NotSent(f"{what}: {type(error).__name__}") from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise AnswerLost(f"{what}: {type(error).__name__}") from None
        return self._judge(answer, body, what)

    def _read(self, answer: httpx.Response, what: str, most_bytes: int) -> bytes:
        """The decoded body; a server that drips or pours does not hold the caller."""
        give_up_at = time.monotonic() + self._answer_seconds
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > most_bytes:
                raise AnswerLost(f"{what}: the answer is larger than {most_bytes} bytes")
            if time.monotonic() > give_up_at:
                raise AnswerLost(f"{what}: the answer took more than {self._answer_seconds} seconds")
        return bytes(body)

    def _judge(self, answer: httpx.Response, body: bytes, what: str) -> httpx.Response:
        content = _json(body)
        status = answer.status_code
        refusal = read_refusal(status, answer.headers, content, now=datetime.now(UTC)) if status >= 400 else None
        if refusal:
            raise refusal
        if not 200 <= status < 300 or not isinstance(content, dict):
            raise AnswerLost(f"{what}: {status} without an answer of the provider's own", status=status)
        kept = {name: answer.headers[name] for name in ("date",) if name in answer.headers}
        return httpx.Response(status, content=body, headers={"content-type": "application/json", **kept})

    def close(self) -> None:
        self._inner.close()


def _json(body: bytes) -> Any:
    """The value, or None for what is no JSON: HTML, bytes, numbers of a million digits, endless nesting."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
