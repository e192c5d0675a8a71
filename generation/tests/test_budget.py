"""What may be asked of the provider beside creates, by everybody together."""

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from generation import providers
from generation.models import Prediction, ProviderState
from generation.providers import budget
from generation.providers.base import OverBudget, ProviderError, RateLimited
from generation.providers.budget import BURST, INTERVAL, CallBudget
from generation.providers.replicate import ReplicateProvider
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.making import make_prediction, make_sent, make_user
from generation.tests.test_provider_calls import PREDICTION, THROTTLED, provider
from generation.tests.wire import Wire, says
from generation.work.choose import choose
from generation.work.lanes import LANES
from generation.work.loop import run_once

REFRESH = [lane for lane in LANES if lane.name == "refresh"]


def took(meter: CallBudget) -> bool:
    try:
        meter.take()
    except OverBudget:
        return False
    return True


def used_up(*, for_seconds: float = 60) -> datetime:
    """Nobody may call for so long; returns until when."""
    until = timezone.now() + timedelta(seconds=for_seconds)
    ProviderState.objects.update_or_create(provider="sandbox", defaults={"read_slot_at": until})
    return until


@pytest.mark.django_db
class TestBudget:
    def test_begins_by_itself(self) -> None:
        CallBudget("sandbox").take()

        assert ProviderState.objects.get().read_slot_at

    def test_lets_a_burst_leave_and_then_one_by_one(self) -> None:
        meter, begun = CallBudget("sandbox"), time.monotonic()

        taken = sum(took(meter) for _ in range(3 * BURST))

        assert BURST <= taken <= BURST + (time.monotonic() - begun) / INTERVAL.total_seconds() + 1

    def test_saves_no_more_than_a_burst(self) -> None:
        ProviderState.objects.create(provider="sandbox", read_slot_at=timezone.now() - timedelta(hours=1))

        CallBudget("sandbox").take()

        left = timezone.now() - (ProviderState.objects.get().read_slot_at or timezone.now())
        assert left < INTERVAL * BURST

    def test_says_when_there_is_room_again(self) -> None:
        until = used_up()

        with pytest.raises(OverBudget) as refusal:
            CallBudget("sandbox").take()

        assert refusal.value.until == until + INTERVAL

    def test_is_one_statement_while_there_is_room(self) -> None:
        CallBudget("sandbox").take()

        with CaptureQueriesContext(connection) as queries:
            CallBudget("sandbox").take()

        assert [query["sql"].split()[0] for query in queries] == ["UPDATE"]

    def test_of_another_provider_is_its_own(self) -> None:
        used_up()

        assert took(CallBudget("replicate"))

    def test_pauses_for_as_long_as_was_said_and_no_shorter_pause_ends_it(self) -> None:
        meter = CallBudget("sandbox")
        meter.take()

        meter.pause(60)
        meter.pause(1)

        wait = (ProviderState.objects.get().read_slot_at or timezone.now()) - timezone.now()
        assert timedelta(seconds=58) < wait < timedelta(seconds=60 + budget.JITTER_SECONDS)
        assert not took(meter)


@pytest.mark.django_db(transaction=True)
class TestManyThreads:
    def test_take_no_more_than_one_budget_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budget, "INTERVAL", timedelta(seconds=10))
        monkeypatch.setattr(budget, "BURST", 7)

        def take(_: int) -> int:
            try:
                return sum(took(CallBudget("sandbox")) for _ in range(3))
            finally:
                connection.close()

        with ThreadPoolExecutor(20) as pool:
            taken = sum(pool.map(take, range(20)))

        assert taken == 7


class Counted:
    """A budget of `room` calls that writes down what becomes of it."""

    def __init__(self, room: int = 1000) -> None:
        self.room, self.taken, self.pauses = room, 0, list[float]()

    def take(self) -> None:
        if self.taken >= self.room:
            raise OverBudget(datetime.now(UTC))
        self.taken += 1

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


