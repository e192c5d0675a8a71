"""Rows that could get stuck, work that could be overtaken, and doors that one row could close for everybody."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, connections
from django.db.models import ProtectedError
from django.utils import timezone
from pytest_django import Settings

from accounts import quotas
from accounts.models import LedgerEntry
from gallery import fetcher
from gallery.models import Asset
from gallery.storage import StorageError
from gallery.tests.samples import picture
from generation import lifecycle, providers
from generation.lifecycle import apply_update, cancel_prediction, current_attempt, ending, rows
from generation.models import Attempt, Output, Prediction, ProviderState
from generation.providers.base import (
    AnswerLost,
    InputRefused,
    NoCredit,
    NotSent,
    ProviderPrediction,
    RateLimited,
    Refused,
    Unavailable,
)
from generation.providers.replicate import ReplicateProvider
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.answering import LANE, Answering, raising
from generation.tests.making import BANANA, SEEDANCE, done, make_prediction, make_sent, make_user, says
from generation.work import choose, doubt, inputs, schedule, store, submit
from generation.work.chores import chores, look_after_given_up
from generation.work.lanes import Lane
from generation.work.loop import Loop, run_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def without_webhooks(settings: Settings, sandbox: RunningSandbox) -> None:
    settings.WEBHOOK_ORIGIN = ""


def all_due() -> None:
    past = timezone.now() - timedelta(seconds=1)
    Prediction.objects.unfinished().update(due_at=past)
    Output.objects.filter(state=Output.State.WAITING).update(due_at=past)


def kinds() -> list[str]:
    return list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True))


class TestCancel:
    def test_during_a_create_that_is_refused_ends_the_row(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction = make_prediction(now=timezone.now())

        def create(**_: Any) -> ProviderPrediction:
            cancel_prediction(prediction=Prediction.objects.get(), now=timezone.now())
            raise RateLimited("throttled", status=429, retry_after=1)

        with monkeypatch.context() as patch:
            patch.setattr(providers, "named", lambda _: Answering(create=create))
            run_once(LANE["submit"])
        ProviderState.objects.update(closed_until=None)
        all_due()

        run_once()

        prediction.refresh_from_db()
        assert prediction.status == Status.CANCELED
        assert kinds() == ["reserve", "release"]

    def test_that_comes_while_the_row_is_looked_at_is_not_kept_waiting(
        self, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        settings.WEBHOOK_ORIGIN = "http://127.0.0.1:9"
        prediction, _ = make_sent(now=timezone.now(), model=SEEDANCE)
        Prediction.objects.update(status=Status.PROCESSING)
        all_due()
        look = schedule.next_look

        def next_look(*args: Any, **more: Any) -> datetime:
            look_at = look(*args, **more)
            cancel_prediction(prediction=Prediction.objects.get(), now=timezone.now())
            return look_at

        monkeypatch.setattr(providers, "named", lambda _: Answering(get=lambda _: says("processing")))
        monkeypatch.setattr(schedule, "next_look", next_look)
        run_once(LANE["refresh"])

        prediction.refresh_from_db()
        assert prediction.due_at is not None
        assert prediction.due_at - timezone.now() < timedelta(seconds=5)

    @pytest.mark.skipif("connection.vendor != 'postgresql'", reason="rows are locked one by one on PostgreSQL only")
    def test_that_meets_another_attempt_ends_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction, attempt = make_sent(now=timezone.now())
        Prediction.objects.update(status=Status.PROCESSING)
        transfer, cancels = quotas.transfer, []

        def slow(**more: Any) -> bool:
            cancels.append(in_thread(lambda: cancel_prediction(prediction=prediction, now=timezone.now())))
            time.sleep(0.5)
            return transfer(**more)

        monkeypatch.setattr(quotas, "transfer", slow)
        apply_update(attempt=attempt, update=says("failed", error="please retry (code: PA)"), now=timezone.now())
        cancels[0].result(timeout=60)

        prediction.refresh_from_db()
        assert prediction.status == Status.CANCELED

    @pytest.mark.skipif("connection.vendor != 'postgresql'", reason="rows are locked one by one on PostgreSQL only")
    def test_and_a_verdict_take_their_locks_in_one_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_prediction(now=timezone.now())
        move = rows.move

        def slow(*args: Any, **more: Any) -> bool:
            time.sleep(0.3)
            return move(*args, **more)

        monkeypatch.setattr(ending, "move", slow)
        row = Prediction.objects.get()
        both = [
            in_thread(lambda: lifecycle.fail_unsent(prediction=row, code="input_refused", now=timezone.now())),
            in_thread(lambda: cancel_prediction(prediction=Prediction.objects.get(), now=timezone.now())),
        ]

        errors = [task.exception(timeout=60) for task in both]

        assert not any(isinstance(error, DatabaseError) for error in errors)


def in_thread(work: Callable[[], Any]) -> Any:
    def run() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    pool = ThreadPoolExecutor(1)
    task = pool.submit(run)
    pool.shutdown(wait=False)
    return task


class TestZombie:
    def test_whose_create_is_refused_leaves_no_half_row(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction = make_prediction(now=timezone.now())

        def create(**_: Any) -> ProviderPrediction:
            Prediction.objects.update(lease_token=uuid4(), lease_until=timezone.now() - timedelta(seconds=1))
            raise NotSent("refused")

        with monkeypatch.context() as patch:
            patch.setattr(providers, "named", lambda _: Answering(create=create))
            run_once(LANE["submit"])

        prediction.refresh_from_db()
        assert prediction.submitted_at is not None
        assert current_attempt(prediction).doubtful

    def test_fails_no_row_that_another_worker_sends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction = make_prediction(now=timezone.now())
        [row] = choose.choose(1)

        def slow(**_: Any) -> Mapping[str, Any]:
            Prediction.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
            [taken] = choose.choose(1)
            assert submit._mark(taken, dict(taken.input))
            raise InputRefused("late", status=422, invalid_fields={})

        monkeypatch.setattr(inputs, "for_provider", slow)
        submit.submit(row)

        prediction.refresh_from_db()
        assert prediction.status == Status.QUEUED
        assert kinds() == ["reserve"]


class TestAnswer:
    @pytest.mark.parametrize("status", [500, 502, 504])
    def test_that_proves_nothing_is_doubted(self, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
        prediction = make_prediction(now=timezone.now())
        error = Unavailable("something went wrong", status=status)

        monkeypatch.setattr(providers, "named", lambda _: Answering(create=raising(error)))
        run_once(LANE["submit"])

        assert current_attempt(prediction).doubtful

    def test_that_refuses_one_item_for_a_new_reason_fails_that_item_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction = make_prediction(now=timezone.now())

        monkeypatch.setattr(providers, "named", lambda _: Answering(create=raising(Refused("no", status=409))))
        run_once(LANE["submit"])

        prediction.refresh_from_db()
        assert prediction.error_code == "input_refused"
        assert ProviderState.objects.get().faults == 0

    def test_in_an_unknown_word_is_asked_about_with_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction, _ = make_sent(now=timezone.now())
        all_due()
        monkeypatch.setattr(providers, "named", lambda _: Answering(get=lambda _: says("zzz")))

        before = timezone.now()
        run_once(LANE["refresh"])

        prediction.refresh_from_db()
        assert prediction.due_at and prediction.due_at - before >= schedule.FIRST_LOOK

    def test_that_never_ends_is_ended_after_its_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ago = timezone.now() - timedelta(minutes=40)
        prediction, _ = make_sent(now=ago)
        Attempt.objects.update(deadline_at=ago + timedelta(minutes=30))
        Prediction.objects.update(status=Status.PROCESSING)
        all_due()
        asked: list[str] = []

        def call(name: str) -> Callable[[str], ProviderPrediction]:
            def answer(_: str) -> ProviderPrediction:
                asked.append(name)
                return says("processing", deadline=ago + timedelta(minutes=30))

            return answer

        provider = Answering(get=call("get"), cancel=call("cancel"), now=timezone.now)
        monkeypatch.setattr(providers, "named", lambda _: provider)
        run_once()
        prediction.refresh_from_db()
        assert (asked, prediction.status) == (["get", "cancel"], Status.PROCESSING)

        ago -= timedelta(hours=1)
        all_due()
        run_once()

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.FAILED, "timed_out")


class TestReference:
    @pytest.mark.parametrize("store_answers", [404, 503])
    def test_that_cannot_be_read_closes_no_door(self, monkeypatch: pytest.MonkeyPatch, store_answers: int) -> None:
        prediction = make_prediction(now=timezone.now())
        error = StorageError("no", status=store_answers)

        monkeypatch.setattr(inputs, "for_provider", raising(error))
        for _ in range(4):
            all_due()
            run_once(LANE["submit"])

        prediction.refresh_from_db()
        assert ProviderState.objects.get().faults == 0
        assert prediction.error_code == ("reference_missing" if store_answers == 404 else "")


class TestVerdict:
    def listing(self, *items: ProviderPrediction) -> Any:
        return Answering(list_since=lambda _: iter(items))

    def late(self, **more: Any) -> tuple[Prediction, Attempt]:
        return make_sent(now=timezone.now() - timedelta(minutes=6), provider_id=None, **more)

    def test_is_not_given_where_several_could_be_it(self) -> None:
        ada, attempt = self.late(user=make_user())
        rival = make_prediction(user=make_user(username="bob"), now=timezone.now())
        Attempt.objects.filter(prediction=rival).update(
            submitted_at=timezone.now(), fingerprint="f", sent_input=ada.input, cancel_after_seconds=1601
        )
        items = [ProviderPrediction(id=name, status="succeeded", model=BANANA, input=ada.input) for name in "xy"]

        doubt.resolve(prediction=ada, attempt=attempt, provider=self.listing(*items), now=timezone.now())

        ada.refresh_from_db()
        assert (ada.status, ada.quarantined_at is not None) == (Status.QUEUED, True)

    def test_knows_an_erased_one_by_its_deadline(self) -> None:
        prediction, attempt = self.late()
        made_at = timezone.now() - timedelta(minutes=70)
        erased = ProviderPrediction(
            id="x",
            status="succeeded",
            model=BANANA,
            data_removed=True,
            created_at=made_at,
            deadline=made_at + timedelta(seconds=attempt.cancel_after_seconds or 0),
        )

        doubt.resolve(prediction=prediction, attempt=attempt, provider=self.listing(erased), now=timezone.now())

        prediction.refresh_from_db()
        assert (prediction.status, prediction.cost_micros) == (Status.LOST, 39_000)

    def test_allows_for_a_clock_that_is_ten_minutes_ahead(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "lost"}})
        prediction = make_prediction(now=timezone.now())
        run_once(LANE["submit"])
        Attempt.objects.update(submitted_at=timezone.now() + timedelta(minutes=10))
        attempt = Attempt.objects.get()

        doubt.resolve(
            prediction=prediction,
            attempt=attempt,
            provider=providers.named("sandbox"),
            now=timezone.now() + timedelta(minutes=16),
        )

        attempt.refresh_from_db()
        assert attempt.provider_id


class TestGivenUp:
    def lost(self) -> Attempt:
        prediction, attempt = make_sent(now=timezone.now(), provider_id=None)
        lifecycle.fail_unsent(prediction=prediction, code="lost_in_sending", now=timezone.now())
        attempt.refresh_from_db()
        return attempt

    def test_and_running_after_all_is_looked_after(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "lost"}})
        prediction = make_prediction(now=timezone.now())
        run_once(LANE["submit"])
        lifecycle.fail_unsent(prediction=Prediction.objects.get(), code="lost_in_sending", now=timezone.now())
        attempt = Attempt.objects.get()
        created = sandbox.log("create")[0]["prediction"]
        apply_update(
            attempt=attempt, update=ProviderPrediction(id=created, status="starting", model=BANANA), now=timezone.now()
        )
        sandbox.wait_until(lambda: sandbox.prediction(created).ended)

        look_after_given_up(now=timezone.now() + timedelta(minutes=2))
        run_once()

        assert kinds() == ["reserve", "release", "correct"]
        assert Asset.objects.filter(prediction_id=prediction.pk).exists()

    def test_and_canceled_while_it_ran_is_booked(self) -> None:
        attempt = self.lost()

        apply_update(attempt=attempt, update=says("canceled", started_at=timezone.now()), now=timezone.now())

        assert kinds() == ["reserve", "release", "correct"]


class TestSetAside:
    def test_work_that_dies_again_and_again_is(self) -> None:
        make_sent(now=timezone.now())
        Prediction.objects.update(claims=5)
        all_due()

        assert run_once(LANE["refresh"]) == 0
        chores()

        assert Prediction.objects.get().quarantined_at

    def test_what_cannot_be_sent_is_not_taken_again_at_once(self) -> None:
        make_prediction(now=timezone.now())
        Attempt.objects.update(closed_at=timezone.now())

        assert run_once(LANE["submit"]) == 1

        left = Prediction.objects.get()
        assert (left.claims, left.lease_token is None) == (1, False)

    def test_an_output_is_lost_when_its_hour_is_over(self) -> None:
        prediction, attempt = make_sent(now=timezone.now())
        apply_update(attempt=attempt, update=done(), now=timezone.now())
        Output.objects.update(claims=5)
        all_due()
        chores()
        Output.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        chores()

        prediction.refresh_from_db()
        assert prediction.status == Status.LOST

    @pytest.mark.parametrize(("hours", "state"), [(2, Output.State.WAITING), (25, Output.State.LOST)])
    def test_keeps_for_a_day_what_lies_in_a_spool(self, hours: int, state: Output.State) -> None:
        now = timezone.now()
        _, attempt = make_sent(now=now)
        apply_update(attempt=attempt, update=done(), now=now)
        Output.objects.update(quarantined_at=now, spool_host="here", expires_at=now - timedelta(hours=hours))

        chores()

        assert Output.objects.get().state == state

    def test_ends_with_news(self) -> None:
        prediction, attempt = make_sent(now=timezone.now())
        Prediction.objects.update(quarantined_at=timezone.now())

        apply_update(attempt=attempt, update=says("failed", error="please retry (code: PA)"), now=timezone.now())

        prediction.refresh_from_db()
        assert prediction.quarantined_at is None


class TestDoor:
    @pytest.mark.parametrize(
        "row",
        [{"error_code": "storage_unavailable", "quarantined_at": timezone.now()}, {"error_code": "file_expired"}],
        ids=["set aside", "the provider's fault"],
    )
    def test_is_closed_by_our_store_alone(self, row: dict[str, Any]) -> None:
        _, attempt = make_sent(now=timezone.now())
        apply_update(attempt=attempt, update=done(), now=timezone.now())
        Output.objects.update(tries=9, **row)

        assert not lifecycle.storing_is_behind(now=timezone.now() + timedelta(minutes=50))

    def test_opens_when_the_host_of_a_spooled_file_stays_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, attempt = make_sent(now=timezone.now())
        apply_update(attempt=attempt, update=done(), now=timezone.now())
        ago = timezone.now() - timedelta(hours=25)
        Output.objects.update(tries=9, error_code="storage_unavailable", spool_host="gone", expires_at=ago)
        monkeypatch.setattr(store, "_fetch", raising(fetcher.Interrupted("answered 503")))

        all_due()
        run_once(LANE["store"])

        assert Output.objects.get().state == Output.State.LOST

    def test_stays_shut_for_all_but_one_while_it_is_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for n in range(10):
            make_prediction(user=make_user(username=f"u{n}"), now=timezone.now())
        ProviderState.objects.create(provider="sandbox", faults=1, closed_reason="no_credit")
        monkeypatch.setattr(providers, "named", lambda _: Answering(create=raising(NoCredit("no", status=402))))

        for _ in range(5):
            run_once(LANE["submit"])

        assert Attempt.objects.exclude(sent_input=None).count() == 1


class TestModelThatLeftTheCatalog:
    def test_loses_no_picture_that_was_paid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction, attempt = make_sent(now=timezone.now())
        apply_update(attempt=attempt, update=done(), now=timezone.now())
        Prediction.objects.update(model="gone/model")
        monkeypatch.setattr(store, "_fetch", lambda _, path, *__: path.write_bytes(picture()) and path)

        run_once(LANE["store"])

        prediction.refresh_from_db()
        assert prediction.status == Status.SUCCEEDED

    def test_is_not_tried_again(self) -> None:
        prediction = cancel_prediction(prediction=make_prediction(), now=timezone.now())
        prediction.model = "gone/model"

        with pytest.raises(lifecycle.ModelUnavailable):
            lifecycle.retry_prediction(prediction=prediction, now=timezone.now())


class TestOwner:
    def test_is_not_deleted_from_under_the_money(self) -> None:
        prediction = make_prediction()

        with pytest.raises(ProtectedError):
            prediction.user.delete()


class TestLoop:
    def run(self, loop: Loop) -> threading.Thread:
        def work() -> None:
            try:
                loop.run()
            finally:
                connections.close_all()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def test_rests_while_somebody_is_at_the_cap(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.MAX_IN_FLIGHT_PER_USER = 1
        user = make_user()
        make_sent(user=user, now=timezone.now())
        Prediction.objects.update(due_at=timezone.now() + timedelta(hours=1))
        make_prediction(user=user, now=timezone.now())
        looks: list[float] = []

        def look(limit: int) -> list[Prediction]:
            looks.append(time.monotonic())
            return choose.choose(limit)

        loop = Loop(["submit"])
        monkeypatch.setattr(loop, "_lanes", [Lane("submit", look, submit.submit, 8)])
        thread = self.run(loop)
        time.sleep(2.2)
        loop.stop()
        thread.join(10)

        assert len([at for at in looks if at > looks[0] + 1]) <= 6

    def test_goes_on_while_the_provider_keeps_the_chores_waiting(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox
    ) -> None:
        settings.WEBHOOK_ORIGIN = "http://127.0.0.1:9"
        answer = threading.Event()

        def slow(_: ReplicateProvider) -> str:
            answer.wait(90)
            raise AnswerLost("slow")

        monkeypatch.setattr(ReplicateProvider, "webhook_secret", slow)
        loop = Loop()
        thread = self.run(loop)
        make_prediction(now=timezone.now())

        sandbox.wait_until(lambda: Attempt.objects.get().submitted_at)

        loop.stop()
        answer.set()
        thread.join(10)

    def test_ends_with_work_that_no_thread_has_begun(self) -> None:
        loop, pool, hold = Loop(["submit"]), ThreadPoolExecutor(1), threading.Event()
        pool.submit(hold.wait)
        future: Any = pool.submit(lambda: None)
        loop._held[future] = (LANE["submit"][0], make_prediction(now=timezone.now()))
        future.add_done_callback(loop._let_go)

        ended = in_thread(lambda: loop._wind_down({"submit": pool})).result(timeout=30)

        hold.set()
        assert ended


class TestConnections:
    @pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no pool to run dry")
    def test_are_not_held_while_the_provider_thinks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction = make_prediction(now=timezone.now())
        held: list[bool] = []

        def create(**_: Any) -> ProviderPrediction:
            held.append(connection.connection is not None)
            return says("starting")

        monkeypatch.setattr(providers, "named", lambda _: Answering(create=create))
        run_once(LANE["submit"])

        prediction.refresh_from_db()
        assert held == [False]
        assert prediction.status == Status.STARTING
