"""Shares of limits that were reached, and a month that leads above its budget: each entered once a period."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext

from accounts.limits import SANDBOX, Guard, Unit, every_guard, scope_of
from accounts.models import BudgetNotice, QuotaPeriod
from accounts.money import amount
from accounts.periods import Window, a_period, month_of
from accounts.projection import projected_micros

# In percent, the lowest first.
THRESHOLDS = (50, 80, 100)
PROJECTION = 0
# An hour's pace says nothing of a month: before a tenth of the budget is used no projection is told.
LEAST_TO_PROJECT = 10
# What could not be told within this time is no news any more.
NEWS_FOR = timedelta(days=1)
BATCH = 400


class Share(NamedTuple):
    """So much of one limit, or where the month leads: everything that a notice says."""

    scope: str
    window: Window
    unit: Unit
    threshold: int
    used: int
    limit: int

    @property
    def key(self) -> tuple[str, str, date, str, int]:
        """Entered once, as the table has it."""
        return self.scope, self.window.period, self.window.starts_on, self.unit, self.threshold

    def __str__(self) -> str:
        used, limit = amount(self.unit, self.used), amount(self.unit, self.limit)
        said = gettext("%(used)s of %(limit)s %(a_period)s are used or held.")
        if self.threshold == PROJECTION:
            said = gettext("At the pace of the last days the month ends at %(used)s; its budget is %(limit)s.")
        said %= {"used": used, "limit": limit, "a_period": a_period(self.window.period)}
        return f"{said} {gettext('All of it is simulated.')}" if self.scope.startswith(f"{SANDBOX}/") else said


def find(*, now: datetime) -> None:
    """Enter what is reached of the limits in force, and that the month leads above the site's budget.

    Of several shares reached at once only the highest is to be told; those below it are entered as told.
    """
    every = every_guard(provider=settings.PROVIDER, now=now)
    while batch := list(islice(every, BATCH)):
        _enter(list(_reached(batch)), now)
    _enter(list(_projected(now)), now)


def _reached(guards: list[Guard]) -> Iterator[Share]:
    """What is used or held of every limit of `guards`, the highest share of each first."""
    rows = QuotaPeriod.objects.filter(
        scope__in={guard.scope for guard in guards}, starts_on__in={guard.window.starts_on for guard in guards}
    )
    figures = ("settled_count", "reserved_count", "settled_micros", "reserved_micros")
    found = {tuple(row[:3]): row[3:] for row in rows.values_list("scope", "period", "starts_on", *figures)}
    for guard in guards:
        settled_count, reserved_count, settled, reserved = found.get(guard.key, (0, 0, 0, 0))
        yield from _shares(guard, "count", settled_count + reserved_count, guard.count_limit)
        yield from _shares(guard, "usd", settled + reserved, guard.micros_limit)


def _shares(guard: Guard, unit: Unit, used: int, limit: int | None) -> Iterator[Share]:
    """Nothing of a limit of 0: it was reached before anything was asked for."""
    for threshold in reversed(THRESHOLDS):
        if limit and used * 100 >= threshold * limit:
            yield Share(guard.scope, guard.window, unit, threshold, used, limit)


def _projected(now: datetime) -> Iterator[Share]:
    month, budget = month_of(now), settings.SITE_MONTHLY_USD_MICROS
    scope = scope_of("site", provider=settings.PROVIDER)
    row = QuotaPeriod.objects.filter(scope=scope, period="month", starts_on=month.starts_on).first()
    if settings.PROVIDER == SANDBOX or not budget or row is None:
        return
    if (row.settled_micros + row.reserved_micros) * LEAST_TO_PROJECT < budget:
        return
    end = projected_micros(provider=settings.PROVIDER, now=now)
    if end > budget:
        yield Share(scope, month, "usd", PROJECTION, end, budget)


def _enter(shares: list[Share], now: datetime) -> None:
    """Insert those that are not there yet; of two processes that do, one makes each row."""
    if not shares:
        return
    rows = BudgetNotice.objects.filter(
        scope__in={share.scope for share in shares}, starts_on__in={share.window.starts_on for share in shares}
    )
    known = set(rows.values_list("scope", "period", "starts_on", "unit", "threshold"))
    higher: set[tuple[object, ...]] = set()
    fresh = []
    for share in shares:
        *limit, _ = share.key
        told_at = now if tuple(limit) in higher else None
        higher.add(tuple(limit))
        if share.key not in known:
            fresh.append(_notice(share, now, told_at))
    BudgetNotice.objects.bulk_create(fresh, ignore_conflicts=True)


def _notice(share: Share, now: datetime, told_at: datetime | None) -> BudgetNotice:
    return BudgetNotice(
        scope=share.scope,
        period=share.window.period,
        starts_on=share.window.starts_on,
        unit=share.unit,
        threshold=share.threshold,
        used=share.used,
        limit=share.limit,
        detail=str(share),
        created_at=now,
        mailed_at=told_at,
        posted_at=told_at,
    )
