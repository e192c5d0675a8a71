"""Old rows on their way up: every entry gets its day and its end, and the daily sums are those of the ledger."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.apps.registry import Apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from pytest_django import Settings

from accounts import quotas
from accounts.models import DailySpend, LedgerEntry, MonthlySpend
from accounts.tests.factories import NOON

BEFORE = ("accounts", "0005_alerts_and_circuits")
FILLED = ("accounts", "0007_fill_daily_spend")
# Late on 15 July in UTC, and the 16th in Kathmandu already.
LATE = datetime(2026, 7, 15, 20, tzinfo=UTC)


def migrate(*target: tuple[str, str]) -> Apps:
    """The schema and the models of another time."""
    executor = MigrationExecutor(connection)
    executor.migrate(list(target))
    return MigrationExecutor(connection).loader.project_state(list(target)).apps


@pytest.fixture
def old(settings: Settings) -> Iterator[Apps]:
    """The models as they were before limits and sums; in the end everything is as it was."""
    settings.TIME_ZONE = "Asia/Kathmandu"
    yield migrate(BEFORE)
    call_command("migrate", verbosity=0)


class Ledger:
    """An old ledger, written entry by entry."""

    def __init__(self, apps: Apps) -> None:
        self.entries = apps.get_model("accounts", "LedgerEntry").objects
        self.user = apps.get_model("accounts", "User").objects.create(username="ines", email="ines@example.org")
        periods = apps.get_model("accounts", "QuotaPeriod").objects
        starts = {"day": date(2026, 7, 16), "month": date(2026, 7, 1)}
        self.periods = [
            periods.create(scope=scope, period=period, starts_on=starts[period]).pk
            for scope in ("site", f"user:{self.user.pk}")
            for period in ("day", "month")
        ]

    def reserve(self, micros: int = 39_000) -> uuid.UUID:
        reference = uuid.uuid4()
        self.enter("reserve", reference, micros)
        return reference

    def enter(self, kind: str, reference: uuid.UUID, micros: int = 39_000, **fields: Any) -> None:
        self.entries.create(
            **{
                "kind": kind,
                "reference": reference,
                "user": self.user,
                "user_scope": f"user:{self.user.pk}",
                "provider": "replicate",
                "model": "google/nano-banana",
                "count": 1,
                "amount_micros": micros,
                "periods": self.periods,
                "created_at": LATE,
            }
            | fields
        )


def write_old_rows(apps: Apps) -> None:
    """Each way in which a reservation could end."""
    ledger = Ledger(apps)
    ledger.enter("settle", ledger.reserve(), 30_000, estimated=True)
    ledger.enter("release", ledger.reserve(), reason="Canceled before it started")
    ledger.enter("release", ledger.reserve(), reason="Not started in time")
    lost = ledger.reserve()
    ledger.enter("release", lost, reason="The request was lost on its way.")
    ledger.enter("correct", lost, 39_000, reason="Found later")
    passed = ledger.reserve()
    ledger.enter("release", passed, reason=f"passed over to {uuid.uuid4()}")
    ledger.enter("correct", passed, 1_000, reason="Found later")
    ledger.reserve()


@pytest.mark.django_db(transaction=True)
class TestFillingTheDailySums:
    def test_gives_every_entry_its_day_and_its_end_and_sums_them_up(self, old: Apps) -> None:
        write_old_rows(old)

        call_command("migrate", verbosity=0)

        assert set(LedgerEntry.objects.values_list("booked_on", flat=True)) == {date(2026, 7, 16)}
        ends = LedgerEntry.objects.exclude(kind="reserve").order_by("id").values_list("kind", "end")
        assert list(ends) == [
            ("settle", "succeeded"),
            ("release", "canceled"),
            ("release", "aborted"),
            ("release", "failed"),
            ("correct", "failed"),
            ("release", ""),
            ("correct", "failed"),
        ]
        rows = DailySpend.objects.values_list("end", "ended", "count", "micros", "estimated_micros")
        assert sorted(rows) == [
            ("aborted", 1, 0, 0, 0),
            ("canceled", 1, 0, 0, 0),
            ("failed", 1, 2, 40_000, 0),
            ("succeeded", 1, 1, 30_000, 30_000),
        ]
        assert [line for line in quotas.recompute(now=NOON) if "ended" in line] == []
        months = MonthlySpend.objects.values_list("end", "ended", "count", "micros", "estimated_micros")
        assert sorted(months) == sorted(rows)
        assert set(MonthlySpend.objects.values_list("day", flat=True)) == {date(2026, 7, 1)}

    def test_goes_by_the_clock_on_the_wall_where_an_entry_names_no_day(self, old: Apps) -> None:
        Ledger(old).enter("reserve", uuid.uuid4(), periods=[])

        call_command("migrate", verbosity=0)

        assert LedgerEntry.objects.get().booked_on == date(2026, 7, 16)

    def test_may_be_done_again_after_a_way_back(self, old: Apps) -> None:
        write_old_rows(old)
        migrate(FILLED)
        migrate(("accounts", "0006_money_and_oversight"))

        call_command("migrate", verbosity=0)

        assert DailySpend.objects.count() == 4

    def test_bears_an_empty_ledger(self, old: Apps) -> None:
        call_command("migrate", verbosity=0)

        assert not DailySpend.objects.exists()
