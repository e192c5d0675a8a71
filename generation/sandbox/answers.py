"""What a call is and what an answer is, with the refusals in Replicate's own words."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

PROBLEM = "application/problem+json"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request, its body read; header names are lower case. `base` is our origin as the caller sees it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    base: str

    def arguments(self) -> dict[str, str]:
        """The query string's arguments."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON; raises `Problem`."""
        try:
            return json.loads(self.body or b"null")
        except ValueError:
            raise Problem(400, "The request body is not valid JSON") from None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer. `chunks` is sent instead of `body` when given; `length` is the announced one then.

    `broken` says how the connection ends: "" keeps it, "close" closes it after what was sent, "reset" resets it,
    and with status 0 nothing is sent at all, after `pause` seconds. With `head_bytes_per_second` the headers come at
    that speed and never end.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterator[bytes] | None = None
    length: int | None = None
    broken: str = ""
    pause: float = 0.0
    head_bytes_per_second: float = 0.0


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    return Answer(status=status, body=json.dumps(value).encode(), headers=headers or {})


class Problem(Exception):
    """A refusal: problem+json with detail and status, and whatever more belongs to it."""

    def __init__(self, status: int, detail: str, *, title: str = "", **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {**({"title": title} if title else {}), "detail": detail, "status": status, **more}

    def answer(self) -> Answer:
        """As it goes over the wire."""
        return Answer(status=self.status, body=json.dumps(self.body).encode(), content_type=PROBLEM)


def refusal(status: int, *, retry_after: int = 7) -> Problem:
    """The refusal Replicate itself sends with that status."""
    if status == 401:
        return Problem(401, "You did not pass a valid authentication token", title="Unauthenticated")
    if status == 402:
        detail = (
            "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to "
            "purchase credit. Once you purchase credit, please wait a few minutes before trying again."
        )
        return Problem(402, detail, title="Insufficient credit")
    if status == 403:
        return Problem(403, "You do not have permission to perform this action.", title="Forbidden")
    if status == 404:
        return Problem(404, "The requested resource could not be found.")
    if status == 422:
        fields = [{"type": "invalid", "field": "prompt", "description": "prompt is not accepted"}]
        return invalid_input(fields)
    if status == 429:
        detail = f"Request was throttled. Your rate limit for creating predictions resets in ~{retry_after}s."
        return Problem(429, detail, retry_after=retry_after)
    return Problem(status, "Something went wrong on our side.", title="Internal server error")


def invalid_input(fields: list[dict[str, str]]) -> Problem:
    """422 with `invalid_fields`."""
    lines = "".join(f"- {item['description']}\n" for item in fields)
    return Problem(422, lines, title="Input validation failed", invalid_fields=fields)
