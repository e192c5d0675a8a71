"""A prediction's way through its states, and the money that goes with it."""

from datetime import timedelta
from itertools import permutations

import pytest

from accounts.models import Alert, LedgerEntry, QuotaPeriod
from accounts.quotas import QuotaExceeded
from generation import catalog
from generation.lifecycle import (
    IdempotencyConflict,
    ModelUnavailable,
    NotCancelable,
    NotRetryable,
    SubmissionsClosed,
    apply_update,
    cancel_prediction,
    current_attempt,
    finish_storing,
    hearing,
    retry_prediction,
)
from generation.lifecycle.rows import move
from generation.models import Attempt, Output, Prediction, PredictionEvent, ProviderState
from generation.states import ALLOWED_FROM, Status
from generation.tests.making import NOW, SEEDANCE, done, make_prediction, make_sent, make_user, says

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(seconds=20)


def kinds() -> list[str]:
    return list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True))


def names(prediction: Prediction) -> list[str]:
    return list(PredictionEvent.objects.filter(prediction=prediction).values_list("name", flat=True))


@pytest.mark.parametrize("start", Status)
def test_a_state_is_left_for_none_but_those_that_follow_it(start: Status) -> None:
    prediction = make_prediction()

    for target, allowed in ALLOWED_FROM.items():
        Prediction.objects.update(status=start)
        assert move(prediction, target) == (start in allowed)
        prediction.refresh_from_db()
        assert prediction.status == (target if start in allowed else start)


class TestRequestPrediction:
    def test_reserves_the_estimate_and_queues(self) -> None:
        prediction = make_prediction()

        assert prediction.status == Status.QUEUED
        assert prediction.due_at == NOW
        assert prediction.estimated_micros == 39_000
        assert kinds() == ["reserve"]
        assert names(prediction) == ["queued"]
        assert set(QuotaPeriod.objects.values_list("reserved_micros", flat=True)) == {39_000}

    def test_numbers_each_owners_frames_from_one(self) -> None:
        ada, bob = make_user(), make_user(username="bob")

        numbers = [make_prediction(user=user).number for user in (ada, ada, bob)]

        assert numbers == [1, 2, 1]

    def test_answers_the_same_key_with_the_same_prediction(self) -> None:
        user = make_user()
        first = make_prediction(user=user, key="k")

        second = make_prediction(user=user, key="k", now=LATER)

        assert (first.was_created, second.was_created) == (True, False)
        assert first.pk == second.pk
        assert kinds() == ["reserve"]

    def test_refuses_the_same_key_with_another_request(self) -> None:
        user = make_user()
        make_prediction(user=user, key="k")

        with pytest.raises(IdempotencyConflict):
            make_prediction(user=user, key="k", aspect_ratio="1:1")

    def test_creates_nothing_over_a_limit(self) -> None:
        user = make_user(daily_micros_limit=38_999)

        with pytest.raises(QuotaExceeded):
            make_prediction(user=user, key="k")

        assert not Prediction.objects.exists()
        assert kinds() == []

    def test_does_not_remember_a_refusal_under_the_key(self) -> None:
        user = make_user(daily_count_limit=0)
        with pytest.raises(QuotaExceeded):
            make_prediction(user=user, key="k")
        user.daily_count_limit = 1
        user.save()

        assert make_prediction(user=user, key="k").was_created

    def test_proposes_the_fallback_of_a_model_that_is_gone(self) -> None:
        catalog.mark_unavailable(SEEDANCE, now=NOW)

        with pytest.raises(ModelUnavailable) as error:
            make_prediction(model=SEEDANCE)

        assert error.value.fallback == "bytedance/seedance-1-pro-fast"

    def test_is_refused_while_the_provider_takes_no_work(self) -> None:
        ProviderState.objects.create(
            provider="sandbox", closed_until=NOW + timedelta(seconds=40), closed_reason="no_credit"
        )

        with pytest.raises(SubmissionsClosed) as error:
            make_prediction()

        assert error.value.retry_after_seconds == 40

    def test_queues_through_a_rate_limit(self) -> None:
        ProviderState.objects.create(
            provider="sandbox", closed_until=NOW + timedelta(seconds=40), closed_reason="rate_limited"
        )

        assert make_prediction().status == Status.QUEUED


