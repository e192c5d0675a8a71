"""When what is at the provider is looked at, step by step from its create to its end."""

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from generation import lifecycle
from generation.models import Prediction
from generation.states import Status
from generation.tests.making import BANANA, NOW, SEEDANCE, make_sent, says
from generation.work import doubt, refresh, schedule

pytestmark = pytest.mark.django_db
USUAL = {BANANA: 10.5, SEEDANCE: 38.1}
DEADLINE = 1600.0
LATER = NOW + timedelta(seconds=9)


def looks(*, until: float, model: str = BANANA) -> Iterator[float]:
    """Seconds after the create at which a run that never ends is looked at."""
    _, attempt = make_sent(model=model)
    attempt.deadline_at = NOW + timedelta(seconds=DEADLINE)
    seconds = 0.0
    while True:
        look_at = schedule.next_look(attempt, model=model, now=NOW + timedelta(seconds=seconds))
        seconds = (look_at - NOW).total_seconds()
        if seconds > until:
            return
        yield seconds


def gaps(times: list[float]) -> list[float]:
    """The seconds between one look and the next."""
    return [round(after - before, 6) for before, after in itertools.pairwise(times)]


class TestPolling:
    @pytest.fixture(autouse=True)
    def alone(self, settings: Settings) -> None:
        settings.WEBHOOK_ORIGIN = ""

    def test_begins_after_two_seconds_and_slows_down_to_five(self) -> None:
        times = [0.0, *looks(until=2 * USUAL[SEEDANCE], model=SEEDANCE)]

        waits = gaps(times)
        assert times[:5] == [0, 2, 4, 6, 8]
        assert waits == sorted(waits)
        assert 2 <= min(waits) <= max(waits) <= 5

    def test_grows_by_three_tenths(self) -> None:
        times = [at for at in looks(until=2 * USUAL[SEEDANCE], model=SEEDANCE) if 7 < at < 16]

        assert times[1] == pytest.approx(times[0] * 1.3)

    def test_is_never_rarer_than_half_a_minute(self) -> None:
        times = list(looks(until=DEADLINE + 600))

        assert max(gaps(times)) <= 30

    def test_comes_at_the_deadline(self) -> None:
        assert DEADLINE + 1 in list(looks(until=DEADLINE + 60))


class TestWithWebhooks:
    @pytest.fixture(autouse=True)
    def asked_for(self, settings: Settings) -> None:
        settings.WEBHOOK_ORIGIN = "https://studio.example.com"

    @pytest.mark.parametrize("model", [BANANA, SEEDANCE])
    def test_waits_until_it_is_usually_done(self, model: str) -> None:
        assert next(looks(until=600, model=model)) == USUAL[model]

    @pytest.mark.parametrize("model", [BANANA, SEEDANCE])
    @pytest.mark.parametrize("share", [0.3, 1.0, 1.01, 1.5, 2.0])
    def test_that_never_come_costs_seconds(self, model: str, share: float) -> None:
        ended = share * USUAL[model]

        heard = next(at for at in looks(until=600, model=model) if at >= ended)

        assert heard - ended <= max(5.0, USUAL[model] - ended)

    def test_that_never_come_for_a_slow_run_costs_half_a_minute(self) -> None:
        times = list(looks(until=DEADLINE))

        assert max(gaps(times)) <= 30

    def test_comes_at_the_deadline(self) -> None:
        assert DEADLINE + 1 in list(looks(until=DEADLINE + 60))


class TestEveryUnfinishedRow:
    def test_is_somebodys_to_look_at(self) -> None:
        """The chooser's or the refresh lane's; the database itself refuses an unfinished row without a time."""
        prediction, _ = make_sent()
        ours = Prediction.objects.filter(pk=prediction.pk)

        for status in (Status.QUEUED, Status.STARTING, Status.PROCESSING, Status.STORING):
            ours.update(status=status)
            assert refresh.sent().filter(pk=prediction.pk).exists()

    def test_in_doubt_is_looked_at_up_to_its_verdict_and_after(self) -> None:
        _, attempt = make_sent(provider_id=None)
        seconds, times = 0.0, list[float]()
        while seconds < 600:
            due_at = doubt.next_look(attempt, now=NOW + timedelta(seconds=seconds))
            seconds = (due_at - NOW).total_seconds()
            times.append(seconds)

        assert times[:5] == [2, 4, 8, 16, 32]
        assert doubt.VERDICT_AFTER.total_seconds() in times
        assert max(gaps(times)) <= 60

    @pytest.mark.parametrize(
        ("row", "due"),
        [
            ({"status": Status.PROCESSING}, LATER),
            ({"status": Status.PROCESSING, "cancel_requested_at": NOW}, NOW + schedule.CANCEL_LOOK),
            ({"status": Status.QUEUED, "submitted_at": None}, NOW),
            ({"status": Status.STORING}, NOW),
        ],
        ids=["open", "to be ended", "to be sent again", "stored"],
    )
    def test_is_handed_back_with_the_time_that_its_row_asks_for(self, row: dict[str, Any], due: datetime) -> None:
        prediction, _ = make_sent()
        Prediction.objects.update(lease_token=uuid4(), due_at=NOW, **row)
        prediction.refresh_from_db()

        schedule.hand_back_asked(prediction, look_at=LATER, now=NOW)

        prediction.refresh_from_db()
        assert (prediction.due_at, prediction.lease_token) == (due, None)


class TestWhoAsked:
    """What the provider answers is that the run has begun."""

    @pytest.mark.parametrize(
        ("row", "due"),
        [({}, NOW + timedelta(seconds=USUAL[BANANA])), ({"cancel_requested_at": NOW}, NOW + schedule.CANCEL_LOOK)],
        ids=["open", "to be ended"],
    )
    def test_gives_the_lease_back_with_the_news(self, settings: Settings, row: dict[str, Any], due: datetime) -> None:
        settings.WEBHOOK_ORIGIN = "https://studio.example.com"
        prediction, attempt = make_sent()
        lease = uuid4()
        Prediction.objects.update(lease_token=lease, lease_until=LATER, due_at=NOW, **row)
        asker = lifecycle.Asker(lease, partial(schedule.next_look_asked, now=NOW))

        lifecycle.apply_update(attempt=attempt, update=says("processing"), now=NOW, asker=asker)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.due_at) == (Status.PROCESSING, due)
        assert (asker.dismissed, prediction.lease_token, prediction.lease_until) == (True, None, None)

    def test_leaves_anothers_lease_alone(self) -> None:
        prediction, attempt = make_sent()
        anothers = uuid4()
        Prediction.objects.update(lease_token=anothers, lease_until=LATER, due_at=NOW)
        asker = lifecycle.Asker(uuid4(), partial(schedule.next_look_asked, now=NOW))

        lifecycle.apply_update(attempt=attempt, update=says("processing"), now=NOW, asker=asker)

        prediction.refresh_from_db()
        assert (asker.dismissed, prediction.status) == (False, Status.PROCESSING)
        assert (prediction.lease_token, prediction.due_at) == (anothers, NOW)
