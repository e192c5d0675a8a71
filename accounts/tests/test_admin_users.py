"""Limits in the admin: typed in dollars, checked, warned about, raised for a while, and written down."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts import quotas
from accounts.limits import user_limits
from accounts.models import ApiToken, LimitIncrease, User
from accounts.tests.factories import hold, make_user
from accounts.tests.overseeing import ADMIN, make_administrator, page, recorded, said
from accounts.tokens import create_token

pytestmark = pytest.mark.django_db
USERS = f"{ADMIN}accounts/user/"
INCREASE = "limit_increases-0-"


@pytest.fixture
def administrator(client: Client) -> User:
    """Signed in on `client`."""
    user = make_administrator()
    client.force_login(user)
    return user


def dollars_in_form(micros: int | None) -> str:
    return "" if micros is None else str(micros / 1_000_000)


def form_of(user: User, **fields: Any) -> dict[str, Any]:
    """What the page of an account posts, with `fields` changed."""
    joined = timezone.localtime(user.date_joined)
    return {
        "username": user.username,
        "email": user.email,
        "is_active": "on",
        "theme": "",
        "date_joined_0": f"{joined:%Y-%m-%d}",
        "date_joined_1": f"{joined:%H:%M:%S}",
        "daily_count_limit": user.daily_count_limit,
        "monthly_count_limit": user.monthly_count_limit,
        **{name: dollars_in_form(getattr(user, name)) for name in ("daily_micros_limit", "monthly_micros_limit")},
        "storage_bytes_limit": (user.storage_bytes_limit or 0) / 10**9,
        "limit_increases-TOTAL_FORMS": 0,
        "limit_increases-INITIAL_FORMS": 0,
        **fields,
    }


def increase(**fields: Any) -> dict[str, Any]:
    """A new increase in the form, good unless told otherwise."""
    later = timezone.localtime(timezone.now() + timedelta(days=3))
    given = {
        "unit": "usd",
        "period": "day",
        "more": "2.50",
        "expires_at_0": f"{later:%Y-%m-%d}",
        "expires_at_1": f"{later:%H:%M:%S}",
        "reason": "The pilot's last week",
    }
    return {"limit_increases-TOTAL_FORMS": 1} | {f"{INCREASE}{name}": value for name, value in (given | fields).items()}


def change(client: Client, user: User, **fields: Any) -> Any:
    return client.post(f"{USERS}{user.pk}/change/", form_of(user, **fields), follow=True)


def errors_of(response: Any) -> str:
    return str(response.context["errors"])


class TestLimits:
    def test_are_written_down_before_and_after(self, client: Client, administrator: User) -> None:
        user = make_user(daily_micros_limit=1_000_000, daily_count_limit=5)

        change(client, user, daily_micros_limit="0.039", daily_count_limit=9)

        entry = LogEntry.objects.get()
        assert entry.change_message == "USD a day: $1.00 → $0.039; Generations a day: 5 → 9"
        assert (entry.user, entry.object_id) == (administrator, str(user.pk))

    def test_lifted_is_written_down_as_none(self, client: Client, administrator: User) -> None:
        user = make_user(monthly_micros_limit=3_000_000)

        change(client, user, monthly_micros_limit="")

        assert recorded() == ["USD a month: $3.00 → none"]

    def test_changed_in_the_list_are_written_down(self, client: Client, administrator: User) -> None:
        user = make_user(daily_micros_limit=1_000_000, monthly_micros_limit=None)
        rows = list(User.objects.order_by("username"))
        form: dict[str, Any] = {"form-TOTAL_FORMS": len(rows), "form-INITIAL_FORMS": len(rows), "_save": "Save"}
        for index, row in enumerate(rows):
            for name in ("daily_count_limit", "monthly_count_limit"):
                value = getattr(row, name)
                form[f"form-{index}-{name}"] = "" if value is None else value
            form[f"form-{index}-id"] = row.pk
            form[f"form-{index}-daily_micros_limit"] = "4" if row == user else ""
            form[f"form-{index}-monthly_micros_limit"] = ""

        client.post(f"{USERS}?o=1", form)

        assert LogEntry.objects.get(object_id=user.pk).change_message == "USD a day: $1.00 → $4.00"

    @pytest.mark.parametrize("name", ["daily_micros_limit", "daily_count_limit"])
    @pytest.mark.parametrize("value", ["-1", "-0.000001", "1e99", "nan", "many"])
    def test_that_are_none_are_refused(self, client: Client, administrator: User, name: str, value: str) -> None:
        user = make_user(daily_micros_limit=1_000_000)

        response = change(client, user, **{name: value})

        assert "errorlist" in errors_of(response)
        user.refresh_from_db()
        assert (user.daily_micros_limit, user.daily_count_limit) == (1_000_000, make_user("other").daily_count_limit)

    def test_below_what_is_spent_are_taken_and_said(self, client: Client, administrator: User) -> None:
        user, now = make_user(), timezone.now()
        entry = hold(user, amount_micros=1_500_000, provider="sandbox", now=now)
        quotas.settle(reference=entry.reference, amount_micros=1_234_000, estimated=False, end="succeeded", now=now)

        response = change(client, user, daily_micros_limit="1")

        assert "ines: $1.00 a day is below the $1.234 that this day has taken already." in said(response)[0]
        user.refresh_from_db()
        assert user.daily_micros_limit == 1_000_000
        with pytest.raises(quotas.QuotaExceeded):
            hold(user, amount_micros=1, provider="sandbox", now=timezone.now())

    def test_of_a_count_below_what_is_made_are_said(self, client: Client, administrator: User) -> None:
        user = make_user()
        for _ in range(2):
            hold(user, provider="sandbox", now=timezone.now())

        response = change(client, user, daily_count_limit=1)

        assert "1 generations a day is below the 2 generations" in said(response)[0]

    def test_above_what_is_spent_say_nothing_of_it(self, client: Client, administrator: User) -> None:
        user = make_user()
        hold(user, amount_micros=1_000_000, provider="sandbox", now=timezone.now())

        response = change(client, user, daily_micros_limit="1")

        assert not [message for message in said(response) if "below" in message]

    def test_of_a_creator_s_own_are_shown_and_not_in_the_form(self, client: Client, administrator: User) -> None:
        user = make_user(own_daily_micros_limit=250_000, own_monthly_count_limit=40)

        change(client, user, own_daily_micros_limit="9")

        user.refresh_from_db()
        assert user.own_daily_micros_limit == 250_000
        assert "$0.25 a day, 40 generations a month" in page(client, f"accounts/user/{user.pk}/change/")

    def test_stand_beside_what_is_settled_and_held(self, client: Client, administrator: User) -> None:
        user, now = make_user(daily_micros_limit=5_000_000), timezone.now()
        entry = hold(user, amount_micros=200_000, provider="sandbox", now=now)
        quotas.settle(reference=entry.reference, amount_micros=150_000, estimated=False, end="succeeded", now=now)
        hold(user, amount_micros=40_000, provider="sandbox", now=now)

        assert "$0.15 settled, $0.04 held, limit in force $5.00" in page(client, f"accounts/user/{user.pk}/change/")
        assert "$0.15 + $0.04 held" in page(client, "accounts/user/")

    def test_take_the_same_number_of_statements_for_any_number_of_accounts(
        self, client: Client, administrator: User, django_assert_num_queries: Any
    ) -> None:
        page(client, "accounts/user/")
        with django_assert_num_queries(6):
            page(client, "accounts/user/")
        for number in range(30):
            make_user(f"user{number}")

        with django_assert_num_queries(6):
            page(client, "accounts/user/")


class TestPasswords:
    def test_are_never_written_down(self, client: Client, administrator: User) -> None:
        given = {"username": "rui", "usable_password": "true"} | dict.fromkeys(["password1", "password2"], "a long 123")

        client.post(f"{USERS}add/", {**given, **{k: v for k, v in form_of(administrator).items() if "limit_i" in k}})
        user = User.objects.get(username="rui")
        client.post(f"{USERS}{user.pk}/password/", given | dict.fromkeys(["password1", "password2"], "another 123!"))

        assert [message for message in recorded() if "123" in message or "argon" in message] == []
        assert "Added. Username: rui" in recorded()[0]
        assert "password: changed" in recorded()[1].lower()


class TestIncrease:
    def test_is_granted_in_dollars(self, client: Client, administrator: User) -> None:
        user = make_user(daily_micros_limit=1_000_000)

        change(client, user, daily_micros_limit="1", **increase())

        granted = LimitIncrease.objects.get()
        assert (granted.amount, granted.granted_by) == (2_500_000, administrator)
        assert user_limits(user.pk, now=timezone.now())["day", "usd"].in_force == 3_500_000
        assert "Added limit increase. " in recorded()[0]
        assert "increase by: 2.50" in recorded()[0]
        assert "Reason: The pilot's last week" in recorded()[0]

    def test_is_granted_in_generations(self, client: Client, administrator: User) -> None:
        user = make_user()

        change(client, user, **increase(unit="count", more="12"))

        assert LimitIncrease.objects.get().amount == 12
        shown = page(client, f"accounts/user/{user.pk}/change/")
        assert f"by {administrator}" in shown

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"expires_at_0": "2020-01-01"}, "ends in the future"),
            ({"expires_at_0": ""}, "required"),
            ({"reason": ""}, "required"),
            ({"more": "0"}, "more than zero"),
            ({"more": "-3"}, "greater than or equal to 0"),
            ({"more": ""}, "required"),
            ({"more": "1000000000"}, "less than or equal to"),
            ({"unit": "count", "more": "1.5"}, "whole numbers"),
            ({"unit": "count", "more": "0.5"}, "whole numbers"),
            ({"period": "year"}, "not one of the available choices"),
        ],
    )
    def test_that_is_wrong_is_refused(
        self, client: Client, administrator: User, fields: dict[str, str], sentence: str
    ) -> None:
        user = make_user()

        response = change(client, user, **increase(**fields))

        assert sentence in errors_of(response)
        assert not LimitIncrease.objects.exists()

    def test_is_taken_back_and_written_down(self, client: Client, administrator: User) -> None:
        user = make_user()
        change(client, user, **increase())
        row = LimitIncrease.objects.get()

        deletion: dict[str, Any] = {"limit_increases-TOTAL_FORMS": 1, "limit_increases-INITIAL_FORMS": 1}
        deletion |= {f"{INCREASE}id": row.pk, f"{INCREASE}user": user.pk, f"{INCREASE}DELETE": "on"}
        change(client, user, **deletion)

        assert not LimitIncrease.objects.exists()
        assert "Deleted limit increase “$2.50 more a day until " in recorded()[-1]

    def test_that_is_over_is_in_nobody_s_way(self, client: Client, administrator: User) -> None:
        user, past = make_user(), timezone.now() - timedelta(days=1)
        row = LimitIncrease.objects.create(
            user=user, unit="usd", period="day", amount=1, expires_at=past, reason="over", created_at=past
        )

        kept = {"limit_increases-TOTAL_FORMS": 1, "limit_increases-INITIAL_FORMS": 1}
        change(client, user, daily_count_limit=7, **kept, **{f"{INCREASE}id": row.pk, f"{INCREASE}user": user.pk})

        user.refresh_from_db()
        assert user.daily_count_limit == 7
        assert LimitIncrease.objects.get() == row


class TestTokenLimits:
    def test_are_changed_and_written_down(self, client: Client, administrator: User) -> None:
        token, _ = create_token(user=make_user(), name="edit-bay", expires_at=None, now=timezone.now())
        limits = {"daily_micros_limit": "0.5", "monthly_micros_limit": "", "daily_count_limit": 3}

        client.post(f"{ADMIN}accounts/apitoken/{token.pk}/change/", {**limits, "monthly_count_limit": "", "name": "x"})

        token.refresh_from_db()
        assert (token.daily_micros_limit, token.daily_count_limit, token.name) == (500_000, 3, "edit-bay")
        assert recorded() == ["USD a day: none → $0.50; Generations a day: none → 3"]

    def test_below_what_is_spent_are_said(self, client: Client, administrator: User) -> None:
        user = make_user()
        token, _ = create_token(user=user, name="edit-bay", expires_at=None, now=timezone.now())
        hold(user, amount_micros=900_000, provider="sandbox", now=timezone.now(), token_id=token.pk)

        response = client.post(
            f"{ADMIN}accounts/apitoken/{token.pk}/change/", {"daily_micros_limit": "0.5"}, follow=True
        )

        assert "$0.50 a day is below the $0.90" in said(response)[0]

    def test_are_gone_for_good_with_a_revoked_token(self, client: Client, administrator: User) -> None:
        token, _ = create_token(user=make_user(), name="edit-bay", expires_at=None, now=timezone.now())

        client.post(f"{ADMIN}accounts/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})

        assert ApiToken.objects.get().revoked_at is not None
        assert recorded() == ["Revoked."]
