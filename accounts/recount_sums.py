"""The daily sums counted anew from the ledger, and the monthly ones from the daily."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncMonth

from accounts.models import DailySpend, LedgerEntry, MonthlySpend
from accounts.money import dollars
from accounts.snapshot import one_moment
from accounts.sums import COLUMNS, figures_of

# How a row is named: day, user_scope, model, end.
Key = tuple[date, str, str, str]
NAMES = ("day", "user_scope", "model", "end")
Figures = dict[Key, list[int]]
NOTHING = [0, 0, 0, 0]


def recount(*, now: datetime, since: date | None = None) -> list[str]:
    """Set sums right that disagree with the ledger, of the days from `since` on; a sentence for each.

    `since` is the first of a month. Spending may go on meanwhile: what differs is looked at again, alone and locked,
    before it is called wrong.
    """
    later = {} if since is None else {"day__gte": since}
    booked = LedgerEntry.objects.filter(**({} if since is None else {"booked_on__gte": since}))
    with one_moment():
        days = _differing(_entered(DailySpend.objects.filter(**later)), _counted(booked))
    wrong = [_repair_day(key) for key in days]
    with one_moment():
        daily = DailySpend.objects.filter(**later)
        months = _differing(_entered(MonthlySpend.objects.filter(**later)), _added_up(daily))
    wrong += [_repair_month(key) for key in months]
    return [f"{now:%Y-%m-%d %H:%M}: {sentence}" for sentence in wrong if sentence]


def _differing(seen: Figures, truth: Figures) -> list[Key]:
    return sorted(key for key in seen.keys() | truth.keys() if seen.get(key, NOTHING) != truth.get(key, NOTHING))


def _entered(rows: QuerySet[Any, Any]) -> Figures:
    columns = rows.values_list(*NAMES, *COLUMNS)
    return {(day, scope, model, end): list(figures) for day, scope, model, end, *figures in columns.iterator()}


def _repair_day(key: Key) -> str:
    day, scope, model, _ = key
    entries = LedgerEntry.objects.filter(booked_on=day, user_scope=scope, model=model)
    return _repair(DailySpend, key, entries, lambda: _counted(entries))


def _repair_month(key: Key) -> str:
    day, scope, model, end = key
    last = {"day__year": day.year, "day__month": day.month}
    rows = DailySpend.objects.filter(user_scope=scope, model=model, end=end, **last)
    return _repair(MonthlySpend, key, rows, lambda: _added_up(rows))


def _repair(
    model: type[DailySpend | MonthlySpend],
    key: Key,
    sources: QuerySet[Any, Any],
    count: Callable[[], Figures],
) -> str:
    """Write what the sources say of one row, alone and locked; empty when it was right after all."""
    named: dict[str, Any] = dict(zip(NAMES, key, strict=True))
    rows: QuerySet[Any, Any] = model._default_manager.filter(**named)
    with transaction.atomic():
        some = sources.first()
        if some is not None:
            more = {"user_id": some.user_id} if model is DailySpend else {}
            rows.bulk_create([model(provider=some.provider, **named, **more)], ignore_conflicts=True)
        row = rows.select_for_update().first()
        if row is None:
            return ""
        was, truth = [getattr(row, name) for name in COLUMNS], count().get(key, NOTHING)
        if was == truth:
            return ""
        rows.update(**dict(zip(COLUMNS, truth, strict=True)))
    kind = "" if model is DailySpend else "the month from "
    return f"{kind}{row} said {_words(was)}; the ledger says {_words(truth)}"


def _words(figures: list[int]) -> str:
    ended, count, micros, _ = figures
    return f"{ended} ended, {count} charged ({dollars(micros)})"


def _counted(entries: "QuerySet[LedgerEntry, Any]") -> Figures:
    """The sums by row, each reference under the end that was entered last."""
    ends: dict[UUID, str] = {}
    figures: defaultdict[UUID, list[int]] = defaultdict(lambda: list(NOTHING))
    places: dict[UUID, tuple[date, str, str]] = {}
    for entry in entries.exclude(end="").order_by("id").iterator():
        ends[entry.reference] = entry.end
        places[entry.reference] = (entry.booked_on, entry.user_scope, entry.model)
        figures[entry.reference] = [a + b for a, b in zip(figures[entry.reference], figures_of(entry), strict=True)]
    totals: defaultdict[Key, list[int]] = defaultdict(lambda: list(NOTHING))
    for reference, end in ends.items():
        key = (*places[reference], end)
        totals[key] = [a + b for a, b in zip(totals[key], figures[reference], strict=True)]
    return dict(totals)


def _added_up(days: "QuerySet[DailySpend, Any]") -> Figures:
    """The sums of each month."""
    sums = {f"total_{name}": Sum(name) for name in COLUMNS}
    rows = days.order_by().annotate(month=TruncMonth("day")).values_list("month", *NAMES[1:]).annotate(**sums)
    return {(month, scope, model, end): figures for month, scope, model, end, *figures in rows}
