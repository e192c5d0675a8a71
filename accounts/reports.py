"""What a creator has spent: this month by day, model and end, and entry by entry."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import DailySpend, LedgerEntry, User
from accounts.periods import month_of
from accounts.quotas import scope_of

# In the order in which they are told.
ENDS = ("succeeded", "lost", "failed", "canceled", "aborted")


@dataclass(frozen=True)
class Sum:
    """What runs of one model, or with one end, came to: how many ended, how many were charged, and how much."""

    name: str
    ended: int
    count: int
    micros: int


@dataclass(frozen=True)
class Month:
    """One user's month, by the day on which each amount was reserved. `days` has each day, those to come included.

    `models` come dearest first; `estimated_micros` is what the provider gave no figures for.
    """

    days: list[tuple[date, int]]
    models: list[Sum]
    ends: list[Sum]
    micros: int
    estimated_micros: int


def this_month(*, user: User, now: datetime) -> Month:
    """What the user's daily sums say, with the provider that is configured; one SELECT."""
    window = month_of(now)
    end = window.resets_at.date()
    sums = DailySpend.objects.filter(user_scope=_scope(user), day__gte=window.starts_on, day__lt=end)
    rows = list(sums.values_list("day", "model", "end", "ended", "count", "micros", "estimated_micros"))
    charged: defaultdict[date, int] = defaultdict(int)
    for day, *_, micros, _ in rows:
        charged[day] += micros
    days = (window.starts_on + timedelta(days=n) for n in range((end - window.starts_on).days))
    models = _added((model, figures) for _, model, _, *figures, _ in rows)
    ends = {found.name: found for found in _added((how, figures) for _, _, how, *figures, _ in rows)}
    return Month(
        days=[(day, charged[day]) for day in days],
        models=sorted(models, key=lambda found: (-found.micros, -found.ended, found.name)),
        ends=[ends[name] for name in ENDS if name in ends],
        micros=sum(charged.values()),
        estimated_micros=sum(estimated for *_, estimated in rows),
    )


def ledger(*, user: User) -> QuerySet[LedgerEntry]:
    """The user's own entries with the provider that is configured, newest first."""
    return LedgerEntry.objects.filter(user_scope=_scope(user)).order_by("-id")


def _added(rows: Iterable[tuple[str, list[int]]]) -> list[Sum]:
    totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for name, figures in rows:
        totals[name] = [a + b for a, b in zip(totals[name], figures, strict=True)]
    return [Sum(name, *total) for name, total in totals.items() if any(total)]


def _scope(user: User) -> str:
    return scope_of("user", user.pk, provider=settings.PROVIDER)
