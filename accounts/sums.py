"""The daily and monthly sums that oversight reads, changed in the ledger's transactions.

An end is a state of a prediction: `succeeded`, `lost`, `failed`, `canceled` or `aborted`. What is passed over to
another attempt has not ended.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import F, QuerySet

from accounts.models import DailySpend, LedgerEntry, MonthlySpend

Kind = LedgerEntry.Kind
COLUMNS = ("ended", "count", "micros", "estimated_micros")


def book(entry: LedgerEntry) -> None:
    """Add what an outcome or a correction says to its day."""
    if entry.end:
        _add(entry, entry.end, figures_of(entry))


def move(entry: LedgerEntry, *, was: str) -> None:
    """What was booked for the entry's reference so far ended otherwise than `was`: as the entry says."""
    so_far = [0, 0, 0, 0]
    for earlier in LedgerEntry.objects.filter(reference=entry.reference, id__lt=entry.pk).exclude(end=""):
        so_far = [a + b for a, b in zip(so_far, figures_of(earlier), strict=True)]
    # Two that move between the same rows in opposite directions must not wait for each other.
    for end, figures in sorted([(was, [-figure for figure in so_far]), (entry.end, so_far)]):
        _add(entry, end, figures)


def figures_of(entry: LedgerEntry) -> list[int]:
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
    """To the day and then to its month, in this order everywhere."""
    changes = {name: F(name) + figure for name, figure in zip(COLUMNS, figures, strict=True)}
    named = {"user_scope": entry.user_scope, "model": entry.model, "end": end}
    daily = DailySpend(day=entry.booked_on, user_id=entry.user_id, provider=entry.provider, **named)
    monthly = MonthlySpend(day=entry.booked_on.replace(day=1), provider=entry.provider, **named)
    _change(DailySpend.objects.filter(day=daily.day, **named), daily, changes)
    _change(MonthlySpend.objects.filter(day=monthly.day, **named), monthly, changes)


def _change(rows: QuerySet[Any, Any], blank: DailySpend | MonthlySpend, changes: dict[str, Any]) -> None:
    """One UPDATE; where there is no row yet, `blank` is made first, which a rival may do as well."""
    if not rows.update(**changes):
        rows.bulk_create([blank], ignore_conflicts=True)
        rows.update(**changes)
