"""The daily and monthly sums that oversight reads, changed in the ledger's transactions.

An end is a state of a prediction: `succeeded`, `lost`, `failed`, `canceled` or `aborted`. What is passed over to
another attempt has not ended.
"""

from collections.abc import Iterable
from typing import Any

from accounts.models import DailySpend, LedgerEntry, MonthlySpend
from accounts.statements import add_up

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
    named: dict[str, Any] = {
        "user_scope": entry.user_scope,
        "provider": entry.provider,
        "model": entry.model,
        "end": end,
    }
    named |= dict(zip(COLUMNS, figures, strict=True))
    add_up(DailySpend(day=entry.booked_on, user_id=entry.user_id, **named), COLUMNS)
    add_up(MonthlySpend(day=entry.booked_on.replace(day=1), **named), COLUMNS)