class TestCalls:
    @pytest.mark.parametrize(
        "call",
        [
            lambda at: at.get("p1"),
            lambda at: at.cancel("p1"),
            lambda at: list(at.list_since(datetime.now(UTC))),
            lambda at: at.webhook_secret(),
            lambda at: at.offers("a/b"),
            lambda at: at.check_account(),
            lambda at: at.upload(name="a.png", content_type="image/png", file=io.BytesIO(b"x")),
        ],
        ids=["get", "cancel", "list", "secret", "model", "account", "upload"],
    )
    def test_beside_creates_leave_within_the_budget(self, call: Callable[[ReplicateProvider], object]) -> None:
        with Wire([says(200, PREDICTION)]) as server, pytest.raises(OverBudget):
            call(provider(server.url, budget=Counted(0)))

        assert server.requests == []

    def test_for_the_list_are_one_a_page(self) -> None:
        counted = Counted(2)
        with Wire([]) as server:
            server.behaviours.append(says(200, {"results": [], "next": f"{server.url}/v1/predictions?cursor=2"}))
            server.behaviours.append(says(200, {"results": [], "next": f"{server.url}/v1/predictions?cursor=3"}))

            with pytest.raises(OverBudget):
                list(provider(server.url, budget=counted).list_since(datetime.now(UTC)))

        assert (counted.taken, len(server.requests)) == (2, 2)

    def test_that_create_have_a_meter_of_their_own(self) -> None:
        with Wire([says(201, PREDICTION)]) as server:
            provider(server.url, budget=Counted(0)).create(
                model="google/nano-banana", input={}, cancel_after_seconds=1600, webhook=None
            )

    @pytest.mark.parametrize(("body", "seconds"), [(THROTTLED, 7.0), ({"detail": "no", "status": 429}, 10.0)])
    def test_that_are_too_many_pause_all_others(self, body: dict[str, Any], seconds: float) -> None:
        counted = Counted()
        with Wire([says(429, body)]) as server, pytest.raises(RateLimited):
            provider(server.url, budget=counted).get("p1")

        assert counted.pauses == [seconds]

    @pytest.mark.parametrize("body", [THROTTLED])
    def test_of_a_create_that_is_too_many_pauses_no_others(self, body: dict[str, Any]) -> None:
        counted = Counted()
        with Wire([says(429, body)]) as server, pytest.raises(ProviderError):
            provider(server.url, budget=counted).create(
                model="google/nano-banana", input={}, cancel_after_seconds=1600, webhook=None
            )

        assert counted.pauses == []


@pytest.mark.django_db(transaction=True)
class TestRefresh:
    @pytest.fixture(autouse=True)
    def without_webhooks(self, settings: Settings, sandbox: RunningSandbox) -> None:
        settings.WEBHOOK_ORIGIN = ""

    def due(self, *, doubtful: bool = False) -> Prediction:
        prediction, _ = make_sent(now=timezone.now(), provider_id=None if doubtful else "p1")
        status = Status.QUEUED if doubtful else Status.PROCESSING
        Prediction.objects.update(due_at=timezone.now() - timedelta(seconds=1), status=status)
        return prediction

    @pytest.mark.parametrize("doubtful", [True, False])
    def test_without_room_is_put_off_and_asks_nothing(self, sandbox: RunningSandbox, doubtful: bool) -> None:
        prediction, until = self.due(doubtful=doubtful), used_up()

        run_once(REFRESH)

        prediction.refresh_from_db()
        assert prediction.due_at and until <= prediction.due_at <= until + timedelta(seconds=3)
        assert (prediction.claims, prediction.lease_token, prediction.quarantined_at) == (0, None, None)
        assert sandbox.log("get") == sandbox.log("list") == []

    def test_that_is_one_too_many_puts_everybody_off_but_no_create(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 429, "seconds": 30}}, call="get")
        prediction = self.due()

        run_once(REFRESH)

        prediction.refresh_from_db()
        soon = timezone.now() + timedelta(seconds=28)
        assert prediction.due_at and prediction.due_at > soon
        with pytest.raises(OverBudget):
            providers.current().check_account()
        make_prediction(user=make_user(username="bob"), now=timezone.now())
        assert len(choose(10)) == 1

    def test_costs_one_update_more(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"outcome": {"hang": True}})
        make_prediction(now=timezone.now())
        run_once(LANES[:1])
        Prediction.objects.update(due_at=timezone.now() - timedelta(seconds=1))

        with CaptureQueriesContext(connection) as queries:
            run_once(REFRESH)

        of_the_meter = [query["sql"] for query in queries if "providerstate" in query["sql"].lower()]
        assert len(of_the_meter) == 1
        assert of_the_meter[0].startswith("UPDATE")
