"""What a card says in each state, what it offers, and what it must not say."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gallery.models import Asset
from generation import events
from generation.lifecycle import current_attempt
from generation.models import Output, Prediction
from generation.states import Status
from generation.tests.making import NOW, SEEDANCE, make_prediction, make_sent, make_user
from generation.web import runs
from generation.web.cards import cards_for
from generation.web.runs import render_card

pytestmark = pytest.mark.django_db
USUAL = timedelta(seconds=10.5)


def put(prediction: Prediction, **fields: Any) -> Prediction:
    """The row as some later moment would have left it."""
    if fields.get("status") in {Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.ABORTED, Status.LOST}:
        fields = {"due_at": None, "completed_at": NOW + timedelta(seconds=8), **fields}
    Prediction.objects.filter(pk=prediction.pk).update(**fields)
    prediction.refresh_from_db()
    return prediction


def shown(prediction: Prediction, *, after: timedelta = timedelta(seconds=3), **options: Any) -> str:
    """The fragment some time after the prediction was asked for, with runs of white space made one."""
    return " ".join(render_card(prediction, now=NOW + after, **options).split())


def store(prediction: Prediction, *, index: int = 0, state: str = "stored", **fields: Any) -> Output:
    """An output of the prediction, with its asset where it was stored."""
    asset = None
    if state == "stored":
        asset = Asset.objects.create(
            owner_id=prediction.user_id,
            kind=prediction.type,
            origin=Asset.Origin.GENERATED,
            created_at=NOW,
            storage_key=f"{prediction.pk}/{index}",
            content_type="image/jpeg",
            size_bytes=10,
            sha256="0" * 64,
            width=1600,
            height=900,
            prompt=prediction.prompt,
            frame_number=prediction.number,
            thumbnail_key=f"{prediction.pk}/{index}/thumbnail",
            placeholder="aa0000bb0000cc0000",
            **fields,
        )
    return Output.objects.create(
        prediction=prediction,
        attempt=current_attempt(prediction),
        index=index,
        url="https://replicate.delivery/x.jpg",
        state=state,
        asset=asset,
        expires_at=NOW,
    )


def running(status: str = Status.PROCESSING, **fields: Any) -> Prediction:
    """Sent at `NOW`, and by then so far as the fields say."""
    prediction, _ = make_sent()
    return put(prediction, status=status, **fields)


class TestWords:
    def test_tell_the_place_in_the_queue(self) -> None:
        user = make_user()
        make_prediction(user=user)
        make_prediction(user=user, now=NOW + timedelta(seconds=1))
        third = make_prediction(user=user, now=NOW + timedelta(seconds=2))

        html = shown(third)

        assert "Your request is in queue…" in html
        assert "3rd" in html and "of 3" in html
        assert "/cancel" in html

    def test_say_who_else_of_yours_is_running(self, settings: Any) -> None:
        settings.MAX_IN_FLIGHT_PER_USER = 1
        user = make_user()
        sent, _ = make_sent(user=user)
        put(sent, status=Status.PROCESSING)

        assert "One of yours is running. This one starts when a slot is free." in shown(make_prediction(user=user))

    def test_estimate_the_wait_behind_your_own(self, settings: Any) -> None:
        settings.MAX_IN_FLIGHT_PER_USER = 2
        user = make_user()
        queued = [make_prediction(user=user, now=NOW + timedelta(seconds=number)) for number in range(5)]

        below = [re.search(r'class="data">([^<]+)', shown(prediction)) for prediction in queued]

        assert [found and found[1] for found in below] == [
            "starts soon",
            "starts soon",
            "about 10 s",
            "about 10 s",
            "about 21 s",
        ]

    def test_call_a_request_on_its_way_queued(self) -> None:
        prediction, _ = make_sent(provider_id=None)

        assert "Your request is in queue…" in shown(prediction)

    def test_promise_in_doubt_that_nothing_is_charged_twice(self) -> None:
        prediction, _ = make_sent(provider_id=None)
        events.record(prediction=prediction, name="confirming", now=NOW)

        html = shown(prediction)

        assert "Waiting for the provider to confirm…" in html
        assert "Nothing will be charged twice." in html
        assert "/cancel" in html

    def test_warm_up_once_the_provider_has_it(self) -> None:
        assert "Warming up…" in shown(running(Status.STARTING))

    def test_give_a_percentage_where_the_logs_do(self) -> None:
        html = shown(running(started_at=NOW, progress=0.64))

        assert "Generating your content…" in html
        assert 'value="64"' in html and ">64<" in html

    def test_give_the_time_against_the_usual_one_else(self) -> None:
        html = shown(running(started_at=NOW), after=timedelta(seconds=7))

        assert 'data-elapsed="7.0"' in html and "0:07" in html
        assert "usually 0:10" in html
        assert '<progress max="100" aria-label' in html

    def test_offer_nothing_while_canceling(self) -> None:
        html = shown(running(cancel_requested_at=NOW))

        assert "Canceling…" in html
        assert "/cancel" not in html and "keep-waiting" not in html

    def test_say_that_files_are_being_saved(self) -> None:
        html = shown(running(Status.STORING, cost_micros=39_000))

        assert "Saving to your gallery…" in html
        assert "/cancel" not in html

    def test_show_what_is_stored_already(self) -> None:
        prediction = running(Status.STORING)
        asset = store(prediction).asset

        assert asset and f"/assets/{asset.pk}/thumbnail" in shown(prediction)

    def test_shows_the_shape_that_a_reference_has_decided(self) -> None:
        prediction = put(running(), status=Status.SUCCEEDED, cost_micros=39_000)
        store(prediction)

        assert prediction.input.get("aspect_ratio") != "16:9"
        assert "Nano Banana · 16:9" in shown(prediction)

    def test_show_what_was_made_with_its_size(self) -> None:
        prediction = running(Status.SUCCEEDED, started_at=NOW, cost_micros=39_000)
        asset = store(prediction).asset
        assert asset

        html = shown(prediction)

        assert "Generation complete!" in html
        assert 'width="1600" height="900"' in html and "r-16x9" in html
        assert "8.0 s · $0.039" in html
        assert f"/gallery/{asset.pk}/" in html
        assert f"/?reuse={prediction.pk}" in html
        assert f"/?reference={asset.pk}" in html
        assert f"/?type=video&amp;image={asset.pk}" in html

    def test_say_which_files_did_not_arrive(self) -> None:
        prediction = running(Status.SUCCEEDED)
        store(prediction)
        store(prediction, index=1, state="lost")

        assert "1 of 2 files could not be saved in time." in shown(prediction)

    def test_say_why_it_failed_and_that_it_was_free(self) -> None:
        html = shown(running(Status.FAILED, error_code="out_of_memory", cost_micros=0, error_message="CUDA oom"))

        assert "Generation failed" in html
        assert "ran out of memory" in html and "You were not charged." in html
        assert "CUDA" not in html
        assert "/retry" in html and "/?reuse=" in html

    def test_stay_neutral_about_what_was_declined(self) -> None:
        html = shown(running(Status.FAILED, error_code="sensitive", cost_micros=0))

        assert "The model declined this prompt" in html and "Your prompt is kept" in html
        assert "Generation failed" not in html
        assert "/?reuse=" in html and "/retry" not in html

    def test_ask_after_twice_the_usual_time(self) -> None:
        prediction = running(started_at=NOW)

        assert "Taking longer than expected" not in shown(prediction, after=USUAL * 1.9)
        html = shown(prediction, after=USUAL * 2.1)
        assert "Taking longer than expected" in html
        assert "/keep-waiting" in html and "/cancel" in html

    def test_do_not_ask_again_before_the_wait_is_over(self) -> None:
        prediction = running(started_at=NOW, keep_waiting_until=NOW + USUAL * 4)

        assert "Generating your content…" in shown(prediction, after=USUAL * 3)
        assert "Taking longer than expected" in shown(prediction, after=USUAL * 4.1)

    def test_tell_the_page_when_to_ask(self) -> None:
        assert 'data-slow-in="18.0"' in shown(running(started_at=NOW))

    def test_name_what_a_cancel_cost(self) -> None:
        assert "what had already run: $0.048." in shown(running(Status.CANCELED, cost_micros=48_000))

    def test_say_that_a_cancel_was_free(self) -> None:
        html = shown(running(Status.CANCELED, cost_micros=0))

        assert "Canceled" in html and "You were not charged." in html
        assert "/retry" in html

    def test_treat_what_the_provider_gave_up_as_canceled(self) -> None:
        html = shown(running(Status.ABORTED, error_code="timed_out", cost_micros=0))

        assert "Canceled" in html and "did not start this in time" in html

    def test_say_what_a_lost_file_cost(self) -> None:
        html = shown(running(Status.LOST, error_code="storage_unavailable", cost_micros=39_000))

        assert "Generated, but the file could not be saved in time" in html
        assert "It cost $0.039." in html
        assert "/retry" in html

    def test_own_up_to_what_turned_up_later(self) -> None:
        prediction = running(Status.FAILED, error_code="lost_in_sending", cost_micros=39_000)
        store(prediction)

        assert "it is in your gallery and cost $0.039." in shown(prediction)

    def test_mark_what_the_sandbox_made(self) -> None:
        assert "Simulated" in shown(running(provider="sandbox"))
        assert "Simulated" not in shown(running_again(provider="replicate"))


def running_again(**fields: Any) -> Prediction:
    """Another creator's."""
    prediction, _ = make_sent(user=make_user(username="bob"), provider_id="p2")
    return put(prediction, status=Status.PROCESSING, **fields)


