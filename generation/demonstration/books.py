"""The books of made-up runs: ledger entries as the product enters them, and the counters and daily sums that follow."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts.limits import scope_of
from accounts.models import DailySpend, LedgerEntry, MonthlySpend, QuotaPeriod
from accounts.sums import COLUMNS
from generation.demonstration.story import LATER, Run
from generation.demonstration.tables import Row, Table, Written
from generation.lifecycle.hearing import WITHOUT_CHARGE
from generation.states import OPEN_AT_PROVIDER, Status

Kind: Final = LedgerEntry.Kind
Key = tuple[str, str, date]
# Day or first of the month, the user's place, model, end.
SumKey = tuple[date, int, str, str]
COUNTERS: Final = ("reserved_count", "reserved_micros", "settled_count", "settled_micros")


class Books:
    """Keeps in mind what the entries come to, and writes it down in the end."""

    def __init__(self, *, users: Sequence[int], provider: str) -> None:
        self._provider = provider
        self._users = users
        self._site = scope_of("site", provider=provider)
        self._scopes = [scope_of("user", user, provider=provider) for user in users]
        self._periods: dict[Key, int] = {}
        # Of the run whose entries are made just now: its quota rows, and its day.
        self._touched: list[int] = []
        self._written, self._day = Written("[]"), date.min
        self._counted: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._sums: defaultdict[SumKey, list[int]] = defaultdict(lambda: [0, 0, 0, 0])

    def open(self, runs: Iterable[Run]) -> None:
        """Have the quota rows that the runs touch."""
        keys = {key for run in runs for key in self._keys(run)} - self._periods.keys()
        rows = [QuotaPeriod(scope=scope, period=period, starts_on=day) for scope, period, day in sorted(keys)]
        QuotaPeriod.objects.bulk_create(rows, ignore_conflicts=True)
        found = QuotaPeriod.objects.filter(
            scope__in={scope for scope, *_ in keys}, starts_on__in={day for *_, day in keys}
        )
        for pk, scope, period, day in found.values_list("pk", "scope", "period", "starts_on"):
            self._periods[scope, period, day] = pk

    def spent(self, user: int, *, month: date) -> int:
        """Micro-dollars that the user at this place has settled in a month so far."""
        return self._counted[self._periods.get((self._scopes[user], "month", month), 0)][3]

    def entries(self, run: Run, attempts: Sequence[UUID]) -> Iterator[Row]:
        """What the ledger has of a run, in order; `attempts` are its creates at the provider, the last one last."""
        first, last = attempts[0], attempts[-1]
        self._touched = [self._periods[key] for key in self._keys(run)]
        self._written, self._day = Written(str(self._touched)), _day(run)
        yield self._entry(run, Kind.RESERVE, first, run.at)
        if first != last:
            again = run.at + run.waited
            yield self._entry(run, Kind.RELEASE, first, again, reason=f"passed over to {last}")
            yield self._entry(run, Kind.RESERVE, last, again, reason=f"passed over from {first}")
        if run.status in OPEN_AT_PROVIDER:
            self._count(run, run.offer.quote.amount_micros, held=True)
            return
        figures = [1, int(run.charged), run.micros, run.micros if run.estimated else 0]
        yield self._outcome(run, last)
        if run.status is Status.LOST:
            reason = "Charged, and the files could not be saved in time"
            yield self._correction(run, last, 0, reason, run.ends_at)
        if run.correction is not None:
            reason = "The provider's invoice says otherwise"
            yield self._correction(run, last, run.correction, reason, run.ends_at + LATER)
            figures[2] += run.correction
        self._count(run, figures[2], held=False)
        sums = self._sums[self._day, run.user, run.offer.spec.id, str(run.status)]
        sums[:] = [a + b for a, b in zip(sums, figures, strict=True)]

    def close(self) -> None:
        """Write counters and daily sums."""
        table = connection.ops.quote_name(QuotaPeriod._meta.db_table)
        changes = ", ".join(f"{name} = {name} + %s" for name in COUNTERS)
        with connection.cursor() as cursor:
            update = f"UPDATE {table} SET {changes} WHERE id = %s"  # noqa: S608  (the model's own names)  # nosec B608
            cursor.executemany(update, [(*counts, pk) for pk, counts in self._counted.items()])
        Table(DailySpend).write({**row, "user_id": self._users[user]} for user, row in self._rows(self._sums))
        months: defaultdict[SumKey, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for (day, user, model, end), figures in self._sums.items():
            month = months[day.replace(day=1), user, model, end]
            month[:] = [a + b for a, b in zip(month, figures, strict=True)]
        Table(MonthlySpend).write(row for _, row in self._rows(months))

    def _rows(self, sums: Mapping[SumKey, list[int]]) -> Iterator[tuple[int, Row]]:
        """Each with the place of its user."""
        for (day, user, model, end), figures in sorted(sums.items()):
            named = {"day": day, "user_scope": self._scopes[user], "provider": self._provider}
            yield user, named | {"model": model, "end": end} | dict(zip(COLUMNS, figures, strict=True))

    def _keys(self, run: Run) -> Iterator[Key]:
        """Site before user, day before month, as a reservation touches them."""
        day = _day(run)
        first = day.replace(day=1)
        for scope in (self._site, self._scopes[run.user]):
            yield scope, "day", day
            yield scope, "month", first

    def _count(self, run: Run, micros: int, *, held: bool) -> None:
        """Released runs are in no counter."""
        if not held and not run.charged and not micros:
            return
        count = 1 if held else int(run.charged)
        change = [count, micros, 0, 0] if held else [0, 0, count, micros]
        for pk in self._touched:
            counts = self._counted[pk]
            counts[:] = [a + b for a, b in zip(counts, change, strict=True)]

    def _outcome(self, run: Run, reference: UUID) -> Row:
        if not run.charged:
            reason = WITHOUT_CHARGE[run.status]
            return self._entry(run, Kind.RELEASE, reference, run.ends_at, reason=reason, end=run.status)
        # That the files are lost is found out later.
        end = Status.SUCCEEDED if run.status is Status.LOST else run.status
        facts = {"amount_micros": run.micros, "estimated": run.estimated, "end": end}
        return self._entry(run, Kind.SETTLE, reference, run.ends_at, **facts)

    def _correction(self, run: Run, reference: UUID, micros: int, reason: str, at: datetime) -> Row:
        facts = {"amount_micros": micros, "count": 0, "end": run.status}
        return self._entry(run, Kind.CORRECT, reference, at, reason=reason, **facts)

    def _entry(self, run: Run, kind: str, reference: UUID, at: datetime, **facts: Any) -> Row:
        return {
            "kind": str(kind),
            "reference": reference,
            "user_id": self._users[run.user],
            "user_scope": self._scopes[run.user],
            "provider": self._provider,
            "model": run.offer.spec.id,
            "count": 1,
            "amount_micros": run.offer.quote.amount_micros,
            "periods": self._written,
            "booked_on": self._day,
            "created_at": at,
            **facts,
        }


def _day(run: Run) -> date:
    return timezone.localdate(run.at)
