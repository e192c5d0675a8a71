"""Where counters disagree with the ledger, the ledger is believed."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from accounts import quotas, recount
from accounts.models import LedgerEntry, QuotaPeriod
from accounts.tests.factories import NOON, hold, make_user
from accounts.tests.test_reserve import run_together


@pytest.mark.django_db
class TestRecompute:
    def test_sets_wrong_counters_right_and_says_so(self) -> None:
        user = make_user()
        quotas.settle(reference=hold(user).reference, amount_micros=30_000, estimated=False, end="succeeded", now=NOON)
        hold(user)
        day = QuotaPeriod.objects.filter(scope="site", period="day")
        day.update(reserved_count=7, settled_micros=F("settled_micros") + 1)

        wrong = quotas.recompute(now=NOON)

        assert len(wrong) == 1
        assert "site day 2026-07-16" in wrong[0]
        row = day.get()
        assert (row.reserved_count, row.reserved_micros) == (1, 39_000)
        assert (row.settled_count, row.settled_micros) == (1, 30_000)

    def test_finds_nothing_the_second_time(self) -> None:
        hold(make_user())
        QuotaPeriod.objects.update(reserved_count=0)

        assert len(quotas.recompute(now=NOON)) == 4
        assert quotas.recompute(now=NOON) == []

    def test_never_touches_the_ledger(self) -> None:
        hold(make_user())
        QuotaPeriod.objects.update(reserved_micros=1)
        before = list(LedgerEntry.objects.values())

        quotas.recompute(now=NOON)

        assert list(LedgerEntry.objects.values()) == before


@pytest.mark.django_db(transaction=True)
class TestSpendingMeanwhile:
    def test_is_no_difference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        user, looked_at = make_user(), []
        hold(user)
        count, repair = recount._count, recount._repair

        def spend() -> None:
            try:
                hold(user)
            finally:
                connection.close()

        def count_and_let_spend(**given: Any) -> Any:
            truth = count(**given)
            if "only" not in given:
                run_together([threading.Thread(target=spend)])
            return truth

        def noted(pk: int) -> str:
            looked_at.append(pk)
            return repair(pk)

        monkeypatch.setattr(recount, "_count", count_and_let_spend)
        monkeypatch.setattr(recount, "_repair", noted)

        assert quotas.recompute(now=NOON) == []
        assert LedgerEntry.objects.count() == 2
        # The rows that everybody spends from are not locked for a count that may take a while.
        assert looked_at == [] or connection.vendor == "sqlite"