class TestRoot:
    def test_names_state_event_and_place(self) -> None:
        prediction = make_prediction()

        html = shown(prediction)

        assert (
            f'id="prediction-{prediction.number}" data-state="queued" data-event="{prediction.last_event_id}"' in html
        )
        assert "hx-swap-oob" not in html
        assert 'hx-swap-oob="true"' in shown(prediction, oob=True)

    def test_asks_for_news_only_while_there_may_be_some(self) -> None:
        prediction = make_prediction()

        assert f'hx-get="/predictions/{prediction.pk}/card" hx-trigger="poll"' in shown(prediction)
        assert "hx-trigger" not in shown(put(prediction, status=Status.FAILED, cost_micros=0))

    def test_asks_until_the_thumbnail_is_there(self) -> None:
        prediction = running(Status.SUCCEEDED)
        output = store(prediction, due_at=NOW)
        Asset.objects.filter(output=output).update(thumbnail_key="")

        assert 'hx-trigger="poll"' in shown(prediction)

    def test_survives_a_model_that_is_offered_no_longer(self) -> None:
        assert "gone/model" in shown(put(make_prediction(), model="gone/model"))

    def test_escapes_what_people_and_providers_wrote(self) -> None:
        hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
        prediction = running(Status.FAILED, prompt=hostile, error_message=hostile, error_code=hostile[:40])

        html = shown(prediction)

        assert "<script" not in html and "<img src=x" not in html

    def test_names_the_length_of_a_film(self) -> None:
        assert "16:9 · 8 s" in shown(make_prediction(model=SEEDANCE, duration=8))


