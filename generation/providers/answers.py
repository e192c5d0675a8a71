"""Replicate's answers read into our words: predictions, refusals and times, however odd they come."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from generation.providers.base import (
    InputRefused,
    NoCredit,
    NotFound,
    ProviderPrediction,
    RateLimited,
    Refused,
    Unauthenticated,
    Unavailable,
)

LOG_TAIL: Final = 64 * 1024
LONGEST_ERROR: Final = 20_000
LONGEST_WORD: Final = 40
DEEPEST: Final = 32
# No database and few clients hold a larger whole number.
MOST_WHOLE: Final = 2**63 - 1
PREDICTION_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
# "Request was throttled. Your rate limit resets in ~7s."
RESETS_IN: Final = re.compile(r"resets in ~?\s?([0-9]{1,6}(?:\.[0-9]{1,6})?)\s?(ms|s|m)?", re.IGNORECASE)
SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60}
# "Your rate limit for creating predictions is reduced to 6 requests per minute with a burst of 1 requests while you
# have less than $5.0 in credit." The usual limits are hundreds a minute.
PER_MINUTE: Final = re.compile(r"\b([0-9]{1,6})\s(?:\w+\s)?(?:per|a|every)\sminute", re.IGNORECASE)
LITTLE_CREDIT: Final = re.compile(r"less than \$\s?[0-9.,]{1,12} (?:in|of) credit", re.IGNORECASE)
LOW_PER_MINUTE: Final = 60
USUAL_LOW_PER_MINUTE: Final = 6


def read_prediction(raw: Any) -> ProviderPrediction:
    """A prediction object of Replicate's, from an answer or a webhook; `id` is empty where it names none we can use.

    Raises `TypeError` when it is no object. What PostgreSQL cannot keep (U+0000, half surrogates, NaN) is replaced,
    and of the logs the end is kept.
    """
    if not isinstance(raw, dict):
        raise TypeError("a prediction is a JSON object")
    kept: dict[str, Any] = storable(raw)
    logs = _text(kept.get("logs"))[-LOG_TAIL:]
    kept["logs"] = logs
    name, metrics, given = kept.get("id"), kept.get("metrics"), kept.get("input")
    return ProviderPrediction(
        id=name if isinstance(name, str) and PREDICTION_ID.fullmatch(name) else "",
        status=_text(kept.get("status"))[:LONGEST_WORD],
        model=_text(kept.get("model")),
        input=given if isinstance(given, dict) else {},
        output=kept.get("output"),
        error=_text(kept.get("error"))[:LONGEST_ERROR],
        logs=logs,
        metrics=metrics if isinstance(metrics, dict) else {},
        data_removed=kept.get("data_removed") is True,
        created_at=read_time(kept.get("created_at")),
        started_at=read_time(kept.get("started_at")),
        completed_at=read_time(kept.get("completed_at")),
        deadline=read_time(kept.get("deadline")),
        raw=kept,
    )


def storable(value: Any, depth: int = 0) -> Any:
    """A JSON value without what a database refuses; what lies deeper than 32 levels is dropped."""
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > MOST_WHOLE:
        return None
    if isinstance(value, dict | list) and depth >= DEEPEST:
        return None
    if isinstance(value, dict):
        return {UNSTORABLE.sub("\ufffd", str(key)): storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item, depth + 1) for item in value]
    return value


def _text(value: Any) -> str:
    """Words as they are, nothing as nothing, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_time(value: Any) -> datetime | None:
    """An ISO 8601 time in UTC (a missing zone is UTC); None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_refusal(status: int, headers: Mapping[str, str], body: Any, *, now: datetime) -> Refused | None:
    """The refusal that a status of 400 or above means; None unless the body is the provider's own JSON.

    Replicate answers RFC 7807: `title`, `detail`, `status`, and `invalid_fields` or `retry_after` where they apply.
    """
    if not isinstance(body, dict):
        return None
    words = [body[name] for name in ("title", "detail") if isinstance(body.get(name), str)]
    if not words:
        return None
    detail = UNSTORABLE.sub("\ufffd", ": ".join(words))[:LONGEST_ERROR]
    wait = _retry_after(headers, body, detail, now=now)
    if status in (400, 413, 415, 422):
        return InputRefused(detail, status=status, invalid_fields=_invalid_fields(body.get("invalid_fields")))
    if status == 429:
        return RateLimited(detail, status=status, retry_after=wait, per_minute=_low_per_minute(detail))
    kinds = {401: Unauthenticated, 402: NoCredit, 403: Unauthenticated, 404: NotFound}
    kind = Unavailable if status >= 500 else kinds.get(status, Refused)
    return kind(detail, status=status, retry_after=wait)


def _low_per_minute(detail: str) -> int | None:
    """The creates a minute that an account low on credit is held to; None when the sentence speaks of no such thing."""
    named = PER_MINUTE.search(detail)
    if named and 0 < int(named[1]) < LOW_PER_MINUTE:
        return int(named[1])
    return USUAL_LOW_PER_MINUTE if LITTLE_CREDIT.search(detail) else None


def _invalid_fields(given: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in given if isinstance(given, list) else []:
        if isinstance(item, dict) and isinstance(item.get("field"), str):
            name = UNSTORABLE.sub("\ufffd", item["field"]).removeprefix("input.")
            found[name] = UNSTORABLE.sub("\ufffd", _text(item.get("description")))[:LONGEST_ERROR]
    return found


def _retry_after(headers: Mapping[str, str], body: Mapping[str, Any], detail: str, *, now: datetime) -> float | None:
    """Seconds, 1 to 600: from the body, which is reliable, else the header, else the sentence."""
    named = [_seconds(body.get("retry_after")), _header_seconds(headers.get("retry-after", ""), now)]
    if sentence := RESETS_IN.search(detail):
        named.append(float(sentence[1]) * SECONDS[(sentence[2] or "s").lower()])
    found = next((seconds for seconds in named if seconds is not None), None)
    return None if found is None else min(max(found, 1.0), 600.0)


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _header_seconds(value: str, now: datetime) -> float | None:
    seconds = _seconds(value.strip())
    if seconds is not None or not value:
        return seconds
    try:
        at = parsedate_to_datetime(value)
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
