"""A creator's own limits: lower than what is allowed, or without effect; never an error nobody understands."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import quotas
from accounts.models import LimitIncrease, User
from accounts.own_limits import set_own_limits
from accounts.quotas import QuotaExceeded
from accounts.tests.factories import hold, make_user

pytestmark = pytest.mark.django_db
OWN = ["own_daily_micros_limit", "own_daily_count_limit", "own_monthly_micros_limit", "own_monthly_count_limit"]
FIELDS = ["own_usd_day", "own_count_day", "own_usd_month", "own_count_month"]


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def client(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def kept(user: User) -> list[Any]:
    user.refresh_from_db()
    return [getattr(user, name) for name in OWN]


def form(*values: str) -> dict[str, str]:
    return dict(zip(FIELDS, values, strict=True))


class TestForm:
    def test_keeps_all_four_and_takes_them_away(self, client: Client, user: User) -> None:
        answer = client.post("/usage/", form("2.50", "10", "0.000001", "0"))

        assert (answer.status_code, answer["Location"]) == (302, "/usage/#own-limits")
        assert kept(user) == [2_500_000, 10, 1, 0]
        page = client.get("/usage/").content.decode()
        assert 'value="2.50"' in page and 'value="0.000001"' in page and "Your own limit" in page
        client.post("/usage/", form("", "", "", ""))
        assert kept(user) == [None] * 4

    @pytest.mark.parametrize(
        "value",
        [
            "-1",
            "-0.01",
            "x",
            "NaN",
            "Infinity",
            "1e99",
            "9" * 5000,
            "1,50",
            "1000000.01",
            "0.0000001",
            "\x00",
            "½",
            "0x1",
        ],
    )
    def test_says_of_each_field_what_is_accepted(self, client: Client, user: User, value: str) -> None:
        before = form("1", "1", "1", "1")
        client.post("/usage/", before)

        for name in FIELDS:
            answer = client.post("/usage/", before | {name: value})
            page = answer.content.decode()
            assert answer.status_code == 422
            assert page.count('class="error"') == 1
            assert ("Give an amount in USD from 0 to 1,000,000" if "usd" in name else "Give a whole number") in page
        assert kept(user) == [1_000_000, 1, 1_000_000, 1]

    def test_wants_a_whole_number_of_generations(self, client: Client) -> None:
        assert (
            "Give a whole number from 0 to 2,147,483,647"
            in client.post("/usage/", form("", "1.5", "", "")).content.decode()
        )

    def test_says_that_a_higher_one_has_no_effect(self, client: Client, user: User) -> None:
        client.post("/usage/", form("7", "", "", ""))

        assert "Has no effect: you are allowed $5.00." in client.get("/usage/").content.decode()
        assert quotas.usage(user=user, now=timezone.now()).day.usd.limit == 5_000_000

    def test_says_that_a_lower_one_than_spent_stops_until_it_resets(self, client: Client, user: User) -> None:
        entry = hold(user, provider="sandbox", now=timezone.now())
        quotas.settle(
            reference=entry.reference, amount_micros=39_000, estimated=False, end="succeeded", now=timezone.now()
        )
        client.post("/usage/", form("0.01", "", "", ""))

        page = client.get("/usage/").content.decode()
        assert "Used up already, so nothing more is started until it resets at 00:00." in page
        with pytest.raises(QuotaExceeded):
            hold(user, 1, provider="sandbox", now=timezone.now())

    def test_belongs_to_who_is_signed_in(self, client: Client, user: User) -> None:
        rui = make_user("rui")

        client.post("/usage/", form("1", "", "", "") | {"user": str(rui.pk)})
        assert kept(rui) == [None] * 4
        assert Client().post("/usage/", form("9", "", "", ""))["Location"].startswith("/accounts/login/")
        assert kept(user)[0] == 1_000_000


class TestSetOwnLimits:
    @pytest.mark.parametrize("wrong", [-1, 2**31])
    def test_keeps_no_limit_that_is_none(self, user: User, wrong: int) -> None:
        with pytest.raises(ValueError, match="not a limit"):
            set_own_limits(user=user, limits={("day", "usd"): 1, ("day", "count"): wrong})

        assert kept(user) == [None] * 4

    def test_leaves_the_others_alone(self, user: User) -> None:
        set_own_limits(user=user, limits={("day", "usd"): 1})
        set_own_limits(user=user, limits={("month", "count"): 2})

        assert kept(user) == [1, None, None, 2]


class TestIncreases:
    def grant(self, user: User, *, hours: int) -> None:
        now = timezone.now()
        LimitIncrease.objects.create(
            user=user,
            unit="usd",
            period="day",
            amount=2_000_000,
            expires_at=now + timedelta(hours=hours),
            created_at=now,
            reason="<b>the shoot</b>",
        )

    def test_are_shown_with_their_end_and_reason(self, client: Client, user: User) -> None:
        self.grant(user, hours=2)

        page = client.get("/usage/").content.decode()

        assert "$2.00 more a day until" in page and "&lt;b&gt;the shoot&lt;/b&gt;" in page
        assert "of $7.00" in page and "$2.00 more for a while" in page

    def test_that_are_over_are_not(self, client: Client, user: User) -> None:
        self.grant(user, hours=-1)

        page = client.get("/usage/").content.decode()
        assert "the shoot" not in page and "of $5.00" in page
