"""Rows for the oversight benchmark: a story of some thousand predictions, told again on other days by SQL.

The copies have ids and numbers of their own and the days of the same year, so that lists, indexes and sums are as long
and as mixed as real ones. Attempts and quota counters are not copied: no page that is measured adds them up.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, models
from django.utils import timezone

from accounts.models import DailySpend, LedgerEntry, MonthlySpend
from accounts.sums import COLUMNS
from generation.demonstration.tables import Table
from generation.models import Prediction

YEAR_DAYS = 365
# Each copy lies so many days before the one before it, and begins again at the end of the year.
STEP_DAYS = 3
NAMES = ("day", "user_scope", "user_id", "provider", "model", "end")


def multiply(copies: int, *, now: datetime) -> None:
    """Have every prediction and ledger entry `copies` times, and the sums of them all."""
    first = timezone.localdate(now) - timedelta(days=YEAR_DAYS)
    _copy(
        Prediction, copies, first, id=_another("id"), number="number + n * 1000000", created_at=_earlier("created_at")
    )
    days = {name: _earlier(name) for name in ("created_at", "booked_on")}
    _copy(LedgerEntry, copies, first, reference=_another("reference"), **days)
    _sum_up(copies, first)


def _copy(model: type[models.Model], copies: int, first: date, **changes: str) -> None:
    """The columns as they are, or as an expression with the number of the copy as `n` says."""
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    names = [str(field.column) for field in fields]
    columns = ", ".join(f'"{name}"' for name in names)
    cells = ", ".join(changes.get(name, f'"{name}"') for name in names)
    numbers = "WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < %(copies)s)"
    table = f'"{model._meta.db_table}"'
    # The names are the models' own.
    insert = f"{numbers} INSERT INTO {table} ({columns}) SELECT {cells} FROM copy CROSS JOIN {table}"
    if connection.vendor == "sqlite":
        # SQLite wants the numbers within the SELECT.
        insert = f"INSERT INTO {table} ({columns}) {numbers} SELECT {cells} FROM copy CROSS JOIN {table}"
    with connection.cursor() as cursor:
        cursor.execute(insert, {"copies": copies - 1, "first": first.isoformat(), "step": STEP_DAYS})


def _another(column: str) -> str:
    """An id that begins with the number of the copy."""
    if connection.vendor == "postgresql":
        return f"('c0de' || lpad(to_hex(n), 4, '0') || substr(replace({column}::text, '-', ''), 9))::uuid"
    return f"printf('c0de%%04x', n) || substr({column}, 9)"


def _earlier(column: str) -> str:
    """The day or moment, so many days earlier, within the year."""
    if connection.vendor == "postgresql":
        moved = f"{column} - n * %(step)s * interval '1 day'"
        begin = "%(first)s::date"
        return f"({moved} + CASE WHEN {moved} < {begin} THEN interval '{YEAR_DAYS} days' ELSE interval '0' END)"
    moved = f"date({column}, '-' || (n * %(step)s) || ' days')"
    within = f"CASE WHEN {moved} < %(first)s THEN date({moved}, '+{YEAR_DAYS} days') ELSE {moved} END"
    return f"{within} || substr({column}, 11)"


def _sum_up(copies: int, first: date) -> None:
    """The daily sums of all copies, and the monthly ones."""
    days: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    months: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for day, *named, ended, count, micros, estimated in DailySpend.objects.values_list(*NAMES, *COLUMNS):
        for n in range(copies):
            moved = day - timedelta(days=n * STEP_DAYS)
            moved += timedelta(days=YEAR_DAYS if moved < first else 0)
            for sums, begin in ((days, moved), (months, moved.replace(day=1))):
                row = sums[begin, *named]
                row[:] = [a + b for a, b in zip(row, (ended, count, micros, estimated), strict=True)]
    for model, sums in ((DailySpend, days), (MonthlySpend, months)):
        model._default_manager.all().delete()
        Table(model).write(_row(key, figures) for key, figures in sums.items())


def _row(key: tuple[Any, ...], figures: list[int]) -> Mapping[str, Any]:
    return dict(zip(NAMES, key, strict=True)) | dict(zip(COLUMNS, figures, strict=True))
