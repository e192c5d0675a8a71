"""Signs that the provider charges otherwise than our prices say: found in its figures, shown and printed."""

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tests.overseeing import ADMIN, make_administrator, make_auditor, make_staff, page
from generation import drift
from generation.drift import ModelDrift, find_drift
from generation.lifecycle import apply_update
from generation.models import Prediction
from generation.tests.making import BANANA, FLUX, SEEDANCE, done, make_prediction, make_sent, make_user

pytestmark = pytest.mark.django_db
IMAGES = {"image_output_count": 1}


@pytest.fixture
def ada() -> User:
    """Who makes everything here."""
    return make_user(daily_count_limit=None, daily_micros_limit=None)


def run(user: User, metrics: dict[str, Any], *, model: str = BANANA, now: datetime | None = None, **raw: Any) -> Any:
    """A run that the provider has finished with these figures."""
    now = now or timezone.now()
    name = f"p{Prediction.objects.count()}"
    prediction, attempt = make_sent(user=user, model=model, now=now, provider_id=name, **raw)
    apply_update(attempt=attempt, update=done(id=name, metrics=metrics), now=now)
    return prediction


def found(model: str = BANANA) -> ModelDrift:
    [one] = [drift for drift in find_drift(now=timezone.now()).models if drift.model == model]
    return one


def kinds(model: str = BANANA) -> list[tuple[str, str]]:
    return list(found(model).cases)


class TestDrift:
    def test_is_none_where_figures_and_prices_agree(self, ada: User) -> None:
        run(ada, {"predict_time": 8.1, **IMAGES})
        run(ada, {"video_output_duration_seconds": 5.0, "resolution_target": "720p"}, model=SEEDANCE)

        report = find_drift(now=timezone.now())

        assert not report.drifts
        assert [(model.model, model.runs, model.difference_micros) for model in report.models] == [
            (SEEDANCE, 1, 0),
            (BANANA, 1, 0),
        ]

    def test_is_a_run_without_usable_figures(self, ada: User) -> None:
        run(ada, {"predict_time": 8}, model=SEEDANCE)
        run(ada, {"video_output_duration_seconds": 5, "resolution_target": "720p"}, model=SEEDANCE)

        assert kinds(SEEDANCE) == [("estimated", "")]
        assert found(SEEDANCE).estimated_percent == 50

    def test_is_a_unit_that_our_prices_do_not_know(self, ada: User) -> None:
        run(ada, {**IMAGES, "image_output_megapixel_count": 4.2, "token_output_count": 0})

        assert kinds() == [("other_unit", "image_output_megapixel_count")]

    def test_is_no_film_s_count_beside_its_length(self, ada: User) -> None:
        figures = {"video_output_duration_seconds": 5, "video_output_count": 1, "resolution_target": "720p"}
        run(ada, figures, model=SEEDANCE)

        assert kinds(SEEDANCE) == []

    def test_is_a_size_without_a_price(self, ada: User) -> None:
        run(ada, {"video_output_duration_seconds": 5, "resolution_target": "4k"}, model=SEEDANCE)

        assert ("other_size", "4k") in kinds(SEEDANCE)

    def test_is_a_size_that_nobody_asked_for_and_what_it_cost(self, ada: User) -> None:
        prediction = run(ada, {"video_output_duration_seconds": 5, "resolution_target": "1080p"}, model=SEEDANCE)

        assert kinds(SEEDANCE) == [("not_as_asked", "720p asked for, 1080p made"), ("above_quote", "")]
        assert found(SEEDANCE).difference_micros == 180_000
        assert found(SEEDANCE).worst_first[0].examples == [prediction.pk]

    def test_is_more_than_was_reserved(self, ada: User) -> None:
        run(ada, {"image_output_count": 3}, model=FLUX)

        assert kinds(FLUX) == [("above_quote", "")]

    def test_is_not_fewer_than_were_reserved(self, ada: User) -> None:
        run(ada, {"image_output_count": 2}, model=FLUX, num_outputs=4)

        assert kinds(FLUX) == []
        assert found(FLUX).difference_micros == -6_000

    def test_is_counted_with_few_examples(self, ada: User) -> None:
        for _ in range(5):
            run(ada, {"predict_time": 8}, model=SEEDANCE)

        [case] = found(SEEDANCE).worst_first
        assert (case.runs, len(case.examples)) == (5, 3)

    def test_makes_few_cases_of_many_strange_words(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drift, "MOST_CASES", 2)
        for number in range(4):
            run(ada, {"video_output_duration_seconds": 5, "resolution_target": f"x{number}"}, model=SEEDANCE)

        assert [detail for _, detail in kinds(SEEDANCE)] == ["x3", "x2", "various"]

    def test_leaves_out_what_is_old_free_or_open(self, ada: User) -> None:
        run(ada, IMAGES, now=timezone.now() - timedelta(days=31))
        make_prediction(user=ada, now=timezone.now())
        Prediction.objects.update(provider="replicate")
        run(ada, {"image_output_count": 0}, model=FLUX)

        assert find_drift(now=timezone.now()).models == []

    def test_looks_at_the_newest_and_says_so(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drift, "MOST_RUNS", 2)
        for _ in range(3):
            run(ada, IMAGES)

        report = find_drift(now=timezone.now())

        assert report.cut
        assert report.models[0].runs == 2

    def test_takes_two_statements(self, ada: User, django_assert_num_queries: Any) -> None:
        for _ in range(3):
            run(ada, IMAGES)

        with django_assert_num_queries(2):
            find_drift(now=timezone.now())


class TestPage:
    ADDRESS = "generation/price/drift/"

    def test_shows_the_cases_with_examples(self, client: Client, ada: User) -> None:
        client.force_login(make_administrator())
        prediction = run(ada, {"image_output_megapixel_count": "<b>", **IMAGES})

        shown = page(client, self.ADDRESS)

        assert "1 run: figures of a unit that our prices do not know (image_output_megapixel_count)." in shown
        assert f"/generation/prediction/{prediction.pk}/change/" in shown
        assert 'href="/admin/generation/price/drift/"' in page(client, "generation/price/")

    def test_is_the_auditor_s_too(self, client: Client) -> None:
        client.force_login(make_auditor())

        assert "Nothing was charged" in page(client, self.ADDRESS)

    def test_is_read_only(self, client: Client) -> None:
        client.force_login(make_administrator())

        assert client.post(f"{ADMIN}{self.ADDRESS}").status_code == 405

    def test_is_nobody_else_s(self, client: Client) -> None:
        assert client.get(f"{ADMIN}{self.ADDRESS}").status_code == 302
        client.force_login(make_staff())
        assert client.get(f"{ADMIN}{self.ADDRESS}").status_code == 403


class TestCommand:
    def test_prints_a_table(self, ada: User) -> None:
        prediction = run(ada, {"image_output_count": 3}, model=FLUX)
        out = StringIO()

        call_command("price_drift", stdout=out)

        assert FLUX in out.getvalue()
        assert f"  1 runs booked above what was reserved, such as {prediction.pk}" in out.getvalue()

    def test_says_that_all_is_well(self) -> None:
        out = StringIO()

        call_command("price_drift", stdout=out)

        assert "Nothing parts from the prices." in out.getvalue()
