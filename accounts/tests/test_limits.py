"""Which limits bind at a moment."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from accounts import quotas
from accounts.limits import Limit, every_guard, guards, user_limits
from accounts.models import ApiToken, LimitIncrease, User
from accounts.quotas import QuotaExceeded
from accounts.tests.factories import NOON, hold, make_token, make_user

pytestmark = pytest.mark.django_db


def add(user: User, amount: int, *, until: datetime, unit: str = "count", period: str = "day") -> LimitIncrease:
    return LimitIncrease.objects.create(
        user=user, unit=unit, period=period, amount=amount, expires_at=until, reason="a deadline", created_at=NOON
    )


def made(user: User, times: int = 20, **fields: Any) -> int:
    """How many of `times` reservations are admitted."""
    admitted = 0
    for _ in range(times):
        try:
            hold(user, **fields)
            admitted += 1
        except QuotaExceeded:
            pass
    return admitted


class TestLimit:
    @pytest.mark.parametrize(
        ("granted", "increase", "own", "in_force"),
        [
            (None, 0, None, None),
            (None, 5, None, None),
            (None, 0, 3, 3),
            (10, 0, None, 10),
            (10, 5, None, 15),
            (10, 0, 3, 3),
            (10, 5, 12, 12),
            (10, 5, 20, 15),
            (0, 2, None, 2),
            (10, 0, 0, 0),
        ],
    )
    def test_in_force_is_the_lower_of_what_is_allowed_and_what_is_wanted(
        self, granted: int | None, increase: int, own: int | None, in_force: int | None
    ) -> None:
        assert Limit(granted, increase, own).in_force == in_force


class TestUserLimits:
    def test_add_up_increases_of_that_limit_alone(self) -> None:
        user, other = make_user(daily_count_limit=10), make_user("rui")
        tomorrow = NOON + timedelta(days=1)
        add(user, 3, until=tomorrow)
        add(user, 4, until=tomorrow + timedelta(days=1))
        add(user, 100, until=tomorrow, period="month")
        add(user, 100, until=tomorrow, unit="usd")
        add(other, 100, until=tomorrow)

        limits = user_limits(user.pk, now=NOON)

        assert limits["day", "count"] == Limit(10, 7, None)
        assert user_limits(user.pk, now=tomorrow)["day", "count"].in_force == 14

    def test_are_read_in_one_statement(self, django_assert_num_queries: Any) -> None:
        user = make_user()

        with django_assert_num_queries(1):
            user_limits(user.pk, now=NOON)


class TestReserve:
    def test_takes_what_an_increase_gives_until_it_ends(self) -> None:
        user = make_user(daily_count_limit=2)
        add(user, 3, until=NOON + timedelta(hours=1))

        assert made(user) == 5
        assert made(user, now=NOON + timedelta(hours=1)) == 0

    def test_obeys_the_user_s_own_limit(self) -> None:
        user = make_user(daily_count_limit=10, own_daily_count_limit=2)

        assert made(user) == 2

        with pytest.raises(QuotaExceeded) as refused:
            hold(user)
        assert (refused.value.scope, refused.value.unit, refused.value.limit) == ("user", "count", 2)

    @pytest.mark.parametrize(
        ("limits", "admitted"),
        [
            ({"daily_count_limit": 3}, 3),
            ({"monthly_count_limit": 4}, 4),
            ({"daily_micros_limit": 2 * 39_000}, 2),
            ({"monthly_micros_limit": 39_000 - 1}, 0),
            ({"daily_count_limit": 0}, 0),
            ({}, 20),
        ],
    )
    def test_obeys_a_token_s_limits(self, limits: dict[str, Any], admitted: int) -> None:
        user = make_user()
        token = make_token(user, **limits)

        assert made(user, token_id=token.pk) == admitted
        assert made(user, times=1) == 1

    def test_names_the_token_s_limit(self) -> None:
        user = make_user()

        with pytest.raises(QuotaExceeded, match=r"^This token's limit of 0 generations a day") as refused:
            hold(user, token_id=make_token(user, daily_count_limit=0).pk)

        assert refused.value.scope == "token"

    def test_meters_each_token_for_itself(self) -> None:
        user = make_user()
        first, second = (make_token(user, daily_count_limit=2) for _ in range(2))

        assert [made(user, token_id=token.pk) for token in (first, second)] == [2, 2]

    @pytest.mark.parametrize(("name", "period"), [("SITE_DAILY_COUNT", "day"), ("SITE_MONTHLY_COUNT", "month")])
    def test_obeys_the_site_s_counts(self, settings: Settings, name: str, period: str) -> None:
        setattr(settings, name, 3)

        assert made(make_user("ines"), times=2) + made(make_user("rui")) == 3

        with pytest.raises(QuotaExceeded, match=r"^This site's limit of 3 generations") as refused:
            hold(make_user("zoe"))
        assert (refused.value.scope, refused.value.unit, refused.value.period) == ("site", "count", period)

    def test_binds_simulated_spend_to_no_site(self, settings: Settings) -> None:
        settings.SITE_DAILY_COUNT = settings.SITE_MONTHLY_USD_MICROS = 0

        assert made(make_user(), times=2, provider="sandbox") == 2


class TestGuards:
    def test_come_in_the_order_in_which_rows_are_touched(self) -> None:
        user = make_user()

        found = list(guards(user=user, provider="replicate", now=NOON, token_id=make_token(user).pk))

        assert [(guard.owner, guard.window.period) for guard in found] == [
            (owner, period) for owner in ("site", "user", "token") for period in ("day", "month")
        ]

    def test_fail_for_a_token_that_is_not_there(self) -> None:
        with pytest.raises(ApiToken.DoesNotExist):
            hold(make_user(), token_id=uuid.uuid4())


class TestEveryGuard:
    def test_is_of_the_site_and_of_whoever_spends(self) -> None:
        spender, closed = make_user(), make_user("rui")
        make_user("zoe")
        limited, free, revoked = make_token(spender, daily_count_limit=1), make_token(spender), make_token(spender)
        ApiToken.objects.filter(pk=revoked.pk).update(daily_count_limit=1, revoked_at=NOON)
        for user in (spender, closed):
            hold(user)
        User.objects.filter(pk=closed.pk).update(is_active=False)

        scopes = {guard.scope for guard in every_guard(provider="replicate", now=NOON)}

        assert scopes == {"site", f"user:{spender.pk}", f"token:{limited.pk}"}
        assert f"token:{free.pk}" not in scopes

    def test_says_the_same_as_the_guards_of_a_reservation(self, settings: Settings) -> None:
        settings.SITE_DAILY_COUNT = 7
        user = make_user(own_daily_micros_limit=5)
        add(user, 3, until=NOON + timedelta(hours=1))
        token = make_token(user, monthly_count_limit=9)
        hold(user, 1, token_id=token.pk)

        every = list(every_guard(provider="replicate", now=NOON))

        assert every == list(guards(user=user, provider="replicate", now=NOON, token_id=token.pk))

    def test_asks_twice_however_many_there_are(self, django_assert_num_queries: Any) -> None:
        for number in range(5):
            hold(make_user(f"user{number}"))

        with django_assert_num_queries(2):
            list(every_guard(provider="replicate", now=NOON))


class TestUsage:
    def test_shows_the_limits_in_force(self, settings: Settings) -> None:
        settings.PROVIDER = "replicate"
        user = make_user(daily_count_limit=10, own_daily_micros_limit=70_000)
        add(user, 5, until=NOON + timedelta(hours=1))

        usage = quotas.usage(user=user, now=NOON)

        assert (usage.day.count.limit, usage.day.usd.limit) == (15, 70_000)
