"""A reservation is admitted when every limit has room for it, and leaves no trace when one has not."""

import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from accounts import quotas
from accounts.models import LedgerEntry, QuotaPeriod, User
from accounts.quotas import QuotaExceeded
from accounts.tests.factories import NOON, hold, make_token, make_user


@pytest.mark.django_db
class TestReserve:
    def test_holds_count_and_amount_in_every_period(self) -> None:
        user = make_user()
        token_id = make_token(user).pk

        entry = hold(user, token_id=token_id)

        rows = QuotaPeriod.objects.order_by("id")
        assert [(row.scope, row.period) for row in rows] == [
            ("site", "day"),
            ("site", "month"),
            (f"user:{user.pk}", "day"),
            (f"user:{user.pk}", "month"),
            (f"token:{token_id}", "day"),
            (f"token:{token_id}", "month"),
        ]
        assert {(row.reserved_count, row.reserved_micros) for row in rows} == {(1, 39_000)}
        assert entry.periods == [row.pk for row in rows]

    def test_books_simulated_spend_to_scopes_of_its_own(self, settings: Settings) -> None:
        settings.SITE_DAILY_USD_MICROS = 0

        hold(make_user(), provider="sandbox")

        assert all(row.scope.startswith("sandbox/") for row in QuotaPeriod.objects.all())

    def test_fills_a_limit_to_the_last_micro_dollar(self) -> None:
        user = make_user(daily_micros_limit=78_000)

        hold(user)
        hold(user)

        with pytest.raises(QuotaExceeded):
            hold(user, amount_micros=1)

    @pytest.mark.parametrize(
        ("limits", "period", "unit", "limit"),
        [
            ({"daily_count_limit": 0}, "day", "count", 0),
            ({"monthly_count_limit": 0}, "month", "count", 0),
            ({"daily_micros_limit": 38_999}, "day", "usd", 38_999),
            ({"monthly_micros_limit": 38_999}, "month", "usd", 38_999),
        ],
    )
    def test_names_the_limit_that_refused(self, limits: dict[str, Any], period: str, unit: str, limit: int) -> None:
        with pytest.raises(QuotaExceeded) as refused:
            hold(make_user(**limits))

        error = refused.value
        assert (error.scope, error.period, error.unit, error.limit) == ("user", period, unit, limit)
        day = 17 if period == "day" else 1
        assert error.resets_at == datetime(2026, 7 if period == "day" else 8, day, tzinfo=UTC)

    def test_says_it_in_one_sentence(self) -> None:
        with pytest.raises(QuotaExceeded) as refused:
            hold(make_user(daily_micros_limit=0))

        assert str(refused.value) == (
            "Your limit of $0.00 a day does not allow this; it resets on 17 July at 00:00 (UTC)."
        )

    def test_obeys_the_budget_of_the_site(self, settings: Settings) -> None:
        settings.SITE_MONTHLY_USD_MICROS = 39_000
        hold(make_user("ines"))

        with pytest.raises(QuotaExceeded) as refused:
            hold(make_user("rui"))

        assert (refused.value.scope, refused.value.period) == ("site", "month")

    def test_leaves_nothing_behind_when_refused(self) -> None:
        user = make_user(monthly_micros_limit=0)

        with transaction.atomic(), pytest.raises(QuotaExceeded):
            hold(user)

        assert not QuotaPeriod.objects.exclude(reserved_count=0, reserved_micros=0).exists()
        assert not LedgerEntry.objects.exists()

    def test_is_held_after_all_where_somebody_makes_room_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        user = make_user(daily_count_limit=1)
        first = hold(user)
        met = quotas._met

        def met_later(guards: Any, *, made: bool = False) -> Any:
            # Between the UPDATE that refused and the look at what refused.
            if not made:
                quotas.release(reference=first.reference, reason="", end="failed", now=NOON)
            return met(guards, made=made)

        monkeypatch.setattr(quotas, "_met", met_later)

        assert hold(user).periods == first.periods

        assert quotas.recompute(now=NOON) == []
        assert set(QuotaPeriod.objects.values_list("reserved_count", flat=True)) == {1}

    def test_goes_by_the_limits_in_force_not_by_the_object_in_hand(self) -> None:
        user = make_user()
        User.objects.update(daily_count_limit=0)

        with pytest.raises(QuotaExceeded):
            hold(user)

    def test_passes_without_limits(self) -> None:
        user = make_user(
            daily_count_limit=None, monthly_count_limit=None, daily_micros_limit=None, monthly_micros_limit=None
        )

        hold(user, amount_micros=10**12)

        assert quotas.usage(user=user, now=NOON).day.usd.remaining is None

    def test_is_blocked_by_an_actual_above_the_estimate(self) -> None:
        user = make_user(daily_micros_limit=100_000)
        entry = hold(user, amount_micros=20_000)
        quotas.settle(reference=entry.reference, amount_micros=100_001, estimated=False, end="succeeded", now=NOON)

        with pytest.raises(QuotaExceeded):
            hold(user, amount_micros=0)

    def test_refuses_a_negative_amount(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            hold(make_user(), amount_micros=-1)


@pytest.mark.django_db(transaction=True)
class TestParallelReservations:
    @pytest.mark.parametrize("limits", [{"daily_count_limit": 10}, {"daily_micros_limit": 399_999}])
    def test_fifty_against_room_for_ten_admit_exactly_ten(self, limits: dict[str, Any]) -> None:
        user = make_user(**limits)
        outcomes: list[str] = []
        start = threading.Barrier(50)

        def attempt() -> None:
            start.wait()
            try:
                hold(user)
                outcomes.append("admitted")
            except QuotaExceeded:
                outcomes.append("refused")
            finally:
                connection.close()

        run_together([threading.Thread(target=attempt) for _ in range(50)])

        assert Counter(outcomes) == {"admitted": 10, "refused": 40}
        assert quotas.usage(user=user, now=NOON).day.count.reserved == 0  # the sandbox's books stay empty
        assert QuotaPeriod.objects.get(scope=f"user:{user.pk}", period="day").reserved_count == 10
        assert LedgerEntry.objects.count() == 10

    def test_many_accounts_stay_within_the_budget_of_the_site(self, settings: Settings) -> None:
        settings.SITE_DAILY_USD_MICROS = 5 * 39_000
        users = [make_user(f"user{number}") for number in range(20)]
        outcomes: list[str] = []
        start = threading.Barrier(20)

        def attempt(user: User) -> None:
            start.wait()
            try:
                hold(user)
                outcomes.append("admitted")
            except QuotaExceeded as refused:
                outcomes.append(refused.scope)
            finally:
                connection.close()

        run_together([threading.Thread(target=attempt, args=[user]) for user in users])

        assert Counter(outcomes) == {"admitted": 5, "site": 15}

    def test_counters_are_right_while_others_spend(self) -> None:
        user = make_user()
        wrong: list[str] = []

        def spend() -> None:
            try:
                for _ in range(5):
                    quotas.settle(
                        reference=hold(user).reference, amount_micros=1, estimated=False, end="succeeded", now=NOON
                    )
            finally:
                connection.close()

        def look() -> None:
            try:
                for _ in range(10):
                    wrong.extend(quotas.recompute(now=NOON))
            finally:
                connection.close()

        run_together([threading.Thread(target=work) for work in (spend, spend, spend, look)])

        assert wrong == []
        assert QuotaPeriod.objects.get(scope="site", period="day").settled_count == 15

    def test_one_end_of_a_reservation_wins(self) -> None:
        entry = hold(make_user())
        won: list[str] = []
        start = threading.Barrier(12)

        def end(number: int) -> None:
            start.wait()
            try:
                if number % 2:
                    ended = quotas.settle(
                        reference=entry.reference, amount_micros=5, estimated=False, end="succeeded", now=NOON
                    )
                else:
                    ended = quotas.release(reference=entry.reference, reason="failed", end="failed", now=NOON)
                won.extend(["won"] if ended else [])
            finally:
                connection.close()

        run_together([threading.Thread(target=end, args=[number]) for number in range(12)])

        assert won == ["won"]
        assert set(QuotaPeriod.objects.values_list("reserved_count", "reserved_micros")) == {(0, 0)}
        assert quotas.recompute(now=NOON) == []


def run_together(threads: list[threading.Thread]) -> None:
    """Start all, wait for all."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
