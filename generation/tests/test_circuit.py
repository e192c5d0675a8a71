"""The door: what closes it, what opens it again, and what comes too late to do either."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import QuerySet
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Alert, LedgerEntry
from generation import lifecycle, providers
from generation.models import Attempt, Prediction, ProviderState
from generation.providers.base import (
    AnswerLost,
    InputRefused,
    NoCredit,
    NotSent,
    ProviderPrediction,
    RateLimited,
    Refused,
    Unauthenticated,
    Unavailable,
)
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.answering import LANE, Answering, raising
from generation.tests.making import make_prediction, make_sent, make_user, says
from generation.tests.test_provider_calls import LOW_ON_CREDIT
from generation.work import circuit, inputs, submit
from generation.work.choose import choose
from generation.work.circuit import PROBE, SLACK
from generation.work.loop import Loop, run_once

pytestmark = pytest.mark.django_db(transaction=True)
NO_TOKEN, NO_CREDIT = Unauthenticated("no", status=401), NoCredit("no", status=402)


@pytest.fixture(autouse=True)
def without_webhooks(settings: Settings, sandbox: RunningSandbox) -> None:
    settings.WEBHOOK_ORIGIN = ""


def door() -> ProviderState:
    return circuit.look()


def is_open() -> bool:
    state = circuit.look()
    return state.faults == 0 and (state.closed_until is None or state.closed_until <= timezone.now())


def closed_for() -> float:
    """Seconds for which nothing leaves."""
    return ((door().closed_until or timezone.now()) - timezone.now()).total_seconds()


def let_time_pass(wait: timedelta) -> None:
    """As if the door had been closed so much earlier, and everything were due."""
    state = door()
    ProviderState.objects.update(closed_until=state.closed_until and state.closed_until - wait)
    Prediction.objects.unfinished().update(due_at=timezone.now() - timedelta(seconds=1))


def close(error: Refused = NO_CREDIT) -> None:
    circuit.note_refusal(error, now=timezone.now())


def noted() -> set[str]:
    """The alerts that are not over."""
    return set(Alert.objects.filter(over_at=None).values_list("name", flat=True))


class TestRefusal:
    @pytest.mark.parametrize(
        ("error", "reason", "seconds"),
        [(NO_CREDIT, "no_credit", PROBE), (NO_TOKEN, "unauthenticated", PROBE + SLACK)],
        ids=["402", "401"],
    )
    def test_of_everybody_closes_the_door_and_tells_administrators(
        self, error: Refused, reason: str, seconds: timedelta
    ) -> None:
        now = timezone.now()

        again_at = circuit.note_refusal(error, now=now)

        assert again_at == now + PROBE
        assert (door().closed_reason, door().faults) == (reason, 1)
        assert closed_for() == pytest.approx(seconds.total_seconds(), abs=2)
        assert noted() == {f"provider_{reason}"}

    def test_of_an_upload_for_its_rate_closes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction = make_prediction(now=timezone.now())
        error = RateLimited("slow", status=429, retry_after=30)

        monkeypatch.setattr(inputs, "for_provider", raising(error))
        run_once(LANE["submit"])

        prediction.refresh_from_db()
        assert is_open()
        assert prediction.due_at and prediction.due_at > timezone.now() + timedelta(seconds=28)

    @pytest.mark.parametrize(("status", "closes"), [(401, True), (403, False)])
    def test_of_a_look_closes_the_door_where_the_token_is_bad(
        self, monkeypatch: pytest.MonkeyPatch, status: int, closes: bool
    ) -> None:
        make_sent(now=timezone.now())
        Prediction.objects.update(status=Status.PROCESSING, due_at=timezone.now() - timedelta(seconds=1))
        provider = Answering(get=raising(Unauthenticated("no", status=status)))

        monkeypatch.setattr(providers, "named", lambda _: provider)
        run_once(LANE["refresh"])

        assert is_open() is not closes


class TestFaults:
    def test_make_everybody_wait_longer_each_time(self) -> None:
        waits = []
        for _ in range(8):
            now = timezone.now()
            waits.append((circuit.note_fault(now=now) - now).total_seconds())

        for wait, least in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60], strict=True):
            assert least <= wait <= least * 1.2
        assert len({round(wait / round(wait), 3) for wait in waits}) > 1

    def test_refuse_new_work_from_the_third_on(self) -> None:
        for reason in ("", "", "unavailable", "unavailable"):
            circuit.note_fault(now=timezone.now())
            assert door().closed_reason == reason

        assert noted() == {"provider_unavailable"}

    def test_of_one_moment_are_one(self) -> None:
        seen = circuit.look()

        for _ in range(8):
            circuit.note_fault(now=timezone.now(), seen=seen)

        assert door().faults == 1
        assert closed_for() < 1.3

    def test_of_one_moment_are_one_from_many_threads(self) -> None:
        seen = circuit.look()

        def fault(_: int) -> None:
            try:
                circuit.note_fault(now=timezone.now(), seen=seen)
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(fault, range(16)))

        assert door().faults == 1

    def test_leave_no_worse_door_open(self) -> None:
        close(NO_CREDIT)

        circuit.note_fault(now=timezone.now())

        assert door().closed_reason == "no_credit"

    @pytest.mark.parametrize(
        ("error", "faults"),
        [
            (NotSent("refused"), 1),
            (Unavailable("sorry", status=503), 1),
            (Unavailable("sorry", status=500), 1),
            (AnswerLost("502 of nobody's", status=502), 1),
            (AnswerLost("reset"), 0),
            (Refused("no", status=409), 0),
        ],
        ids=["not sent", "503", "500", "bare 502", "reset", "409"],
    )
    def test_are_what_says_that_the_provider_fails(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, faults: int
    ) -> None:
        make_prediction(now=timezone.now())

        monkeypatch.setattr(providers, "named", lambda _: Answering(create=raising(error)))
        run_once(LANE["submit"])

        assert door().faults == faults


class TestLateAnswer:
    def test_of_a_success_opens_no_door_that_was_closed_since(self) -> None:
        sent_before = circuit.look()
        close(NO_TOKEN)

        circuit.note_success(now=timezone.now(), seen=sent_before)

        assert not is_open()

    def test_of_a_success_opens_no_door_that_was_closed_again_since(self) -> None:
        close(NO_CREDIT)
        sent_before = circuit.look()
        circuit.note_refusal(NO_CREDIT, now=timezone.now(), seen=sent_before)

        circuit.note_success(now=timezone.now(), seen=sent_before)

        assert not is_open()

    def test_of_a_refusal_closes_no_door_that_was_opened_since(self) -> None:
        sent_before = circuit.look()
        close(NO_CREDIT)
        circuit.note_success(now=timezone.now(), seen=circuit.look())

        circuit.note_refusal(NO_CREDIT, now=timezone.now(), seen=sent_before)

        assert is_open()

    def test_of_a_refusal_does_not_turn_a_bad_token_into_want_of_credit(self) -> None:
        sent_before = circuit.look()
        close(NO_TOKEN)

        for error in (NO_CREDIT, Unavailable("sorry", status=503), RateLimited("slow", status=429, retry_after=300)):
            circuit.note_refusal(error, now=timezone.now(), seen=sent_before)
            circuit.note_refusal(error, now=timezone.now())

        assert (door().closed_reason, door().faults) == ("unauthenticated", 1)
        assert closed_for() <= (PROBE + SLACK).total_seconds()

    def test_of_a_create_that_was_sent_before_the_door_closed_leaves_it_closed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prediction = make_prediction(now=timezone.now())

        def create(**_: Any) -> ProviderPrediction:
            in_thread(lambda: close(NO_TOKEN))
            return says("starting")

        monkeypatch.setattr(providers, "named", lambda _: Answering(create=create))
        run_once(LANE["submit"])

        prediction.refresh_from_db()
        assert prediction.status == Status.STARTING
        assert not is_open()

    def test_of_a_create_that_was_chosen_before_the_door_closed_leaves_it_closed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prediction = make_prediction(now=timezone.now())
        [chosen] = choose(1)
        close(NO_CREDIT)

        monkeypatch.setattr(providers, "named", lambda _: Answering(create=lambda **_: says("starting")))
        submit.submit(chosen)

        prediction.refresh_from_db()
        assert prediction.status == Status.STARTING
        assert not is_open()

    def test_of_all_kinds_at_once_leaves_one_verdict(self) -> None:
        """Whoever is first, nobody else's answer counts: they all left before the door moved."""
        seen = circuit.look()
        answers = [NO_TOKEN, NO_CREDIT, Unavailable("sorry", status=503), None] * 5

        def note(error: Refused | None) -> None:
            try:
                if error is None:
                    circuit.note_success(now=timezone.now(), seen=seen)
                else:
                    circuit.note_refusal(error, now=timezone.now(), seen=seen)
            finally:
                connection.close()

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(note, answers))

        assert door().faults == 1
        assert Alert.objects.filter(count=1).count() == Alert.objects.count() <= 1


