"""Workers that die at the worst moments: nothing is lost, and nothing is paid for twice."""

import re
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import LedgerEntry
from gallery.models import Asset
from generation.models import Attempt, Prediction
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.making import make_prediction
from generation.tests.processes import ROOT, let_leases_end, worker
from generation.work import doubt
from generation.work.chores import read_webhook_secret
from generation.work.loop import run_until_quiet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SURVIVED = ["submit.before_mark", "create.after_response", "store.fetched", "store.after_put"]
LOST = ["submit.after_mark"]


@pytest.fixture(autouse=True)
def webhooks(settings: Settings, sandbox: RunningSandbox, live_server: LiveServer) -> None:
    settings.WEBHOOK_ORIGIN = live_server.url
    read_webhook_secret(now=timezone.now())


def die_at(place: str) -> Prediction:
    """A prediction whose worker was killed there."""
    prediction = make_prediction(now=timezone.now())
    with worker(FAULT=f"{place}:kill") as process:
        assert process.wait(timeout=30) == -signal.SIGKILL
    return prediction


@pytest.mark.parametrize("place", SURVIVED)
def test_a_worker_killed_at_a_fault_point_loses_and_doubles_nothing(place: str, sandbox: RunningSandbox) -> None:
    prediction = die_at(place)
    let_leases_end()

    assert run_until_quiet(30)

    prediction.refresh_from_db()
    assert prediction.status == Status.SUCCEEDED
    assert len(sandbox.log("create")) == 1
    assert Asset.objects.count() == 1
    assert LedgerEntry.objects.filter(kind="settle").count() == 1


def test_a_worker_killed_between_mark_and_send_never_sends_again(sandbox: RunningSandbox) -> None:
    prediction = die_at("submit.after_mark")
    Attempt.objects.update(submitted_at=timezone.now() - doubt.VERDICT_AFTER - timedelta(seconds=1))
    let_leases_end()

    assert run_until_quiet(30)

    prediction.refresh_from_db()
    assert (prediction.status, prediction.error_code) == (Status.FAILED, "lost_in_sending")
    assert sandbox.log("create") == []
    assert list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True)) == ["reserve", "release"]


def test_a_worker_that_freezes_and_wakes_changes_nothing(sandbox: RunningSandbox) -> None:
    prediction = make_prediction(now=timezone.now())
    with worker(FAULT="store.fetched:stop") as frozen:
        sandbox.wait_until(lambda: Path(f"/proc/{frozen.pid}/stat").read_text().split()[2] == "T", seconds=30)
        let_leases_end()
        assert run_until_quiet(30)
        before = list(Asset.objects.values_list("pk", "storage_key"))

        frozen.send_signal(signal.SIGCONT)
        frozen.send_signal(signal.SIGTERM)
        frozen.wait(timeout=30)

    prediction.refresh_from_db()
    assert prediction.status == Status.SUCCEEDED
    assert list(Asset.objects.values_list("pk", "storage_key")) == before
    assert len(sandbox.log("create")) == 1


def test_a_worker_that_is_told_to_stop_hands_its_work_back(sandbox: RunningSandbox) -> None:
    with worker() as process:
        prediction = make_prediction(now=timezone.now())
        sandbox.wait_until(lambda: Prediction.objects.filter(status=Status.SUCCEEDED).exists(), seconds=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0

    prediction.refresh_from_db()
    assert prediction.status == Status.SUCCEEDED
    assert not Prediction.objects.exclude(lease_token=None).exists()


def test_every_fault_point_is_tried() -> None:
    named = set()
    for path in ROOT.glob("generation/**/*.py"):
        if "tests" not in path.parts:
            named |= set(re.findall(r'faultpoint\("([\w.]+)"\)', path.read_text()))

    assert named == {*SURVIVED, *LOST}
