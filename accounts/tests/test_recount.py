"""Where counters disagree with the ledger, the ledger is believed."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from accounts import quotas, recount
from accounts.models import LedgerEntry, QuotaPeriod, User
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


@pytest.mark.django_db
class TestTwoRecountsAtOnce:
    def test_mend_what_both_have_found_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hold(make_user())
        QuotaPeriod.objects.filter(scope="site").update(reserved_count=F("reserved_count") + 3)
        repair, outcomes = recount._repair, []

        def both(row: QuotaPeriod, truth: Any) -> bool:
            outcomes.append([repair(row, truth), repair(row, truth)])
            return True

        monkeypatch.setattr(recount, "_repair", both)

        assert len(quotas.recompute(now=NOON)) == 2
        assert outcomes == [[True, False]] * 2
        assert set(QuotaPeriod.objects.values_list("reserved_count", flat=True)) == {1}


@pytest.mark.django_db(transaction=True)
class TestSpendingMeanwhile:
    @pytest.fixture
    def user(self) -> User:
        user = make_user()
        hold(user)
        return user

    def spend(self, user: User) -> None:
        """Another connection books something, and would wait for ever for a lock that is held here."""

        def book() -> None:
            try:
                hold(user)
            finally:
                connection.close()

        run_together([threading.Thread(target=book)])

    def test_is_no_difference(self, monkeypatch: pytest.MonkeyPatch, user: User) -> None:
        count = recount._count

        def count_and_let_spend(**given: Any) -> Any:
            truth = count(**given)
            self.spend(user)
            return truth

        monkeypatch.setattr(recount, "_count", count_and_let_spend)
        # The rows that everybody spends from are not looked at twice, and nobody waits for the count.
        monkeypatch.setattr(recount, "_repair", lambda row, truth: pytest.fail(f"{row} was right"))

        assert quotas.recompute(now=NOON) == []
        assert LedgerEntry.objects.count() == 2

    def test_stays_when_a_difference_is_mended(self, monkeypatch: pytest.MonkeyPatch, user: User) -> None:
        QuotaPeriod.objects.update(settled_micros=F("settled_micros") + 9)
        repair = recount._repair

        def spend_and_repair(row: QuotaPeriod, truth: Any) -> bool:
            self.spend(user)
            return repair(row, truth)

        monkeypatch.setattr(recount, "_repair", spend_and_repair)

        assert len(quotas.recompute(now=NOON)) == 4
        monkeypatch.setattr(recount, "_repair", repair)
        assert quotas.recompute(now=NOON) == []
        row = QuotaPeriod.objects.get(scope="site", period="day")
        assert (row.reserved_count, row.settled_micros) == (5, 0)