class TestCardsFor:
    def test_asks_the_database_as_often_for_many_as_for_few(self) -> None:
        user = make_user()
        for number in range(6):
            make_prediction(user=user, now=NOW + timedelta(seconds=number))
        for number in range(3):
            finished, _ = make_sent(user=user, provider_id=f"s{number}")
            store(put(finished, status=Status.SUCCEEDED))

        def statements(count: int) -> int:
            with CaptureQueriesContext(
                connection,
            ) as asked:
                rows = list(Prediction.objects.for_owner(user).order_by("created_at")[:count])
                assert len(cards_for(rows, now=NOW)) == count
            return len(asked)

        assert statements(9) == statements(4)


class TestAStillCard:
    """One that is kept as it was rendered, until its rows are others."""

    @pytest.mark.parametrize("status", Status)
    def test_shows_neither_clock_nor_form(self, status: Status) -> None:
        prediction = put(make_sent()[0], status=status, started_at=NOW)
        store(prediction)

        [card] = cards_for([prediction], now=NOW)

        assert (card.still is not None) is (status is Status.SUCCEEDED)
        if card.still is not None:
            assert shown(prediction) == shown(prediction, after=timedelta(days=2))
            assert not re.search("<form|data-elapsed|data-slow|csrf", shown(prediction))

    def test_of_several_runs_is_one_when_all_have_succeeded(self) -> None:
        first = put(make_prediction(), status=Status.SUCCEEDED)
        second = put(make_prediction(user=first.user), status=Status.STORING, first_run=first)
        [running] = runs.shown([first], now=NOW)
        assert running.still is None

        put(second, status=Status.SUCCEEDED)

        [done] = runs.shown([first], now=NOW)
        assert done.still == [first, [], second, []]
        html = render_card(first, now=NOW)
        assert html == render_card(first, now=NOW + timedelta(days=2))
        assert "<form" not in html

    def test_is_another_in_the_page_when_its_picture_is(self, client: Client) -> None:
        prediction = put(make_sent()[0], status=Status.SUCCEEDED)
        output = store(prediction)
        client.force_login(prediction.user)
        assert "no longer in the gallery" not in client.get("/").text

        Output.objects.filter(pk=output.pk).update(asset=None)

        assert "no longer in the gallery" in client.get("/").text
