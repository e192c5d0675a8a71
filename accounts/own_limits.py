"""The limits that a creator sets for themselves, below what an administrator allows."""

from collections.abc import Mapping
from dataclasses import replace

from accounts.limits import Limit, Unit, column
from accounts.models import User
from accounts.periods import PeriodName

MOST_COUNT = 2**31 - 1
MOST_MICROS = 1_000_000 * 1_000_000


def set_own_limits(*, user: User, limits: Mapping[tuple[PeriodName, Unit], int | None]) -> None:
    """Set the limits that are given, counts or micro-dollars; None takes one away.

    Any amount is kept: one above what is granted has no effect for as long as it is, one below what is spent lets
    nothing more start until the period is over. Raises `ValueError` for what is no limit, and then changes nothing.
    """
    for (_, unit), limit in limits.items():
        if limit is not None and not 0 <= limit <= (MOST_MICROS if unit == "usd" else MOST_COUNT):
            raise ValueError(f"{limit} is not a limit.")
    changes = {f"own_{column(*key)}": limit for key, limit in limits.items()}
    User.objects.filter(pk=user.pk, is_active=True).update(**changes)


def binds(limit: Limit) -> bool:
    """Whether it is the user's own limit that counts."""
    return limit.in_force != allowed(limit)


def allowed(limit: Limit) -> int | None:
    """What an administrator allows, what was added for a while included; None: any amount."""
    return replace(limit, own=None).in_force