def in_thread(work: Callable[[], Any]) -> Any:
    def run() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(timeout=60)


class TestRateLimit:
    def test_makes_creates_wait_as_long_as_was_said(self) -> None:
        now = timezone.now()

        again_at = circuit.note_refusal(RateLimited("slow", status=429, retry_after=7), now=now)

        assert 7 <= (again_at - now).total_seconds() <= 7 + circuit.JITTER_SECONDS
        assert 6 < closed_for() < 8.1
        assert (door().closed_reason, door().faults, noted()) == ("rate_limited", 0, set())

    def test_leaves_the_other_calls_alone(self) -> None:
        circuit.note_refusal(RateLimited("slow", status=429, retry_after=60), now=timezone.now())

        providers.current().check_account()

    def test_shortens_no_other_pause(self) -> None:
        close(NO_CREDIT)

        circuit.note_refusal(RateLimited("slow", status=429, retry_after=7), now=timezone.now())

        assert door().closed_reason == "no_credit"
        assert closed_for() > 50

    def test_of_an_account_low_on_credit_slows_the_queue_down(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault(
            {"answer": {"kind": "replace", "status": 429, "body": {"detail": LOW_ON_CREDIT, "retry_after": 7}}}
        )
        for n in range(3):
            make_prediction(user=make_user(username=f"u{n}"), now=timezone.now())
        run_once(LANE["submit"])
        assert noted() == {"low_credit"}
        let_time_pass(timedelta(seconds=10))
        ProviderState.objects.update(slot_at=None)

        assert len(choose(10)) == 1

    def test_of_an_account_low_on_credit_is_over_ten_minutes_after_the_last(self) -> None:
        error = RateLimited(LOW_ON_CREDIT, status=429, retry_after=7, per_minute=6)
        circuit.note_refusal(error, now=timezone.now())
        circuit.note_success(now=timezone.now(), seen=circuit.look())
        assert noted() == {"low_credit"}
        slow_until = door().slow_until or timezone.now()
        assert slow_until - timezone.now() > timedelta(minutes=9, seconds=50)
        ProviderState.objects.update(slow_until=timezone.now() - timedelta(seconds=1))

        circuit.note_success(now=timezone.now(), seen=circuit.look())

        assert (door().slow_until, noted()) == (None, set())


class TestHalfOpen:
    @pytest.mark.parametrize("reason", ["no_credit", "unavailable"])
    def test_door_lets_one_out_a_minute(self, reason: str) -> None:
        for n in range(3):
            make_prediction(user=make_user(username=f"u{n}"), now=timezone.now())
        ProviderState.objects.create(
            provider="sandbox", closed_until=timezone.now() - timedelta(seconds=1), closed_reason=reason, faults=3
        )

        assert [len(choose(10)) for _ in range(3)] == [1, 0, 0]
        assert 58 < closed_for() <= 60

    def test_door_lets_nobody_out_while_the_token_is_bad(self) -> None:
        make_prediction(now=timezone.now())
        close(NO_TOKEN)
        let_time_pass(timedelta(hours=1))

        assert choose(10) == []

    def test_door_is_opened_by_the_first_success(self, sandbox: RunningSandbox) -> None:
        prediction = make_prediction(now=timezone.now())
        close(NO_CREDIT)
        let_time_pass(PROBE)

        run_once(LANE["submit"])

        prediction.refresh_from_db()
        assert prediction.status != Status.QUEUED
        assert is_open()
        assert noted() == set()

    def test_door_stays_shut_after_another_refusal(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 402}})
        make_prediction(now=timezone.now())
        close(NO_CREDIT)
        let_time_pass(PROBE)

        run_once(LANE["submit"])

        assert (door().faults, closed_for() > 55) == (2, True)
        assert Alert.objects.get().count == 2

    @pytest.mark.parametrize(
        "fields",
        [{"model": "gone/model"}, {"created_at": timezone.now() - timedelta(hours=25)}],
        ids=["model gone", "expired"],
    )
    def test_door_loses_no_minute_to_one_that_is_not_sent(self, fields: dict[str, Any]) -> None:
        prediction = make_prediction(now=timezone.now())
        Prediction.objects.update(**fields)
        close(NO_CREDIT)
        let_time_pass(PROBE)

        run_once(LANE["submit"])

        prediction.refresh_from_db()
        assert prediction.status == Status.FAILED
        assert (door().faults, closed_for() <= 0) == (1, True)

    def test_door_loses_no_minute_to_an_input_that_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_prediction(now=timezone.now())
        close(NO_CREDIT)
        let_time_pass(PROBE)
        error = InputRefused("late", status=422, invalid_fields={})

        monkeypatch.setattr(providers, "named", lambda _: Answering(create=raising(error)))
        run_once(LANE["submit"])

        assert (door().faults, closed_for() <= 0) == (1, True)


