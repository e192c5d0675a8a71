"""A creator's month, counted once more from the ledger after many moments of chance."""

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts import quotas, reports
from accounts.models import LedgerEntry, User
from accounts.periods import month_of
from accounts.tests.factories import hold, make_user

pytestmark = pytest.mark.django_db
LIMITS = ["daily_count_limit", "monthly_count_limit", "daily_micros_limit", "monthly_micros_limit"]
MODELS = ["google/nano-banana", "bytedance/seedance-1-lite", "x/y"]


def live_through(chance: random.Random, user: User, begin: datetime) -> None:
    """One reservation somewhere in ten weeks around `begin`, and what becomes of it."""
    now = begin + timedelta(hours=chance.randrange(-35 * 24, 35 * 24))
    entry = hold(user, chance.randrange(1, 90_000), provider="sandbox", now=now, model=chance.choice(MODELS))
    later = now + timedelta(hours=chance.choice([0, 1, 30]))
    fate = chance.randrange(5)
    if fate == 0:
        quotas.release(reference=entry.reference, reason="", end=chance.choice(["failed", "canceled"]), now=later)
    elif fate < 4:
        quotas.settle(
            reference=entry.reference,
            amount_micros=chance.randrange(90_000),
            estimated=chance.random() < 0.3,
            end=chance.choice(["succeeded", "succeeded", "canceled", "failed"]),
            now=later,
        )
    if 0 < fate < 4 and chance.random() < 0.4:
        quotas.correct(reference=entry.reference, amount_micros=-5, count=0, reason="a refund", now=later)
    if 0 < fate < 4 and chance.random() < 0.4:
        quotas.relabel(reference=entry.reference, end="lost", reason="", now=later)


class TestThisMonth:
    @pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
    def test_is_what_the_ledger_says(self, settings: Settings, zone: str) -> None:
        settings.TIME_ZONE = zone
        now = datetime(2026, 7, 16, 12, tzinfo=ZoneInfo(zone))
        chance = random.Random(7)
        unlimited: dict[str, Any] = dict.fromkeys(LIMITS)
        user = make_user(**unlimited)
        for _ in range(150):
            live_through(chance, user, now)

        month = reports.this_month(user=user, now=now)

        charged = LedgerEntry.objects.filter(
            kind__in=["settle", "correct"], booked_on__range=("2026-07-01", "2026-07-31")
        )
        by_day, by_model = Counter[object](), Counter[str]()
        for entry in charged:
            by_day[entry.booked_on] += entry.amount_micros
            by_model[entry.model] += entry.amount_micros
        booked = quotas.usage(user=user, now=now).month
        assert {day: micros for day, micros in month.days if micros} == {k: v for k, v in by_day.items() if v}
        assert {found.name: found.micros for found in month.models if found.micros} == dict(by_model)
        assert month.micros == booked.usd.settled == sum(found.micros for found in month.ends)
        assert sum(found.count for found in month.models) == booked.count.settled
        assert {found.name for found in month.ends} == {"succeeded", "lost", "failed", "canceled"}
        assert len(month.days) == 31 and month.days[0][0] == month_of(now).starts_on

    def test_is_one_statement(self) -> None:
        user = make_user()

        with CaptureQueriesContext(connection) as queries:
            reports.this_month(user=user, now=datetime(2026, 7, 16, 12, tzinfo=ZoneInfo("UTC")))

        assert len(queries) == 1