class TestApplyUpdate:
    def test_moves_forward_step_by_step(self) -> None:
        prediction, attempt = make_sent()

        for update in (says("starting"), says("processing"), done()):
            apply_update(attempt=attempt, update=update, now=LATER)

        prediction.refresh_from_db()
        assert prediction.status == Status.STORING
        assert names(prediction) == ["queued", "starting", "processing", "storing"]

    def test_settles_when_the_provider_has_succeeded(self) -> None:
        prediction, attempt = make_sent()

        apply_update(attempt=attempt, update=done(metrics={"image_output_count": 1}), now=LATER)

        prediction.refresh_from_db()
        assert (prediction.cost_micros, prediction.cost_estimated) == (39_000, False)
        assert kinds() == ["reserve", "settle"]
        day = QuotaPeriod.objects.get(scope__contains="user", period="day")
        assert (day.reserved_micros, day.settled_micros) == (0, 39_000)

    def test_settles_once_however_often_it_hears_of_it(self) -> None:
        _, attempt = make_sent()

        moved = [apply_update(attempt=attempt, update=done(), now=LATER) for _ in range(3)]

        assert moved == [True, False, False]
        assert kinds() == ["reserve", "settle"]
        assert Output.objects.count() == 1

    @pytest.mark.parametrize("order", list(permutations(["starting", "processing", "succeeded", "processing"])))
    def test_ends_the_same_in_whatever_order_it_hears(self, order: tuple[str, ...]) -> None:
        prediction, attempt = make_sent()

        for word in order:
            apply_update(attempt=attempt, update=done() if word == "succeeded" else says(word), now=LATER)

        prediction.refresh_from_db()
        assert prediction.status == Status.STORING
        assert kinds() == ["reserve", "settle"]

    @pytest.mark.parametrize(
        ("word", "status", "code"),
        [("failed", Status.FAILED, "provider_error"), ("aborted", Status.ABORTED, "timed_out")],
    )
    def test_gives_the_money_back_after(self, word: str, status: Status, code: str) -> None:
        prediction, attempt = make_sent()

        apply_update(attempt=attempt, update=says(word, error="CUDA error" if word == "failed" else ""), now=LATER)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code, prediction.cost_micros) == (status, code, 0)
        assert prediction.due_at is None
        assert kinds() == ["reserve", "release"]

    def test_names_what_was_flagged_as_sensitive(self) -> None:
        prediction, attempt = make_sent()
        text = "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (uIJ6l3)"

        apply_update(attempt=attempt, update=says("failed", error=text), now=LATER)

        prediction.refresh_from_db()
        assert prediction.error_code == "sensitive"

    def test_settles_what_was_canceled_while_it_ran(self) -> None:
        prediction, attempt = make_sent()

        apply_update(attempt=attempt, update=says("canceled", started_at=NOW), now=LATER)

        prediction.refresh_from_db()
        assert (prediction.cost_micros, prediction.cost_estimated) == (39_000, True)
        assert kinds() == ["reserve", "settle"]

    def test_releases_what_was_canceled_before_it_started(self) -> None:
        prediction, attempt = make_sent()

        apply_update(attempt=attempt, update=says("canceled"), now=LATER)

        prediction.refresh_from_db()
        assert prediction.cost_micros == 0
        assert kinds() == ["reserve", "release"]

    def test_keeps_an_unknown_word_and_changes_nothing(self) -> None:
        prediction, attempt = make_sent()

        assert not apply_update(attempt=attempt, update=says("zzz_new"), now=LATER)

        attempt.refresh_from_db()
        prediction.refresh_from_db()
        assert (attempt.provider_status, prediction.status) == ("zzz_new", Status.QUEUED)

    def test_calls_a_success_without_a_file_a_failure(self) -> None:
        prediction, attempt = make_sent()

        apply_update(attempt=attempt, update=says("succeeded", output=[]), now=LATER)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.FAILED, "empty_output")

    def test_calls_a_success_whose_files_were_erased_lost(self) -> None:
        prediction, attempt = make_sent()

        apply_update(attempt=attempt, update=says("succeeded", data_removed=True), now=LATER)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.LOST, "file_expired")
        assert kinds() == ["reserve", "settle"]

    def test_refuses_an_update_of_another_prediction(self) -> None:
        prediction, attempt = make_sent()

        assert not apply_update(attempt=attempt, update=done(id="p2"), now=LATER)

        prediction.refresh_from_db()
        assert prediction.status == Status.QUEUED
        assert Alert.objects.get().name == "ids_differ"

    def test_refuses_an_id_that_another_attempt_has(self) -> None:
        other, _ = make_sent()
        prediction, attempt = make_sent(provider_id=None, user=other.user)

        assert not apply_update(attempt=attempt, update=says("processing"), now=LATER)

        prediction.refresh_from_db()
        attempt.refresh_from_db()
        assert (prediction.status, attempt.provider_id) == (Status.QUEUED, None)
        assert Alert.objects.get().name == "ids_differ"

    def test_keeps_the_id_whatever_goes_wrong_with_the_rest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction, attempt = make_sent(provider_id=None)
        monkeypatch.setattr(hearing, "move", lambda *_, **__: 1 / 0)

        with pytest.raises(ZeroDivisionError):
            apply_update(attempt=attempt, update=says("processing"), now=LATER)

        prediction.refresh_from_db()
        attempt.refresh_from_db()
        assert (prediction.status, attempt.provider_id) == (Status.QUEUED, "p1")

    def test_reads_progress_from_the_logs(self) -> None:
        prediction, attempt = make_sent()
        apply_update(attempt=attempt, update=says("processing"), now=LATER)

        apply_update(attempt=attempt, update=says("processing", logs=" 50%|#####     | 8/16"), now=LATER)

        prediction.refresh_from_db()
        assert prediction.progress == pytest.approx(0.5)
        assert names(prediction)[-1] == "progress"


