"""The price that was quoted is the price that is reserved, for an hour, whatever the list says by then."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import LedgerEntry, User
from generation import catalog, pricing, quotes
from generation.catalog.base import ModelSpec
from generation.lifecycle import apply_update, current_attempt, request_prediction
from generation.models import Prediction, Price
from generation.quotes import HOLDS_FOR, PriceRisen, UnusableQuote, shown_rules, usable
from generation.tests.making import BANANA, NOW, SEEDANCE, done, make_user

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=59)
FILM = {"prompt": "a", "duration": 5, "resolution": "720p"}


def token_for(user: User, spec: ModelSpec, **inputs: Any) -> str:
    quote = pricing.quote(spec=spec, inputs={"prompt": "a", **inputs}, now=NOW)
    return quotes.hold(user=user, spec=spec, quote=quote, now=NOW).token


def reprice(model: str, micros: int, *, unit: str = "image") -> None:
    """One price from the day of `NOW` on, whatever was there."""
    Price.objects.filter(model=model).delete()
    Price.objects.create(
        model=model, unit=unit, amount_micros=micros, effective_from=NOW.date(), source="the provider's page"
    )


def ask(user: User, spec: ModelSpec, rules: list[dict[str, Any]] | None, **inputs: Any) -> Prediction:
    parsed = catalog.parse(spec, {"prompt": "a", **inputs})
    return request_prediction(user=user, spec=spec, parsed=parsed, now=LATER, quoted=rules)


class TestUsable:
    @pytest.mark.parametrize("price", [20_000, 90_000], ids=["cheaper", "dearer"])
    def test_reserves_and_settles_what_was_quoted(self, price: int) -> None:
        user, spec = make_user(), catalog.get(BANANA)
        token = token_for(user, spec)
        reprice(BANANA, price)

        prediction = ask(user, spec, usable(token, user=user, spec=spec, now=LATER).rules)
        apply_update(attempt=current_attempt(prediction), update=done(), now=LATER)

        assert prediction.estimated_micros == 39_000
        assert list(LedgerEntry.objects.values_list("kind", "amount_micros")) == [
            ("reserve", 39_000),
            ("settle", 39_000),
        ]

    def test_prices_other_inputs_by_the_same_rules(self) -> None:
        user, spec = make_user(), catalog.get(SEEDANCE)
        token = token_for(user, spec, **FILM)
        reprice(SEEDANCE, 1_000_000, unit="second")

        rules = usable(token, user=user, spec=spec, now=LATER).rules

        assert ask(user, spec, rules, duration=10, resolution="480p").estimated_micros == 180_000

    def test_ends_after_an_hour(self) -> None:
        user, spec = make_user(), catalog.get(BANANA)
        token = token_for(user, spec)

        assert usable(token, user=user, spec=spec, now=NOW + HOLDS_FOR - timedelta(seconds=1))
        with pytest.raises(UnusableQuote, match="expired"):
            usable(token, user=user, spec=spec, now=NOW + HOLDS_FOR)

    def test_belongs_to_one_user_and_one_model(self) -> None:
        user, spec = make_user(), catalog.get(BANANA)
        token = token_for(user, spec)

        with pytest.raises(UnusableQuote, match="not a quote of yours"):
            usable(token, user=make_user(username="bob"), spec=spec, now=NOW)
        with pytest.raises(UnusableQuote, match="not for bytedance"):
            usable(token, user=user, spec=catalog.get(SEEDANCE), now=NOW)

    @pytest.mark.parametrize(
        "change",
        [
            lambda token: "",
            lambda token: token[:-1],
            lambda token: token[1:],
            lambda token: token.replace(":", ""),
            lambda token: token[::-1],
            lambda token: token * 200,
            lambda token: token + "\ud800",
            lambda token: "\x00",
            lambda token: None,
            lambda token: 7,
            lambda token: [token],
        ],
    )
    def test_is_nothing_that_we_have_not_signed(self, change: Any) -> None:
        user, spec = make_user(), catalog.get(BANANA)

        with pytest.raises(UnusableQuote, match="not a quote of yours"):
            usable(change(token_for(user, spec)), user=user, spec=spec, now=NOW)

    def test_stays_short(self) -> None:
        assert len(token_for(make_user(), catalog.get(SEEDANCE), **FILM)) < 500


class TestShownRules:
    def rules(self, token: object, *, user: User, at: timedelta = HOLDS_FOR) -> list[dict[str, Any]] | None:
        return shown_rules(token, user=user, spec=catalog.get(BANANA), inputs={"prompt": "a"}, now=NOW + at)

    def test_are_those_of_a_quote_that_holds(self) -> None:
        user = make_user()
        token = token_for(user, catalog.get(BANANA))
        reprice(BANANA, 90_000)

        [rule] = self.rules(token, user=user, at=timedelta(minutes=1)) or []
        assert rule["amount_micros"] == 39_000

    def test_give_way_to_a_price_that_is_lower_by_now(self) -> None:
        user = make_user()
        token = token_for(user, catalog.get(BANANA))
        reprice(BANANA, 20_000)

        [rule] = self.rules(token, user=user) or []
        assert rule["amount_micros"] == 20_000

    def test_do_not_give_way_to_a_price_that_nobody_has_seen(self) -> None:
        user = make_user()
        token = token_for(user, catalog.get(BANANA))
        reprice(BANANA, 39_001)

        with pytest.raises(PriceRisen) as risen:
            self.rules(token, user=user)
        assert (risen.value.shown, risen.value.current) == (39_000, 39_001)

    @pytest.mark.parametrize("token", ["", "nonsense", None])
    def test_are_the_days_where_nothing_was_shown(self, token: object) -> None:
        assert self.rules(token, user=make_user()) is None
