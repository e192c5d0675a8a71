"""Shares of limits that were reached, and a month that leads above its budget: each entered once a period."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import islice

from django.conf import settings

from accounts.limits import SANDBOX, Guard, Unit, every_guard, scope_of
from accounts.models import BudgetNotice, QuotaPeriod
from accounts.money import amount, dollars
from accounts.periods import Window, month_of
from accounts.projection import projected_micros

# In percent, the lowest first.
THRESHOLDS = (50, 80, 100)
PROJECTION = 0
# An hour's pace says nothing of a month: before a tenth of the budget is used no projection is told.
LEAST_TO_PROJECT = 10
# What could not be told within this time is no news any more.
NEWS_FOR = timedelta(days=1)
BATCH = 400

Key = tuple[str, str, date, str]


def find(*, now: datetime) -> None:
    """Enter what is reached of the limits in force, and that the month leads above the site's budget.

    Of several shares reached at once only the highest is to be told; those below it are entered as told.
    """
    every = every_guard(provider=settings.PROVIDER, now=now)
    while batch := list(islice(every, BATCH)):
        _enter(_reached(batch, now))
    _enter(_projected(now))


def _reached(guards: list[Guard], now: datetime) -> Iterator[BudgetNotice]:
    """A notice for each share that is used or held, the highest first, of every limit of `guards`."""
    rows = QuotaPeriod.objects.filter(
        scope__in={guard.scope for guard in guards}, starts_on__in={guard.window.starts_on for guard in guards}
    )
    found = {(row.scope, row.period, row.starts_on): row for row in rows}
    for guard in guards:
        if row := found.get(guard.key):
            counts, micros = row.settled_count + row.reserved_count, row.settled_micros + row.reserved_micros
            yield from _shares(guard, "count", counts, guard.count_limit, now)
            yield from _shares(guard, "usd", micros, guard.micros_limit, now)


def _shares(guard: Guard, unit: Unit, used: int, limit: int | None, now: datetime) -> Iterator[BudgetNotice]:
    """Nothing of a limit of 0: it was reached before anything was asked for."""
    for threshold in reversed(THRESHOLDS):
        if limit and used * 100 >= threshold * limit:
            detail = f"{amount(unit, used)} of {amount(unit, limit)} a {guard.window.period} are used or held."
            yield _notice(guard.scope, guard.window, unit, threshold, used, limit, detail, now)


def _projected(now: datetime) -> Iterator[BudgetNotice]:
    month, budget = month_of(now), settings.SITE_MONTHLY_USD_MICROS
    scope = scope_of("site", provider=settings.PROVIDER)
    row = QuotaPeriod.objects.filter(scope=scope, period="month", starts_on=month.starts_on).first()
    if settings.PROVIDER == SANDBOX or not budget or row is None:
        return
    if (row.settled_micros + row.reserved_micros) * LEAST_TO_PROJECT < budget:
        return
    end = projected_micros(provider=settings.PROVIDER, now=now)
    if end > budget:
        detail = f"At the pace of the last days the month ends at {dollars(end)}; its budget is {dollars(budget)}."
        yield _notice(scope, month, "usd", PROJECTION, end, budget, detail, now)


def _notice(
    scope: str, window: Window, unit: Unit, threshold: int, used: int, limit: int, detail: str, now: datetime
) -> BudgetNotice:
    return BudgetNotice(
        scope=scope,
        period=window.period,
        starts_on=window.starts_on,
        unit=unit,
        threshold=threshold,
        used=used,
        limit=limit,
        detail=f"{detail} All of it is simulated." if scope.startswith(f"{SANDBOX}/") else detail,
        created_at=now,
    )


def _enter(reached: Iterable[BudgetNotice]) -> None:
    """Insert those that are not there yet; of two processes that do, one makes each row."""
    notices = list(reached)
    rows = BudgetNotice.objects.filter(
        scope__in={notice.scope for notice in notices}, starts_on__in={notice.starts_on for notice in notices}
    )
    known = {(*_key(row), row.threshold) for row in rows} if notices else set()
    highest: set[Key] = set()
    fresh = []
    for notice in notices:
        if notice.threshold and _key(notice) in highest:
            notice.mailed_at = notice.posted_at = notice.created_at
        highest.add(_key(notice))
        if (*_key(notice), notice.threshold) not in known:
            fresh.append(notice)
    BudgetNotice.objects.bulk_create(fresh, ignore_conflicts=True)


def _key(notice: BudgetNotice) -> Key:
    return notice.scope, notice.period, notice.starts_on, notice.unit
