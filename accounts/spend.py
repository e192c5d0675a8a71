"""What the whole site has spent, added up from the daily and monthly sums: by day, user, model and end."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import F, Q, QuerySet, Sum

from accounts.limits import SANDBOX, Limit, scope_of
from accounts.models import QuotaPeriod, User
from accounts.periods import PeriodName, windows
from accounts.projection import projected_micros
from accounts.quotas import Meter
from accounts.spend_choice import ENDS, SUCCEEDED, Choice, next_month

# How many users and models have lines of their own; the rest is one line.
MOST_LINES: Final = 12
SUMS: Final = {
    "total_ended": Sum("ended"),
    "total_count": Sum("count"),
    "total_micros": Sum("micros"),
    "total_estimated": Sum("estimated_micros"),
}


@dataclass(frozen=True)
class Total:
    """How many ended and were charged, what that came to, how much of it is estimated and how much not succeeded."""

    ended: int = 0
    count: int = 0
    micros: int = 0
    estimated_micros: int = 0
    failed: int = 0
    failed_micros: int = 0

    def __add__(self, other: "Total") -> "Total":
        return Total(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def __sub__(self, other: "Total") -> "Total":
        return Total(*(a - b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def failed_percent(self) -> float:
        """Of what ended."""
        return 100 * self.failed / self.ended if self.ended else 0.0


@dataclass(frozen=True)
class Line:
    """One user's or model's total; without `key`: that of all others. `limit` is a user's a month, None: none."""

    key: str
    name: str
    total: Total
    limit: int | None = None


@dataclass(frozen=True)
class Spend:
    """All that is said of a choice. `days` has each day of it or, if it is long, the first of each month."""

    total: Total
    days: list[tuple[date, Total]]
    by_month: bool
    ends: list[tuple[str, Total]]
    models: list[Line]
    users: list[Line]


@dataclass(frozen=True)
class Standing:
    """Where the site stands just now; `projected` is the month's end in micro-dollars, at the last week's pace."""

    today: Meter
    month: Meter
    made_today: Meter
    made_this_month: Meter
    projected: int


def spend(choice: Choice, *, now: datetime) -> Spend:
    """Add up a choice: three SELECTs over each of its parts, and one for the users that are shown."""
    by_day, by_end = _by_day_and_end(choice)
    total = sum(by_end.values(), Total())
    return Spend(
        total=total,
        days=_filled(choice, by_day),
        by_month=choice.by_month,
        ends=[(end, by_end.get(end, Total())) for end in (*ENDS, *sorted(by_end.keys() - set(ENDS)))],
        models=_by_model(choice, total),
        users=_by_user(choice, total, now=now),
    )


def standing(*, now: datetime) -> Standing:
    """The site's own counters against its budget, with the provider that is configured; simulated spend has none."""
    day, month = windows(now)
    today = Q(period="day", starts_on=day.starts_on)
    this_month = Q(period="month", starts_on=month.starts_on)
    scope = scope_of("site", provider=settings.PROVIDER)
    rows = {row.period: row for row in QuotaPeriod.objects.filter(today | this_month, scope=scope)}
    return Standing(
        today=_meter("day", "micros", rows),
        month=_meter("month", "micros", rows),
        made_today=_meter("day", "count", rows),
        made_this_month=_meter("month", "count", rows),
        projected=projected_micros(provider=settings.PROVIDER, now=now),
    )


def _meter(period: PeriodName, unit: str, rows: dict[str, QuotaPeriod]) -> Meter:
    row = rows.get(period) or QuotaPeriod()
    name = f"SITE_{'DAILY' if period == 'day' else 'MONTHLY'}_{'USD_MICROS' if unit == 'micros' else 'COUNT'}"
    limit = None if settings.PROVIDER == SANDBOX else getattr(settings, name)
    return Meter(limit, getattr(row, f"settled_{unit}"), getattr(row, f"reserved_{unit}"))


def _by_day_and_end(choice: Choice) -> tuple[dict[date, Total], dict[str, Total]]:
    days: defaultdict[date, Total] = defaultdict(Total)
    ends: defaultdict[str, Total] = defaultdict(Total)
    for day, end, *figures in _summed(choice.steps(), "day", "end"):
        total = _total(end, figures)
        days[day] += total
        ends[end] += total
    return dict(days), dict(ends)


