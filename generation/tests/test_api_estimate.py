"""POST /api/generation/estimate: the price, what is left, and whether it would be let in; nothing is created."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import LedgerEntry, QuotaPeriod
from generation import catalog, quotes
from generation.models import Prediction, PredictionEvent, ProviderState
from generation.tests.calling import ESTIMATE, IMAGE, Caller, problem, refused
from generation.tests.making import BANANA, SEEDANCE, make_user
from generation.tests.test_quotes import reprice

pytestmark = pytest.mark.django_db


def estimate(caller: Caller, **body: Any) -> dict[str, Any]:
    response = caller.post(ESTIMATE, {"prompt": "a", **body})
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


class TestEstimate:
    def test_says_price_and_what_is_left(self) -> None:
        ada = Caller(make_user(daily_micros_limit=5_000_000, monthly_micros_limit=None))

        answer = estimate(ada)

        del answer["quote"], answer["quoteExpiresAt"]
        assert answer == {
            "model": BANANA,
            "estimatedCost": "0.039",
            "upTo": False,
            "remaining": {"day": "5.00", "month": None},
            "allowed": True,
            "warnings": [],
        }

    def test_creates_nothing(self) -> None:
        ada = Caller(make_user())
        estimate(ada)

        for rows in (Prediction, PredictionEvent, LedgerEntry, QuotaPeriod):
            assert not rows.objects.exists()
        ada.user.refresh_from_db()
        assert ada.user.last_frame_number == 0

    def test_prices_a_film_by_what_was_asked(self) -> None:
        answer = estimate(Caller(make_user()), duration=10, resolution="480p")

        assert (answer["model"], answer["estimatedCost"]) == (SEEDANCE, "0.18")

    def test_says_up_to_where_it_may_become_less(self) -> None:
        answer = estimate(Caller(make_user()), model="black-forest-labs/flux-schnell", numOutputs=4)

        assert (answer["estimatedCost"], answer["upTo"]) == ("0.012", True)

    def test_follows_what_is_held(self) -> None:
        ada = Caller(make_user(daily_micros_limit=100_000, monthly_micros_limit=1_000_000))
        ada.post(IMAGE, {"prompt": "a"})

        assert estimate(ada)["remaining"] == {"day": "0.061", "month": "0.961"}

    def test_checks_the_body_as_a_generation_does(self) -> None:
        ada = Caller(make_user())

        assert refused(ada.post(ESTIMATE, {"prompt": "", "format": "tiff"})).keys() == {"prompt", "format"}
        assert problem(ada.post(ESTIMATE, b"{"), 400)

    def test_answers_with_a_slash_too(self) -> None:
        assert Caller(make_user()).post(f"{ESTIMATE}/", {"prompt": "a"}).status_code == 200


class TestNotAllowed:
    def reason(self, caller: Caller) -> str:
        answer = estimate(caller)
        assert answer["allowed"] is False
        return str(answer["reason"])

    def test_over_the_budget(self) -> None:
        assert "$0.03 a day" in self.reason(Caller(make_user(daily_micros_limit=30_000)))

    def test_over_the_count(self) -> None:
        assert "0 generations a month" in self.reason(Caller(make_user(monthly_count_limit=0)))

    def test_while_the_provider_takes_nothing(self) -> None:
        until = timezone.now() + timedelta(minutes=1)
        ProviderState.objects.create(provider="sandbox", closed_until=until, closed_reason="unavailable")

        assert "cannot take new work" in self.reason(Caller(make_user()))

    def test_before_the_address_is_confirmed(self, settings: Settings) -> None:
        settings.EMAIL_CONFIRMATION = True

        assert "Confirm your e-mail" in self.reason(Caller(make_user()))

    def test_for_a_model_that_is_gone(self) -> None:
        catalog.mark_unavailable(BANANA, timezone.now())

        assert "no longer offers" in self.reason(Caller(make_user()))


class TestQuote:
    def quote(self, caller: Caller, **body: Any) -> str:
        return str(estimate(caller, **body)["quote"])

    def test_holds_the_price_that_was_told(self) -> None:
        ada = Caller(make_user())
        quote = self.quote(ada)
        reprice(BANANA, 900_000)

        answer = ada.post(IMAGE, {"prompt": "a", "quote": quote})

        assert (answer.status_code, answer.json()["estimatedCost"]) == (201, "0.039")
        assert estimate(ada, quote=quote)["estimatedCost"] == "0.039"
        assert estimate(ada)["estimatedCost"] == "0.90"

    def test_says_when_it_ends(self) -> None:
        ends = datetime.fromisoformat(estimate(Caller(make_user()))["quoteExpiresAt"])

        assert timedelta(minutes=59) < ends - timezone.now() <= timedelta(hours=1)

    @pytest.mark.parametrize("quote", ["", "x", 7, ["x"], {"a": 1}, "a:b", "é" * 9000])
    def test_of_nonsense_starts_nothing(self, quote: Any) -> None:
        ada = Caller(make_user())

        for path in (IMAGE, ESTIMATE):
            assert "not a quote of yours" in refused(ada.post(path, {"prompt": "a", "quote": quote}))["quote"]
        assert not Prediction.objects.exists() and not LedgerEntry.objects.exists()

    def test_of_another_is_as_good_as_none(self) -> None:
        quote = self.quote(Caller(make_user()))
        bob = Caller(make_user(username="bob"))

        assert "not a quote of yours" in refused(bob.post(IMAGE, {"prompt": "a", "quote": quote}))["quote"]

    def test_of_another_model_is_refused(self) -> None:
        ada = Caller(make_user())
        quote = self.quote(ada, duration=5, resolution="480p")

        assert "is for bytedance" in refused(ada.post(IMAGE, {"prompt": "a", "quote": quote}))["quote"]

    def test_is_no_part_of_what_makes_two_requests_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ada = Caller(make_user())
        quote = self.quote(ada)
        first = ada.post(IMAGE, {"prompt": "a", "quote": quote}, Idempotency_Key="k")
        monkeypatch.setattr(quotes, "HOLDS_FOR", timedelta(0))

        for body in ({"prompt": "a", "quote": quote}, {"prompt": "a"}, {"prompt": "a", "quote": "x"}):
            again = ada.post(IMAGE, body, Idempotency_Key="k")
            assert again.json()["predictionId"] == first.json()["predictionId"]
        assert "expired" in refused(ada.post(IMAGE, {"prompt": "a", "quote": quote}))["quote"]

    def test_of_null_is_none(self) -> None:
        assert Caller(make_user()).post(IMAGE, {"prompt": "a", "quote": None}).status_code == 201