class TestProbe:
    def test_is_one_account_call_a_minute(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 401}}, call="account", times=None)
        close(NO_TOKEN)
        circuit.probe_token(now=timezone.now())
        assert sandbox.log("account") == []

        for _ in range(2):
            let_time_pass(PROBE)
            for _ in range(3):
                circuit.probe_token(now=timezone.now())

        assert len(sandbox.log("account")) == 2
        assert not is_open()
        assert door().faults == 1

    def test_is_one_of_all_processes(self, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 401}}, call="account", times=None)
        close(NO_TOKEN)
        let_time_pass(PROBE)
        exists, barrier = QuerySet.exists, threading.Barrier(4, timeout=60)

        def exists_for_all(self: QuerySet[Any]) -> bool:
            found = exists(self)
            barrier.wait()
            return found

        monkeypatch.setattr(QuerySet, "exists", exists_for_all)

        def probe(_: int) -> None:
            try:
                circuit.probe_token(now=timezone.now())
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(probe, range(4)))

        assert len(sandbox.log("account")) == 1

    def test_opens_the_door_when_the_token_is_good(self) -> None:
        close(NO_TOKEN)
        let_time_pass(PROBE)

        circuit.probe_token(now=timezone.now())

        assert is_open()
        assert noted() == set()

    @pytest.mark.parametrize("error", [NotSent("refused"), AnswerLost("slow"), Unavailable("no", status=503)])
    def test_that_learns_nothing_leaves_it_closed(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        close(NO_TOKEN)
        let_time_pass(PROBE)

        monkeypatch.setattr(providers, "current", lambda: Answering(check_account=raising(error)))
        circuit.probe_token(now=timezone.now())

        assert door().closed_reason == "unauthenticated"
        assert closed_for() > 80

    @pytest.mark.parametrize("reason", ["no_credit", "unavailable", "rate_limited", ""])
    def test_is_for_a_bad_token_alone(self, sandbox: RunningSandbox, reason: str) -> None:
        ProviderState.objects.create(
            provider="sandbox", closed_reason=reason, faults=3, closed_until=timezone.now() - timedelta(seconds=1)
        )

        circuit.probe_token(now=timezone.now())

        assert sandbox.log("account") == []

    def test_is_the_only_call_of_the_chores_meanwhile(self, sandbox: RunningSandbox, settings: Settings) -> None:
        settings.WEBHOOK_ORIGIN = "http://127.0.0.1:9"
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 401}}, call="account", times=None)
        close(NO_TOKEN)
        let_time_pass(PROBE)

        circuit.probe_token(now=timezone.now())

        assert circuit.token_refused()
        assert sandbox.log("secret") == []


