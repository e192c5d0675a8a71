"""The daily sums that oversight reads, changed in the ledger's transactions and recounted from it.

An end is a state of a prediction: `succeeded`, `lost`, `failed`, `canceled` or `aborted`. What is passed over to
another attempt has not ended.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from accounts.models import DailySpend, LedgerEntry
from accounts.money import dollars

Kind = LedgerEntry.Kind
COLUMNS = ("ended", "count", "micros", "estimated_micros")
# How an entry names its row: day, user_scope, model, end.
Key = tuple[date, str, str, str]


def book(entry: LedgerEntry) -> None:
    """Add what an outcome or a correction says to its day."""
    if entry.end:
        _add(entry, entry.end, _figures(entry))


def move(entry: LedgerEntry, *, was: str) -> None:
    """What was booked for the entry's reference so far ended otherwise than `was`: as the entry says."""
    so_far = [0, 0, 0, 0]
    for earlier in LedgerEntry.objects.filter(reference=entry.reference, id__lt=entry.pk).exclude(end=""):
        so_far = [a + b for a, b in zip(so_far, _figures(earlier), strict=True)]
    # Two that move between the same rows in opposite directions must not wait for each other.
    for end, figures in sorted([(was, [-figure for figure in so_far]), (entry.end, so_far)]):
        _add(entry, end, figures)


def _figures(entry: LedgerEntry) -> list[int]:
    """What one entry adds to its row, in the order of `COLUMNS`."""
    charged = entry.kind != Kind.RELEASE
    micros = entry.amount_micros if charged else 0
    return [
        int(entry.kind != Kind.CORRECT),
        entry.count if charged else 0,
        micros,
        micros if entry.estimated else 0,
    ]


def _add(entry: LedgerEntry, end: str, figures: Iterable[int]) -> None:
    key = {"day": entry.booked_on, "user_scope": entry.user_scope, "model": entry.model, "end": end}
    changes = {name: F(name) + figure for name, figure in zip(COLUMNS, figures, strict=True)}
    rows = DailySpend.objects.filter(**key)
    if rows.update(**changes):
        return
    DailySpend.objects.bulk_create(
        [DailySpend(user_id=entry.user_id, provider=entry.provider, **key)], ignore_conflicts=True
    )
    rows.update(**changes)


def recount(*, now: datetime, since: date | None = None) -> list[str]:
    """Set sums that disagree with the ledger right, of the days from `since` on; a sentence for each."""
    days = {} if since is None else {"booked_on__gte": since}
    truth = _count(LedgerEntry.objects.filter(**days))
    rows = DailySpend.objects.all() if since is None else DailySpend.objects.filter(day__gte=since)
    seen = {_key(row): [getattr(row, name) for name in COLUMNS] for row in rows.iterator()}
    suspects = [key for key in seen.keys() | truth.keys() if seen.get(key, [0] * 4) != truth.get(key, [0] * 4)]
    return [f"{now:%Y-%m-%d %H:%M}: {wrong}" for key in sorted(suspects) if (wrong := _repair(key))]


def _key(row: DailySpend) -> Key:
    return row.day, row.user_scope, row.model, row.end


def _repair(key: Key) -> str:
    """Write what the ledger says of one row, alone and locked; empty when it was right after all."""
    day, user_scope, model, end = key
    named = {"day": day, "user_scope": user_scope, "model": model, "end": end}
    entries = LedgerEntry.objects.filter(booked_on=day, user_scope=user_scope, model=model)
    with transaction.atomic():
        some = entries.first()
        if some is not None:
            blank = DailySpend(user_id=some.user_id, provider=some.provider, **named)
            DailySpend.objects.bulk_create([blank], ignore_conflicts=True)
        row = DailySpend.objects.select_for_update().filter(**named).first()
        if row is None:
            return ""
        was = [getattr(row, name) for name in COLUMNS]
        truth = _count(entries).get(key, [0] * 4)
        if was == truth:
            return ""
        DailySpend.objects.filter(pk=row.pk).update(**dict(zip(COLUMNS, truth, strict=True)))
    return f"{row} said {_words(was)}; the ledger says {_words(truth)}"


def _words(figures: list[int]) -> str:
    ended, count, micros, _ = figures
    return f"{ended} ended, {count} charged ({dollars(micros)})"


def _count(entries: "QuerySet[LedgerEntry, Any]") -> dict[Key, list[int]]:
    """The sums by row, each reference under the end that was entered last."""
    ends: dict[UUID, str] = {}
    figures: defaultdict[UUID, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    places: dict[UUID, tuple[date, str, str]] = {}
    for entry in entries.exclude(end="").order_by("id").iterator():
        ends[entry.reference] = entry.end
        places[entry.reference] = (entry.booked_on, entry.user_scope, entry.model)
        figures[entry.reference] = [a + b for a, b in zip(figures[entry.reference], _figures(entry), strict=True)]
    totals: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for reference, end in ends.items():
        key = (*places[reference], end)
        totals[key] = [a + b for a, b in zip(totals[key], figures[reference], strict=True)]
    return {key: total for key, total in totals.items() if any(total)}