def _summed(parts: list[QuerySet[Any, Any]], *names: str) -> Iterator[Any]:
    """The sums by the columns that are named, of one part of a choice after the other."""
    for rows in parts:
        yield from rows.order_by().values_list(*names).annotate(**SUMS)


def _total(end: str, figures: list[int]) -> Total:
    ended, count, micros, estimated = figures
    failed = end != SUCCEEDED
    return Total(ended, count, micros, estimated, ended if failed else 0, micros if failed else 0)


def _filled(choice: Choice, days: dict[date, Total]) -> list[tuple[date, Total]]:
    """Days without spend have their place too."""
    totals: defaultdict[date, Total] = defaultdict(Total)
    for day, total in days.items():
        totals[day.replace(day=1) if choice.by_month else day] += total
    return [(day, totals[day]) for day in _steps(choice)]


def _steps(choice: Choice) -> Iterator[date]:
    day = choice.first.replace(day=1) if choice.by_month else choice.first
    while day <= choice.last:
        yield day
        day = next_month(day) if choice.by_month else day + timedelta(days=1)


def _by_model(choice: Choice, whole: Total) -> list[Line]:
    """The dearest first."""
    totals: defaultdict[str, Total] = defaultdict(Total)
    for model, end, *figures in _summed(choice.parts(), "model", "end"):
        totals[model] += _total(end, figures)
    lines = [Line(model, model, total) for model, total in totals.items()]
    return _shortened(sorted(lines, key=lambda line: (-line.total.micros, -line.total.ended, line.key)), whole)


def _by_user(choice: Choice, whole: Total, *, now: datetime) -> list[Line]:
    """Who has spent most first; who has no account any more is known by its number."""
    dearest = _dearest_users(choice)
    totals = {scope.rpartition(":")[2]: total for scope, total in dearest[: MOST_LINES + 2]}
    known = {str(user.pk): user for user in _with_increases(totals.keys(), now)}
    lines = [
        Line(number, user.username, total, _monthly_limit(user))
        if (user := known.get(number))
        else Line(number, f"no. {number}", total)
        for number, total in totals.items()
    ]
    return _shortened(lines, whole)


def _dearest_users(choice: Choice) -> list[tuple[str, Total]]:
    """Scopes with their totals; of a choice of one part the first of them only."""
    failed = ~Q(end=SUCCEEDED)
    failures = {"failed": Sum("ended", filter=failed), "failed_micros": Sum("micros", filter=failed)}
    totals: defaultdict[str, Total] = defaultdict(Total)
    parts = choice.parts()
    for part in parts:
        rows = part.values_list("user_scope").annotate(**SUMS, **failures)
        rows = rows.order_by(F("total_micros").desc(), F("total_ended").desc(), "user_scope")
        for scope, *figures in rows[: MOST_LINES + 2] if len(parts) == 1 else rows:
            totals[scope] += Total(*(figure or 0 for figure in figures))
    return sorted(totals.items(), key=lambda item: (-item[1].micros, -item[1].ended, item[0]))


def _shortened(lines: list[Line], whole: Total) -> list[Line]:
    """At most `MOST_LINES` and one more, which holds what the others came to."""
    if len(lines) <= MOST_LINES + 1:
        return lines
    kept = lines[:MOST_LINES]
    return [*kept, Line("", "All others", whole - sum((line.total for line in kept), Total()))]


def _with_increases(ids: Iterable[str], now: datetime) -> Iterable[Any]:
    increases = Q(limit_increases__unit="usd", limit_increases__period="month", limit_increases__expires_at__gt=now)
    return User.objects.filter(pk__in=list(ids)).annotate(increase=Sum("limit_increases__amount", filter=increases))


def _monthly_limit(user: Any) -> int | None:
    """Micro-dollars; what binds the user just now, as `accounts.limits` has it."""
    return Limit(user.monthly_micros_limit, user.increase or 0, user.own_monthly_micros_limit).in_force
