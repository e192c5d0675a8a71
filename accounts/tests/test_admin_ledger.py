"""Lists of rows that never stop growing: found by index, counted and summed to a bound, and nobody's to write."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import admin_lists, quotas
from accounts.models import LedgerEntry, User
from accounts.tests.factories import hold, make_user
from accounts.tests.overseeing import ADMIN, make_administrator, page, recorded

pytestmark = pytest.mark.django_db
LEDGER = "accounts/ledgerentry/"


@pytest.fixture(autouse=True)
def administrator(client: Client) -> User:
    """Signed in on `client`."""
    user = make_administrator()
    client.force_login(user)
    return user


def rows(text: str) -> int:
    """How many rows a list shows."""
    return text.count('class="action-select"') or text.count('<th class="field-')


class TestSearch:
    def test_finds_a_user_s_entries_real_and_simulated(self, client: Client) -> None:
        ines, rui = make_user(), make_user("rui")
        hold(ines)
        hold(ines, provider="sandbox")
        hold(rui)

        assert rows(page(client, LEDGER, q="ines")) == 2

    def test_finds_an_attempt(self, client: Client) -> None:
        entry = hold(make_user())
        hold(make_user("rui"))

        assert rows(page(client, LEDGER, q=str(entry.reference))) == 1

    def test_finds_a_scope_whose_user_is_gone(self, client: Client) -> None:
        user = make_user()
        hold(user)
        scope = f"user:{user.pk}"
        user.delete()

        assert rows(page(client, LEDGER, q=scope)) == 1

    @pytest.mark.parametrize("term", ["nobody", str(uuid.UUID(int=0)), "'; --", "%", "ines\x01", "9" * 500])
    def test_finds_nothing_for_what_is_nowhere(self, client: Client, term: str) -> None:
        hold(make_user())

        assert rows(page(client, LEDGER, q=term)) == 0


class TestFilters:
    def test_narrow_by_kind(self, client: Client) -> None:
        entry = hold(make_user())
        quotas.release(reference=entry.reference, reason="none", end="failed", now=timezone.now())

        assert rows(page(client, LEDGER, kind="release")) == 1

    def test_narrow_what_no_index_finds_within_the_newest(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admin_lists, "MOST", 2)
        user = make_user()
        hold(user, provider="sandbox")
        for _ in range(3):
            hold(user)

        shown = page(client, LEDGER, provider="sandbox")

        assert rows(shown) == 0
        assert "Only the newest" in shown
        assert rows(page(client, LEDGER, provider="replicate")) == 2

    def test_look_at_everything_that_is_little(self, client: Client) -> None:
        hold(make_user(), provider="sandbox")

        shown = page(client, LEDGER, provider="sandbox")

        assert rows(shown) == 1
        assert "Only the newest" not in shown

    @pytest.mark.parametrize(
        "query",
        [
            {"kind": "strange"},
            {"created_at__year": "9999"},
            {"created_at__year": "0"},
            {"created_at__year": "MMXX"},
            {"created_at__year": "2026", "created_at__month": "13"},
            {"created_at__month": "7"},
            {"created_at__year": "2026", "created_at__month": "2", "created_at__day": "31"},
            {"user": "abc"},
            {"reference": "abc"},
            {"p": "999999"},
            {"p": "-1"},
            {"o": "5.-3.x"},
            {"all": ""},
        ],
    )
    def test_that_are_strange_do_no_harm(self, client: Client, query: dict[str, str]) -> None:
        hold(make_user())

        response = client.get(f"{ADMIN}{LEDGER}", query, follow=True)

        assert response.status_code == 200

    @pytest.mark.parametrize("name", ["user__password__startswith", "reason__icontains", "periods__0", "user__email"])
    def test_that_the_page_does_not_offer_are_refused(self, client: Client, name: str) -> None:
        assert client.get(f"{ADMIN}{LEDGER}", {name: "a"}).status_code == 400


class TestDates:
    def test_lead_from_years_to_months_to_days(self, client: Client) -> None:
        user = make_user()
        for noon in (datetime(2025, 12, 30, 12, tzinfo=UTC), datetime(2026, 2, 3, 12, tzinfo=UTC)):
            hold(user, now=noon)

        years = page(client, LEDGER)
        months = page(client, LEDGER, created_at__year=2026)
        days = page(client, LEDGER, created_at__year=2026, created_at__month=2)
        day = page(client, LEDGER, created_at__year=2026, created_at__month=2, created_at__day=3)

        assert "created_at__year=2025" in years
        assert "created_at__year=2026" in years
        assert "January 2026" in months
        assert "February 2026" in months
        assert "March 2026" not in months
        assert "3 February" in days
        assert "4 February" not in days
        assert rows(months) == rows(day) == 1


class TestTotals:
    def test_are_those_of_the_filter_with_simulated_money_apart(self, client: Client) -> None:
        user = make_user()
        hold(user, amount_micros=40_000)
        hold(user, amount_micros=2_000)
        hold(user, amount_micros=9_000, provider="sandbox")

        shown = page(client, LEDGER, kind="reserve")

        assert "reserve: 2 for $0.042" in shown
        assert "reserve (simulated): 1 for $0.009" in shown

    def test_beyond_the_bound_are_not_made_and_the_page_says_so(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(admin_lists, "MOST", 2)
        user = make_user()
        for _ in range(3):
            hold(user)

        shown = page(client, LEDGER)

        assert "More than 2 rows: choose a filter" in shown
        assert "more than 2 ledger entries" in shown
        assert "reserve: 3" not in shown

    def test_take_the_same_number_of_statements_for_any_number_of_rows(
        self, client: Client, django_assert_num_queries: Any
    ) -> None:
        user = make_user()
        hold(user)
        page(client, LEDGER)
        with django_assert_num_queries(7):
            page(client, LEDGER)
        for _ in range(60):
            hold(user)

        with django_assert_num_queries(7):
            page(client, LEDGER)


class TestLedger:
    def test_is_nobody_s_to_write(self, client: Client) -> None:
        entry = hold(make_user())
        address = f"{ADMIN}{LEDGER}"

        for path, given in (
            ("add/", {}),
            (f"{entry.pk}/change/", {"amount_micros": 1}),
            (f"{entry.pk}/delete/", {"post": "yes"}),
            ("", {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}),
        ):
            assert client.post(f"{address}{path}", given).status_code == 403

        assert LedgerEntry.objects.get() == entry
        assert recorded() == []


class TestRecords:
    def test_say_who_has_changed_what(self, client: Client, administrator: User) -> None:
        client.post(f"{ADMIN}accounts/invitation/add/", {"email": "rui@example.org"})

        shown = page(client, "admin/logentry/", q="root")

        assert "Added. Email: rui@example.org" in shown
        assert rows(page(client, "admin/logentry/", q="somebody")) == 0

    def test_cannot_be_rewritten(self, client: Client) -> None:
        client.post(f"{ADMIN}accounts/invitation/add/", {"email": "rui@example.org"})

        assert client.post(f"{ADMIN}admin/logentry/1/change/", {"change_message": "nothing"}).status_code in (302, 403)
        assert recorded() == ["Added. Email: rui@example.org"]
