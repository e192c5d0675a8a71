"""The price on the form: which limit forbids it, and that it is the price that is reserved."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import LedgerEntry, LimitIncrease, User
from generation import pauses, quotes
from generation.models import Prediction
from generation.tests.making import BANANA, make_user
from generation.tests.test_quotes import reprice
from generation.tests.test_web_generate import HTMX, form, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def client(user: User) -> Client:
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


class TestLimits:
    """The button names the first limit that a request would meet."""

    def button(self, client: Client) -> str:
        found = re.search(r'<button[^>]*id="generate"[^>]*>(.*?)</button>', text(client.post("/estimate", form())))
        assert found
        return found[1]

    def test_of_the_studio(self, client: Client, settings: Any) -> None:
        settings.PROVIDER, settings.SITE_MONTHLY_USD_MICROS = "replicate", 10_000

        assert "Over the studio&#x27;s limit of $0.01 a month. Resets on 1 " in self.button(client)

    def test_of_the_studios_count(self, client: Client, settings: Any) -> None:
        settings.PROVIDER, settings.SITE_DAILY_COUNT = "replicate", 1
        client.post("/generate", form())

        assert "The studio&#x27;s limit of 1 generation a day is reached. Resets at 00:00" in self.button(client)

    def test_of_ones_own(self, client: Client) -> None:
        User.objects.update(own_daily_micros_limit=20_000)

        assert "Over your own limit of $0.02 a day. Resets at 00:00" in self.button(client)

    def test_not_of_ones_own_where_it_is_the_higher(self, client: Client) -> None:
        User.objects.update(own_daily_micros_limit=30_000, daily_micros_limit=20_000)

        assert "Over your limit of $0.02 a day." in self.button(client)

    def test_allows_what_an_increase_allows(self, client: Client, user: User) -> None:
        User.objects.update(daily_micros_limit=20_000)
        later = timezone.now() + timedelta(hours=1)
        LimitIncrease.objects.create(
            user=user, unit="usd", period="day", amount=19_000, expires_at=later, created_at=later, reason="a shoot"
        )

        assert "Generate" in self.button(client)


class TestQuotedPrice:
    def shown(self, client: Client) -> str:
        found = re.search(r'name="quote" value="([^"]+)"', text(client.get("/")))
        assert found
        return found[1]

    def test_is_what_is_reserved(self, client: Client) -> None:
        quote = self.shown(client)
        reprice(BANANA, 900_000)

        assert client.post("/generate", form(quote=quote)).status_code == 303
        assert Prediction.objects.get().estimated_micros == 39_000

    def test_comes_anew_with_every_estimate(self, client: Client) -> None:
        reprice(BANANA, 900_000)
        answer = text(client.post("/estimate", form(), headers=HTMX))
        found = re.search(r'name="quote" value="([^"]+)"', answer)

        assert found and "$0.90" in answer
        client.post("/generate", form(quote=found[1]), headers=HTMX)
        assert Prediction.objects.get().estimated_micros == 900_000

    def test_that_has_ended_charges_nothing_dearer_unseen(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quote = self.shown(client)
        monkeypatch.setattr(quotes, "HOLDS_FOR", timedelta(0))
        reprice(BANANA, 900_000)

        response = client.post("/generate", form(quote=quote, prompt="kept words"))

        page = text(response)
        assert response.status_code == 422 and "kept words" in page
        assert "The price has changed since it was shown, from $0.039 to $0.90. Nothing was made" in page
        assert not LedgerEntry.objects.exists()

    def test_that_came_with_the_refusal_is_taken_next(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        quote = self.shown(client)
        reprice(BANANA, 900_000)
        with monkeypatch.context() as patch:
            patch.setattr(quotes, "HOLDS_FOR", timedelta(0))
            page = text(client.post("/generate", form(quote=quote), headers=HTMX))
        found = re.search(r'name="quote" value="([^"]+)"', page)

        assert found and client.post("/generate", form(quote=found[1])).status_code == 303
        assert Prediction.objects.get().estimated_micros == 900_000

    @pytest.mark.parametrize("quote", ["", "nonsense", "a:b", "x" * 9_000])
    def test_of_nonsense_is_todays(self, client: Client, quote: str) -> None:
        assert client.post("/generate", form(quote=quote)).status_code == 303
        assert Prediction.objects.get().estimated_micros == 39_000


class TestPauses:
    @pytest.mark.parametrize("target", ["everything", f"model:{BANANA}"])
    def test_are_told_with_their_reason(self, client: Client, target: str) -> None:
        pauses.pause(target=target, reason="The books are being <closed>.", by=None, now=timezone.now())

        line = text(client.post("/estimate", form()))

        assert "disabled>Paused</button>" in line
        assert "The books are being &lt;closed&gt;." in line

    def test_of_others_do_not_matter(self, client: Client, user: User) -> None:
        pauses.pause(target=f"user:{user.pk + 1}", reason="No.", by=None, now=timezone.now())

        assert "disabled>" not in text(client.post("/estimate", form()))
