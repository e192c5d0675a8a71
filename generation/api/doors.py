"""What keeps a request from becoming a prediction, as the answer to it; and the key that makes it repeatable."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.api.problems import Problem, invalid
from accounts.api.rates import rate_headers
from accounts.moments import moment
from accounts.money import usd
from accounts.quotas import QuotaExceeded
from accounts.storage_room import StorageFull
from generation import catalog, lifecycle, pauses

KEY_HEADER: Final = "Idempotency-Key"
KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
KEY_PARAMETER = OpenApiParameter(
    KEY_HEADER,
    {"type": "string", "pattern": f"^{KEY.pattern}$"},
    OpenApiParameter.HEADER,
    description="1 to 200 visible ASCII characters. The same key and body answer the same prediction.",
)


def idempotency_key(request: Request) -> str | None:
    """The request's key, None without one; raises `Problem` (422) for one that cannot be kept."""
    key: str | None = request.headers.get(KEY_HEADER)
    if key is not None and not KEY.fullmatch(key):
        raise invalid({KEY_HEADER: "Give 1 to 200 visible ASCII characters, or leave it out."})
    return key


@contextmanager
def doors(now: datetime) -> Iterator[None]:
    """Turn the refusals of `generation.lifecycle` into `Problem`s."""
    try:
        yield
    except QuotaExceeded as error:
        raise over_limit(error, now) from None
    except lifecycle.IdempotencyConflict:
        raise Problem(
            status=422,
            code="idempotency_key_reused",
            detail="This idempotency key came with another request before. Give each request a key of its own.",
            errors=[(KEY_HEADER, "It belongs to another request.")],
        ) from None
    except lifecycle.SubmissionsClosed as error:
        raise Problem(
            status=503,
            code="submissions_closed",
            detail=error.sentence,
            headers={"Retry-After": str(error.retry_after_seconds)},
        ) from None
    except lifecycle.QueueFull as error:
        raise full(error) from None
    except pauses.Paused as error:
        raise paused(error) from None
    except StorageFull as error:
        raise no_room(error) from None
    except lifecycle.EmailNotConfirmed:
        raise Problem(status=403, code="email_not_confirmed", detail=UNCONFIRMED) from None
    except lifecycle.ModelUnavailable as error:
        raise invalid({"model": gone(error.model, error.fallback)}) from None
    except catalog.UnknownModel:
        raise invalid({"model": "This studio no longer offers the model."}) from None


MAKE_ROOM: Final = "Delete something and empty the trash to make room. Nothing was started."
UNCONFIRMED: Final = "Confirm your e-mail address first; until then nothing is generated."


def gone(model: str, fallback: str) -> str:
    """That the provider dropped the model, and what to ask for in its place."""
    proposal = f" {fallback} does the same kind of work." if fallback else ""
    return f"The provider no longer offers {model}.{proposal}"


def over_limit(error: QuotaExceeded, now: datetime) -> Problem:
    """402 for money, 429 for a count, with the limit and the moment at which it resets."""
    money = error.unit == "usd"
    seconds = max(1, math.ceil((error.resets_at - now).total_seconds()))
    rate = {} if money else rate_headers(limit=error.limit, remaining=0, reset_seconds=seconds)
    return Problem(
        status=402 if money else 429,
        code="over_budget" if money else "over_count",
        detail=str(error),
        headers={"Retry-After": str(seconds)} | rate,
        extra={
            "limit": {
                "scope": error.scope,
                "period": error.period,
                "unit": error.unit,
                "amount": usd(error.limit) if money else error.limit,
            },
            "resetsAt": moment(error.resets_at),
        },
    )


def no_room(error: StorageFull) -> Problem:
    """403 with what may be stored and what is; time alone does not change it."""
    limit = {"scope": "user", "unit": "bytes", "amount": error.room.limit}
    return Problem(status=403, code="storage_full", detail=f"{error.sentence} {MAKE_ROOM}", extra={"limit": limit})


def full(error: lifecycle.QueueFull) -> Problem:
    """429 with the number that may wait."""
    return Problem(
        status=429,
        code="queue_full",
        detail=error.sentence,
        headers={"Retry-After": str(error.retry_after_seconds)}
        | rate_headers(limit=error.limit, remaining=0, reset_seconds=error.retry_after_seconds),
        extra={"limit": {"scope": error.scope, "unit": "queued", "amount": error.limit}},
    )


def paused(error: pauses.Paused) -> Problem:
    """403 for somebody who is paused alone; 503 for a model or everything, which may be asked for again later."""
    if error.of_user:
        return Problem(status=403, code="paused", detail=error.sentence)
    headers = {"Retry-After": str(pauses.RETRY_AFTER_SECONDS)}
    return Problem(status=503, code="paused", detail=error.sentence, headers=headers)
