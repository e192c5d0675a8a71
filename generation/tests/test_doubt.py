"""Creates whose answers were lost, against a provider that really lost them."""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import LedgerEntry
from gallery import leases
from gallery.models import Asset
from generation.models import Attempt, Prediction, PredictionEvent
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.answering import LANE
from generation.tests.making import make_prediction, make_user
from generation.work import doubt, submit
from generation.work.lanes import LANES
from generation.work.loop import run_once, run_until_quiet

pytestmark = pytest.mark.django_db(transaction=True)
LOST_ANSWER = {"answer": {"kind": "lost"}}


@pytest.fixture(autouse=True)
def without_webhooks(settings: Settings, sandbox: RunningSandbox) -> None:
    settings.WEBHOOK_ORIGIN = ""


def made(sandbox: RunningSandbox) -> list[str]:
    """The ids of all predictions that the provider created in this test."""
    return [entry["prediction"] for entry in sandbox.log("create") if "prediction" in entry]


def asked(**more: Any) -> Prediction:
    """A prediction for a prompt that no other test has sent to the provider they share."""
    return make_prediction(now=timezone.now(), prompt=f"a lake at dusk, {os.environ['PYTEST_CURRENT_TEST']}", **more)


def hurry() -> None:
    """Let what is doubtful be looked at now instead of in two seconds."""
    Prediction.objects.unfinished().update(due_at=timezone.now() - timedelta(seconds=1))


class TestLostAnswer:
    def test_is_found_in_the_list_and_never_sent_again(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault(LOST_ANSWER, times=1)
        prediction = asked()
        run_once(LANES[:1])
        assert Attempt.objects.get().doubtful
        hurry()

        assert run_until_quiet(20)

        prediction.refresh_from_db()
        assert prediction.status == Status.SUCCEEDED
        assert len(made(sandbox)) == 1
        assert LedgerEntry.objects.filter(kind="settle").count() == 1

    def test_is_told_when_the_worker_that_sent_could_not(self, sandbox: RunningSandbox) -> None:
        """As after a death at `submit.after_mark`: the row is marked, and nobody wrote down that it is in doubt."""
        prediction = asked()
        Attempt.objects.update(submitted_at=timezone.now(), cancel_after_seconds=600, fingerprint="f", sent_input={})
        Prediction.objects.update(submitted_at=timezone.now())

        for _ in range(2):
            hurry()
            run_once(LANE["refresh"])

        assert Attempt.objects.get().doubtful
        assert PredictionEvent.objects.filter(prediction=prediction, name="confirming").count() == 1

    def test_of_one_prompt_sent_twice_brings_both_pictures(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault(LOST_ANSWER, times=2)
        user = make_user()
        both = [asked(user=user) for _ in range(2)]
        run_once(LANES[:1])
        assert [attempt.doubtful for attempt in Attempt.objects.all()] == [True, True]
        hurry()

        assert run_until_quiet(20)

        assert {Prediction.objects.get(pk=each.pk).status for each in both} == {Status.SUCCEEDED}
        assert len(made(sandbox)) == 2
        assert Asset.objects.count() == 2
        assert len(set(Attempt.objects.values_list("provider_id", flat=True))) == 2

    def test_of_two_owners_is_never_mixed_up(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault(LOST_ANSWER, times=2)
        for name in ("ada", "bob"):
            asked(user=make_user(username=name))
        run_once(LANES[:1])
        hurry()

        assert run_until_quiet(20)

        for attempt in Attempt.objects.all():
            created = sandbox.prediction(attempt.provider_id or "")
            assert round((created.deadline or 0) - created.created_at) == attempt.cancel_after_seconds

    def test_that_never_arrived_is_lost_only_after_five_minutes(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "lost_before"}}, times=1)
        prediction = asked()
        run_once()
        hurry()
        run_once()
        prediction.refresh_from_db()
        assert (prediction.status, prediction.submitted_at is None) == (Status.QUEUED, False)
        Attempt.objects.update(submitted_at=timezone.now() - doubt.VERDICT_AFTER - timedelta(seconds=1))
        hurry()

        run_once()

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code, prediction.cost_micros) == (
            Status.FAILED,
            "lost_in_sending",
            0,
        )
        assert made(sandbox) == []
        assert list(LedgerEntry.objects.values_list("kind", flat=True)) == ["reserve", "release"]


class TestFrozenWorker:
    def test_that_wakes_after_the_verdict_sends_nothing(
        self, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prediction = asked()

        def sleep(place: str) -> None:
            if place == "submit.after_mark":
                past = timezone.now() - doubt.VERDICT_AFTER - timedelta(seconds=1)
                Attempt.objects.update(submitted_at=past)
                Prediction.objects.update(lease_until=past, due_at=past)
                woken_at = (leases.boot_seconds() or 0.0) + leases.LEASE.total_seconds()
                monkeypatch.setattr(leases, "boot_seconds", lambda: woken_at)
                run_once([lane for lane in LANES if lane.name == "refresh"])

        monkeypatch.setattr(submit, "faultpoint", sleep)
        run_once(LANES[:1])

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.FAILED, "lost_in_sending")
        assert made(sandbox) == []


class TestAProviderThatIsGone:
    @pytest.mark.parametrize("sent", [True, False])
    def test_ends_what_was_asked_of_it(self, sandbox: RunningSandbox, settings: Settings, sent: bool) -> None:
        sandbox.add_fault({"outcome": {"hang": True}})
        prediction = asked()
        if sent:
            run_once(LANES[:1])
            hurry()
        settings.PROVIDER = "replicate"

        assert run_until_quiet(10)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code, prediction.cost_micros) == (Status.FAILED, "provider_gone", 0)