class TestWaiting:
    def test_more_than_a_day_ends_while_the_door_is_closed(self) -> None:
        close(NO_TOKEN)
        old = make_waiting(hours=25)
        new = make_waiting(hours=23, username="bob")

        submit.expire_waiting(now=timezone.now())

        assert Prediction.objects.get(pk=old.pk).error_code == "queue_expired"
        assert Prediction.objects.get(pk=new.pk).status == Status.QUEUED
        assert sorted(LedgerEntry.objects.values_list("kind", flat=True)) == ["release", "reserve", "reserve"]

    def test_in_doubt_is_not_ended_by_age(self) -> None:
        prediction, _ = make_sent(now=timezone.now() - timedelta(hours=25), provider_id=None)

        submit.expire_waiting(now=timezone.now())

        prediction.refresh_from_db()
        assert prediction.status == Status.QUEUED


def make_waiting(*, hours: float, username: str = "ada") -> Prediction:
    """Queued so many hours ago; asked for while the door was still open."""
    state = door()
    ProviderState.objects.update(closed_until=None)
    made = make_prediction(user=make_user(username=username), now=timezone.now() - timedelta(hours=hours))
    ProviderState.objects.update(closed_until=state.closed_until)
    return made


@contextmanager
def working() -> Iterator[None]:
    """A worker's submit lane at work beside the test."""
    loop = Loop(["submit"])

    def work() -> None:
        try:
            loop.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join(20)