class TestTransientFailure:
    TEXT = "Prediction interrupted; please retry (code: PA)"

    def test_queues_another_attempt_with_the_same_reservation(self) -> None:
        prediction, attempt = make_sent()

        apply_update(attempt=attempt, update=says("failed", error=self.TEXT), now=LATER)

        prediction.refresh_from_db()
        following = current_attempt(prediction)
        assert (prediction.status, prediction.submitted_at) == (Status.QUEUED, None)
        assert following.number == 2
        assert kinds() == ["reserve", "release", "reserve"]
        assert QuotaPeriod.objects.get(scope__contains="user", period="day").reserved_count == 1

    def test_gives_up_after_three_attempts(self) -> None:
        prediction, attempt = make_sent()

        for n in range(1, 4):
            Attempt.objects.filter(pk=attempt.pk).update(submitted_at=NOW, provider_id=f"p{n}")
            attempt.refresh_from_db()
            apply_update(attempt=attempt, update=says("failed", id=f"p{n}", error=self.TEXT), now=LATER)
            attempt = current_attempt(prediction)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.FAILED, "provider_busy")
        assert QuotaPeriod.objects.get(scope__contains="user", period="day").reserved_count == 0

    def test_never_lets_an_older_attempt_change_the_state(self) -> None:
        prediction, attempt = make_sent()
        apply_update(attempt=attempt, update=says("failed", error=self.TEXT), now=LATER)

        assert not apply_update(attempt=attempt, update=done(), now=LATER)

        prediction.refresh_from_db()
        assert prediction.status == Status.QUEUED


