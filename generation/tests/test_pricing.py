"""What is reserved before, what is booked after, and the dated prices behind both."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from accounts.models import User
from generation import catalog, pricing
from generation.admin_prices import PriceForm
from generation.catalog.base import ModelSpec, PriceRule
from generation.models import Price
from generation.price_list import sync_prices

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
BANANA, FLUX = "google/nano-banana", "black-forest-labs/flux-schnell"
LITE, PRO_FAST = "bytedance/seedance-1-lite", "bytedance/seedance-1-pro-fast"
SEEDREAM, BANANA_PRO = "bytedance/seedream-4", "google/nano-banana-pro"
KLING, VEO = "kwaivgi/kling-v2.5-turbo-pro", "google/veo-3.1-fast"

pytestmark = pytest.mark.django_db


def inputs_of(model: str, **raw: Any) -> dict[str, Any]:
    return catalog.parse(catalog.get(model), {"prompt": "a fox", **raw}).inputs


def quoted(model: str, *, now: datetime = NOW, **raw: Any) -> pricing.Quote:
    return pricing.quote(spec=catalog.get(model), inputs=inputs_of(model, **raw), now=now)


def booked(model: str, metrics: dict[str, Any], *, output_count: int | None = 1, **raw: Any) -> tuple[int, bool]:
    quote = quoted(model, **raw).as_json()
    return pricing.actual(quote=quote, inputs=inputs_of(model, **raw), metrics=metrics, output_count=output_count)


def new_price(amount_micros: int, starts_on: date, *, model: str = BANANA, **fields: Any) -> Price:
    return Price.objects.create(
        model=model, unit="image", amount_micros=amount_micros, effective_from=starts_on, source="a test", **fields
    )


def end_prices(model: str, day: date) -> None:
    Price.objects.filter(model=model, effective_to=None).update(effective_to=day)


class TestQuote:
    @pytest.mark.parametrize(
        ("model", "raw", "micros"),
        [
            (BANANA, {}, 39_000),
            (FLUX, {}, 3_000),
            (FLUX, {"num_outputs": 4}, 12_000),
            (LITE, {}, 180_000),
            (LITE, {"duration": 2, "resolution": "480p"}, 36_000),
            (LITE, {"duration": 12, "resolution": "1080p"}, 864_000),
            (LITE, {"duration": 7, "resolution": "720p"}, 252_000),
            (SEEDREAM, {"size": "4K"}, 30_000),
            (BANANA_PRO, {}, 150_000),
            (BANANA_PRO, {"resolution": "4K"}, 300_000),
            (KLING, {"duration": 10}, 700_000),
            (VEO, {}, 1_200_000),
            (VEO, {"duration": 4, "generate_audio": False}, 400_000),
            (PRO_FAST, {}, 300_000),
            (PRO_FAST, {"duration": 10, "resolution": "480p"}, 150_000),
            (PRO_FAST, {"duration": 3, "resolution": "720p"}, 75_000),
        ],
    )
    def test_is_exact(self, model: str, raw: dict[str, Any], micros: int) -> None:
        assert quoted(model, **raw).amount_micros == micros

    def test_says_up_to_where_fewer_may_come(self) -> None:
        assert quoted(FLUX, num_outputs=3).up_to
        assert not quoted(FLUX).up_to
        assert not quoted(LITE).up_to

    def test_takes_the_dearest_of_what_is_left_open(self) -> None:
        quote = pricing.quote(spec=catalog.get(LITE), inputs={"prompt": "a fox"}, now=NOW)

        assert quote.amount_micros == 12 * 72_000
        assert quote.up_to

    def test_keeps_the_rules_of_the_day_with_it(self) -> None:
        assert quoted(BANANA).as_json() == {
            "amount_micros": 39_000,
            "up_to": False,
            "rules": [{"unit": "image", "amount_micros": 39_000, "conditions": {}}],
        }

    def test_is_never_nothing_for_want_of_a_row(self) -> None:
        Price.objects.all().delete()

        assert quoted(LITE).amount_micros == 180_000

    def test_fills_a_gap_in_the_table_from_the_catalog(self) -> None:
        Price.objects.filter(model=LITE, conditions__resolution=["720p"]).delete()

        assert quoted(LITE).amount_micros == 180_000

    def test_reads_the_price_before_the_first_known_day(self) -> None:
        assert quoted(BANANA, now=datetime(2020, 1, 1, tzinfo=UTC)).amount_micros == 39_000


class TestDates:
    def test_change_the_price_from_their_day_on(self) -> None:
        end_prices(BANANA, date(2026, 12, 1))
        new_price(50_000, date(2026, 12, 1))

        assert quoted(BANANA, now=datetime(2026, 11, 30, 23, 59, tzinfo=UTC)).amount_micros == 39_000
        assert quoted(BANANA, now=datetime(2026, 12, 1, 0, 0, tzinfo=UTC)).amount_micros == 50_000

    def test_are_days_of_the_installations_time_zone(self, settings: Settings) -> None:
        end_prices(BANANA, date(2026, 12, 1))
        new_price(50_000, date(2026, 12, 1))
        settings.TIME_ZONE = "Europe/Berlin"

        assert quoted(BANANA, now=datetime(2026, 11, 30, 22, 59, tzinfo=UTC)).amount_micros == 39_000
        assert quoted(BANANA, now=datetime(2026, 11, 30, 23, 0, tzinfo=UTC)).amount_micros == 50_000

    def test_do_not_change_what_was_quoted(self) -> None:
        quote = quoted(BANANA).as_json()
        Price.objects.filter(model=BANANA).update(amount_micros=99_000)

        cost = pricing.actual(quote=quote, inputs={}, metrics={"image_output_count": 1}, output_count=1)
        assert cost == (39_000, False)


class TestActual:
    @pytest.mark.parametrize(
        ("metrics", "output_count", "cost"),
        [
            ({"image_output_count": 3}, 4, (9_000, False)),
            ({}, 2, (6_000, False)),
            ({}, 0, (0, False)),
            ({}, None, (12_000, True)),
            ({"image_output_count": 6}, 4, (18_000, False)),
            ({"image_output_count": "3"}, 4, (12_000, False)),
            ({"image_output_count": True}, 4, (12_000, False)),
            ({"image_output_count": -1}, None, (12_000, True)),
            ({"image_output_count": float("nan")}, None, (12_000, True)),
            ({"image_output_count": 10**9}, None, (12_000, True)),
        ],
    )
    def test_of_pictures_goes_by_their_number(
        self, metrics: dict[str, Any], output_count: int | None, cost: tuple[int, bool]
    ) -> None:
        assert booked(FLUX, metrics, output_count=output_count, num_outputs=4) == cost

    @pytest.mark.parametrize(
        ("metrics", "cost"),
        [
            ({"video_output_duration_seconds": 5}, (180_000, False)),
            ({"video_output_duration_seconds": 5.04}, (181_440, False)),
            ({"video_output_duration_seconds": 0}, (0, False)),
            ({"video_output_duration_seconds": 10, "resolution_target": "1080p"}, (720_000, False)),
            ({"video_output_duration_seconds": 10, "resolution_target": "480p"}, (180_000, False)),
            ({"video_output_duration_seconds": 10, "resolution_target": "8K"}, (360_000, False)),
            ({"video_output_duration_seconds": 10, "resolution_target": ["720p"]}, (360_000, False)),
            ({"predict_time": 72.5}, (180_000, True)),
            ({"video_output_duration_seconds": "5"}, (180_000, True)),
            ({"video_output_duration_seconds": 1e12}, (180_000, True)),
        ],
    )
    def test_of_films_goes_by_their_seconds(self, metrics: dict[str, Any], cost: tuple[int, bool]) -> None:
        assert booked(LITE, metrics) == cost

    @given(st.decimals(min_value=0, max_value=60, places=3, allow_nan=False))
    def test_is_exact_to_the_micro_dollar(self, seconds: Any) -> None:
        rules = [{"unit": "second", "amount_micros": 36_000, "conditions": {}}]
        quote = {"amount_micros": 1, "up_to": False, "rules": rules}

        cost, estimated = pricing.actual(
            quote=quote, inputs={}, metrics={"video_output_duration_seconds": float(seconds)}, output_count=1
        )

        assert (cost, estimated) == (int(seconds * 36_000), False)


class TestSyncPrices:
    def test_has_entered_the_catalog_after_migrating(self) -> None:
        rows = Price.objects.values_list("model", "unit", "amount_micros", "effective_to")

        assert set(rows.filter(model=LITE)) == {
            (LITE, "second", 18_000, None),
            (LITE, "second", 36_000, None),
            (LITE, "second", 72_000, None),
        }
        assert list(rows.filter(model=BANANA)) == [(BANANA, "image", 39_000, None)]

    def test_enters_nothing_twice(self) -> None:
        assert sync_prices() == 0

    def test_leaves_an_administrators_price_alone(self) -> None:
        end_prices(BANANA, date(2026, 12, 1))
        new_price(50_000, date(2026, 12, 1))

        assert sync_prices() == 0
        assert quoted(BANANA, now=datetime(2026, 12, 2, tzinfo=UTC)).amount_micros == 50_000

    def test_follows_a_newer_price_of_the_catalogs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        known = catalog.get(BANANA)
        newer = PriceRule(unit="image", usd="0.041", effective_from="2026-12-01", source="read later")
        spec = ModelSpec(**{**vars(known), "prices": (*known.prices, newer)})
        monkeypatch.setattr(catalog, "all_models", lambda: (spec,))

        assert sync_prices() == 1
        assert quoted(BANANA).amount_micros == 39_000
        assert quoted(BANANA, now=datetime(2026, 12, 1, tzinfo=UTC)).amount_micros == 41_000


def form(**fields: Any) -> PriceForm:
    data = {
        "model": BANANA,
        "unit": "image",
        "conditions": "{}",
        "amount_micros": "0.05",
        "effective_from": "2026-12-01",
        "source": "Replicate's model page, read 2026-11-30",
    }
    return PriceForm(data | fields)


class TestPriceForm:
    def test_refuses_a_second_price_for_the_same_days(self) -> None:
        (complaint,) = form().non_field_errors()

        assert "already counts from 2025-11-01 to now on" in str(complaint)

    def test_takes_one_that_begins_when_the_other_ends(self) -> None:
        end_prices(BANANA, date(2026, 12, 1))

        price = form().save()

        assert (price.amount_micros, price.conditions) == (50_000, {})

    def test_refuses_one_day_of_overlap(self) -> None:
        end_prices(BANANA, date(2026, 12, 2))

        assert not form().is_valid()

    def test_takes_one_that_ends_when_the_other_begins(self) -> None:
        assert form(effective_from="2025-01-01", effective_to="2025-11-01").is_valid()

    def test_tells_conditions_apart(self) -> None:
        other = form(model=LITE, unit="second", conditions='{"resolution": "4K"}')
        same = form(model=LITE, unit="second", conditions='{"resolution": ["720p", "4K"]}')
        all_of_them = form(model=LITE, unit="second", conditions="{}")

        assert other.is_valid()
        assert other.save().conditions == {"resolution": ["4K"]}
        assert not same.is_valid()
        assert not all_of_them.is_valid()

    @pytest.mark.parametrize(
        "fields",
        [
            {"model": "x/y"},
            {"unit": "mile"},
            {"conditions": "[]x"},
            {"conditions": "[1]"},
            {"amount_micros": "-1"},
            {"amount_micros": "0.0000001"},
            {"amount_micros": "NaN"},
            {"effective_from": "tomorrow"},
        ],
    )
    def test_refuses_nonsense(self, fields: dict[str, str]) -> None:
        end_prices(BANANA, date(2026, 12, 1))

        assert not form(**fields).is_valid()


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("director", "director@example.com", "a long password"))
    return client


class TestPriceAdmin:
    def test_lists_the_prices(self, desk: Client) -> None:
        page = desk.get(reverse("admin:generation_price_changelist")).content.decode()

        assert "0.039" in page
        assert "0.072" in page

    def test_changes_a_price_by_ending_it_and_adding_the_next(self, desk: Client) -> None:
        old = Price.objects.get(model=BANANA)
        ended = {"effective_to": "2026-12-01", "source": old.source}
        added = form().data

        desk.post(reverse("admin:generation_price_change", args=[old.pk]), ended)
        desk.post(reverse("admin:generation_price_add"), added)

        assert quoted(BANANA).amount_micros == 39_000
        assert quoted(BANANA, now=datetime(2026, 12, 1, tzinfo=UTC)).amount_micros == 50_000

    def test_does_not_rewrite_what_a_price_was(self, desk: Client) -> None:
        old = Price.objects.get(model=BANANA)

        desk.post(
            reverse("admin:generation_price_change", args=[old.pk]),
            {"usd": "9", "amount_micros": "9", "effective_from": "2020-01-01", "source": "x", "effective_to": ""},
        )

        old.refresh_from_db()
        assert (old.amount_micros, old.effective_from, old.source) == (39_000, date(2025, 11, 1), "x")

    def test_deletes_no_price_that_has_counted(self, desk: Client) -> None:
        old = Price.objects.get(model=BANANA)

        answer = desk.post(reverse("admin:generation_price_delete", args=[old.pk]), {"post": "yes"})

        assert answer.status_code == 403