class TestFiftyWaiting:
    @pytest.fixture(autouse=True)
    def fifty(self, settings: Settings) -> None:
        settings.MAX_IN_FLIGHT, settings.MAX_IN_FLIGHT_PER_USER = 100, 50
        user = make_user(daily_count_limit=None, daily_micros_limit=None)
        for n in range(50):
            make_prediction(user=user, now=timezone.now(), prompt=f"number {n}")

    @pytest.mark.parametrize("status", [401, 402])
    def test_cost_three_calls_at_most_when_nothing_is_accepted(self, sandbox: RunningSandbox, status: int) -> None:
        refusal = {"answer": {"kind": "refuse", "status": status}}
        sandbox.add_fault(refusal, call=["create", "account"], times=None)

        with working():
            sandbox.wait_until(lambda: door().faults > 0)
            time.sleep(2)

        assert 1 <= len(sandbox.log("create")) <= 3
        assert set(Prediction.objects.values_list("status", "submitted_at")) == {(Status.QUEUED, None)}
        assert set(LedgerEntry.objects.values_list("kind", flat=True)) == {"reserve"}
        with pytest.raises(lifecycle.SubmissionsClosed):
            make_prediction(user=make_user(username="bob"), now=timezone.now())

        sandbox.clear_faults()
        let_time_pass(PROBE)
        circuit.probe_token(now=timezone.now())
        with working():
            sandbox.wait_until(lambda: not Attempt.objects.filter(provider_id=None).exists(), seconds=60)

        assert is_open()
        assert noted() == set()

    def test_do_not_all_end_in_doubt_when_a_gateway_fails(self, sandbox: RunningSandbox) -> None:
        bare = {"answer": {"kind": "refuse", "status": 502, "body": "<h1>Bad gateway</h1>"}}
        sandbox.add_fault(bare, times=None)

        with working():
            time.sleep(3)

        assert Attempt.objects.exclude(submitted_at=None).count() <= 6
        assert door().faults >= 1
