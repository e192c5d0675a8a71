"""Where the site's month leads by the pace of the last days."""

from datetime import UTC, datetime

import pytest

from accounts import quotas
from accounts.projection import projected_micros
from accounts.tests.factories import hold, make_user

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000


def moment(day: int, hour: int = 12, *, month: int = 7) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def spend(dollars: int, *moments: datetime, provider: str = "replicate") -> None:
    """So much at each of these."""
    unlimited = dict.fromkeys(
        ["daily_count_limit", "monthly_count_limit", "daily_micros_limit", "monthly_micros_limit"]
    )
    user = make_user(f"user{moments[0]:%m%d}", **unlimited)
    for now in moments:
        entry = hold(user, dollars * DOLLAR, now=now, provider=provider)
        quotas.settle(
            reference=entry.reference, amount_micros=dollars * DOLLAR, estimated=False, end="succeeded", now=now
        )


def projected(now: datetime) -> int:
    """In whole dollars."""
    return round(projected_micros(provider="replicate", now=now) / DOLLAR)


class TestProjection:
    def test_is_nothing_before_anything_is_spent(self) -> None:
        assert projected(moment(10)) == 0

    def test_goes_on_at_the_pace_of_the_last_week(self) -> None:
        spend(7, *(moment(day) for day in range(1, 15)))

        # Seven days of which six and three quarters have passed, and seventeen and a quarter to come.
        assert projected(moment(14, 18)) == round(14 * 7 + 7 * 7 * 17.25 / 6.75)

    def test_counts_quiet_days_of_the_week_in(self) -> None:
        spend(1, moment(1, month=6))
        spend(54, moment(20))

        assert projected(moment(20, 18)) == round(54 + 54 * 11.25 / 6.75)

    def test_forgets_a_pace_that_is_over(self) -> None:
        spend(50, moment(1), moment(2))

        assert projected(moment(20)) == 100

    def test_goes_by_the_days_there_are_in_the_first_week(self) -> None:
        spend(10, moment(10), moment(11))

        assert projected(moment(12, 0)) == round(20 + 20 * 20 / 2)

    def test_holds_what_is_reserved_but_not_its_pace(self) -> None:
        spend(10, moment(10))
        hold(make_user(daily_micros_limit=None), 5 * DOLLAR, now=moment(10))

        assert projected(moment(11, 0)) == 15 + 10 * 21

    def test_knows_nothing_of_simulated_spend(self) -> None:
        spend(10, moment(10), provider="sandbox")

        assert projected(moment(11)) == 0
