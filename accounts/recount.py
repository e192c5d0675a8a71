"""The quota counters counted anew from the ledger, which is the truth they are a cache of."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Exists, F, OuterRef

from accounts.models import LedgerEntry, QuotaPeriod
from accounts.money import dollars
from accounts.recount_sums import recount
from accounts.snapshot import one_moment

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

    Only the periods that begin on `since` (the first of a month) or later are looked at when it is given. Counters and
    ledger are read at one moment, without a lock; whoever spends meanwhile changes both alike.
    """
    rows = QuotaPeriod.objects.all() if since is None else QuotaPeriod.objects.filter(starts_on__gte=since)
    with one_moment():
        truth = _count(since=since)
        suspects = [row for row in rows.iterator() if truth[row.pk].differs(row)]
    found = [f"{row} said {_said(row)}; the ledger says {truth[row.pk]}" for row in suspects if _repair(row, truth)]
    return [f"{now:%Y-%m-%d %H:%M}: {sentence}" for sentence in found] + recount(now=now, since=since)


def _repair(row: QuotaPeriod, truth: Mapping[int, Counters]) -> bool:
    """Add what was missing at the moment of reading, in one UPDATE that no count keeps waiting.

    What was booked since then has changed the counters by what it should have, and stays. False when another recount
    was first.
    """
    missing = {name: F(name) + value - getattr(row, name) for name, value in vars(truth[row.pk]).items()}
    as_read = QuotaPeriod.objects.filter(pk=row.pk, repairs=row.repairs)
    return as_read.update(**missing, repairs=row.repairs + 1) == 1


def _said(row: QuotaPeriod) -> Counters:
    return Counters(**{name: getattr(row, name) for name in vars(Counters())})


def _count(*, since: date | None = None) -> defaultdict[int, Counters]:
    """Counters by period id, from the entries booked on `since` or later."""
    counted: defaultdict[int, Counters] = defaultdict(Counters)
    for kind, count, micros, periods in _entries(since):
        for pk in periods:
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
