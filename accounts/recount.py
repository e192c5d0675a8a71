"""The quota counters counted anew from the ledger, which is the truth they are a cache of."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from accounts import sums
from accounts.models import LedgerEntry, QuotaPeriod
from accounts.money import dollars

Kind = LedgerEntry.Kind


@dataclass
class Counters:
    """What the ledger says of one period, in the columns of `QuotaPeriod`."""

    reserved_count: int = 0
    reserved_micros: int = 0
    settled_count: int = 0
    settled_micros: int = 0

    def differs(self, row: QuotaPeriod) -> bool:
        return any(getattr(row, name) != value for name, value in vars(self).items())

    def __str__(self) -> str:
        held = f"{self.reserved_count} held ({dollars(self.reserved_micros)})"
        return f"{held}, {self.settled_count} settled ({dollars(self.settled_micros)})"


def recompute(*, now: datetime, since: date | None = None) -> list[str]:
    """Set counters and sums that disagree with the ledger right; a sentence for each, `now` being when it was found.

    Only the periods that begin on `since` (the first of a month) or later are looked at when it is given.
    """
    rows = QuotaPeriod.objects.all() if since is None else QuotaPeriod.objects.filter(starts_on__gte=since)
    with _one_moment():
        truth = _count(since=since)
        suspects = [row.pk for row in rows if truth[row.pk].differs(row)]
    # Spending may go on meanwhile, so what differs is looked at again, alone and locked, before it is called wrong.
    wrong = [f"{now:%Y-%m-%d %H:%M}: {sentence}" for pk in suspects if (sentence := _repair(pk))]
    return wrong + sums.recount(now=now, since=since)


@contextmanager
def _one_moment() -> Iterator[None]:
    """What is read inside is of one moment on PostgreSQL, so that nobody's spending makes the site's row a suspect.

    SQLite has it only at the price of the lock that everybody writes under.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _repair(pk: int) -> str:
    """Write what the ledger says; empty when the row was right after all.

    With the row locked its counters hold exactly the entries that have been committed: whoever books one
    changes the counters in the same transaction, and waits here.
    """
    with transaction.atomic():
        row = QuotaPeriod.objects.select_for_update().get(pk=pk)
        truth = _count(only=pk, since=row.starts_on)[pk]
        if not truth.differs(row):
            return ""
        was = Counters(**{name: getattr(row, name) for name in vars(truth)})
        QuotaPeriod.objects.filter(pk=pk).update(**vars(truth))
        return f"{row} said {was}; the ledger says {truth}"


def _count(*, only: int | None = None, since: date | None = None) -> defaultdict[int, Counters]:
    """Counters by period id, from the entries booked on `since` or later (to `only`, when it is given)."""
    counted: defaultdict[int, Counters] = defaultdict(Counters)
    for kind, count, micros, periods in _entries(since):
        for pk in periods:
            if only not in (None, pk):
                continue
            counters = counted[pk]
            if kind == Kind.RESERVE:
                counters.reserved_count += count
                counters.reserved_micros += micros
            else:
                counters.settled_count += count
                counters.settled_micros += micros
    return counted


def _entries(since: date | None) -> Iterator[tuple[str, int, int, list[int]]]:
    """Open reservations, settlements and corrections: what was released is in no counter."""
    ended = LedgerEntry.objects.filter(reference=OuterRef("reference"), kind__in=[Kind.SETTLE, Kind.RELEASE])
    held = LedgerEntry.objects.filter(~Exists(ended), kind=Kind.RESERVE)
    booked = LedgerEntry.objects.filter(kind__in=[Kind.SETTLE, Kind.CORRECT])
    for entries in (held, booked):
        if since is not None:
            entries = entries.filter(booked_on__gte=since)
        yield from entries.order_by().values_list("kind", "count", "amount_micros", "periods").iterator()
