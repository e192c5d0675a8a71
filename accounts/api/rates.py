"""Headers that say how much of a limit is left, on every answer of what is limited."""

import math
from datetime import datetime
from typing import Any

from accounts import quotas
from accounts.api.openapi import RATE_HEADERS, header
from accounts.models import User


def rate_headers(*, limit: int, remaining: int, reset_seconds: float) -> dict[str, str]:
    """The three, as whole numbers that are not negative."""
    values = (limit, max(0, remaining), max(0, math.ceil(reset_seconds)))
    return dict(zip(RATE_HEADERS, map(str, values), strict=True))


def count_headers(*, user: User, now: datetime, usage: quotas.Usage | None = None) -> dict[str, str]:
    """Of a user's generations: the day's or the month's, whichever leaves less; none where nothing limits.

    `usage` is how the user stands, where that is known already.
    """
    usage = usage or quotas.usage(user=user, now=now)
    bound = [period for period in (usage.day, usage.month) if period.count.remaining is not None]
    if not bound:
        return {}
    least = min(bound, key=lambda period: period.count.remaining or 0)
    return rate_headers(
        limit=least.count.limit or 0,
        remaining=least.count.remaining or 0,
        reset_seconds=(least.resets_at - now).total_seconds(),
    )


def told(*statuses: int) -> list[Any]:
    """The description of the three on these answers."""
    return [header(name, meaning, on=statuses, type=int) for name, meaning in RATE_HEADERS.items()]