class TestFoundLater:
    def test_keeps_the_file_and_books_the_cost(self) -> None:
        from generation.lifecycle import fail_unsent

        prediction, attempt = make_sent(provider_id=None)
        fail_unsent(prediction=prediction, code="lost_in_sending", now=LATER)

        apply_update(attempt=attempt, update=done(), now=LATER)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.cost_micros) == (Status.FAILED, 39_000)
        assert Output.objects.filter(state=Output.State.WAITING).count() == 1
        assert kinds() == ["reserve", "release", "correct"]


class TestCancel:
    def test_ends_at_once_what_was_not_sent(self) -> None:
        prediction = cancel_prediction(prediction=make_prediction(), now=LATER)

        assert (prediction.status, prediction.cost_micros) == (Status.CANCELED, 0)
        assert kinds() == ["reserve", "release"]

    def test_only_asks_for_the_end_of_what_was_sent(self) -> None:
        prediction, _ = make_sent()

        prediction = cancel_prediction(prediction=prediction, now=LATER)

        assert (prediction.status, prediction.cancel_requested_at, prediction.due_at) == (Status.QUEUED, LATER, LATER)
        assert kinds() == ["reserve"]

    def test_is_refused_once_the_provider_was_paid(self) -> None:
        prediction, attempt = make_sent()
        apply_update(attempt=attempt, update=done(), now=LATER)

        with pytest.raises(NotCancelable):
            cancel_prediction(prediction=prediction, now=LATER)

    def test_stops_a_transient_failure_from_being_tried_again(self) -> None:
        prediction, attempt = make_sent()
        cancel_prediction(prediction=prediction, now=LATER)

        apply_update(attempt=attempt, update=says("failed", error=TestTransientFailure.TEXT), now=LATER)

        prediction.refresh_from_db()
        assert prediction.status == Status.FAILED


class TestRetry:
    def test_asks_for_the_same_again(self) -> None:
        first = cancel_prediction(prediction=make_prediction(aspect_ratio="16:9"), now=LATER)

        second = retry_prediction(prediction=first, now=LATER)

        assert second.pk != first.pk
        assert (second.input, second.retry_of_id) == (first.input, first.pk)

    def test_is_refused_while_it_runs(self) -> None:
        with pytest.raises(NotRetryable):
            retry_prediction(prediction=make_prediction(), now=LATER)


class TestFinishStoring:
    def prepare(self, *states: str) -> Prediction:
        prediction, attempt = make_sent()
        addresses = [f"https://replicate.delivery/{n}.jpg" for n in range(len(states))]
        apply_update(attempt=attempt, update=done(*addresses), now=LATER)
        for index, state in enumerate(states):
            Output.objects.filter(index=index).update(state=state, due_at=LATER if state == "waiting" else None)
        finish_storing(prediction_id=prediction.pk, now=LATER)
        prediction.refresh_from_db()
        return prediction

    @pytest.mark.parametrize(
        ("states", "status"),
        [
            (["stored", "stored"], Status.SUCCEEDED),
            (["stored", "lost"], Status.SUCCEEDED),
            (["stored", "waiting"], Status.STORING),
            (["lost", "lost"], Status.LOST),
        ],
    )
    def test_concludes_by_the_outputs(self, states: list[str], status: Status) -> None:
        assert self.prepare(*states).status == status

    @pytest.mark.parametrize(
        ("states", "words"),
        [
            (["stored", "stored"], None),
            (["stored", "lost"], "1 of 2 files"),
            (["lost", "lost"], "2 of 2 files"),
            (["lost", "waiting"], None),
        ],
    )
    def test_tells_administrators_of_what_was_paid_and_lost(self, states: list[str], words: str | None) -> None:
        self.prepare(*states)

        told = [alert.detail for alert in Alert.objects.filter(name="prediction_lost")]
        assert len(told) == (1 if words else 0)
        assert all((words or "") in detail for detail in told)

    def test_moves_no_money(self) -> None:
        self.prepare("lost")

        assert kinds() == ["reserve", "settle", "correct"]
        told = LedgerEntry.objects.get(kind="correct")
        assert (told.amount_micros, told.count, told.end) == (0, 0, "lost")
