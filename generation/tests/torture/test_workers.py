"""F55 to F58: workers that freeze, die again and again, are told to stop, or live at another time."""

import signal
import time
from datetime import UTC, datetime

import pytest

from accounts.models import Alert, LedgerEntry, QuotaPeriod
from gallery.leases import FRESH_SECONDS
from gallery.models import Asset
from generation.models import Output, Prediction, WebhookDelivery
from generation.tests.torture import oracle
from generation.tests.torture.scene import IMAGE, Scene
from generation.tests.torture.surroundings import PROMPT, Process, faked_clock
from generation.tests.torture.test_sending import AFTER_THE_VERDICT

pytestmark = pytest.mark.django_db(transaction=True)


def frozen(scene: Scene, place: str) -> Process:
    """A worker that has stopped in the middle of its work, as a virtual machine does that is moved.

    Without chores: stopped while a second thread writes, it would hold SQLite's lock for as long as it sleeps.
    """
    process = scene.worker(fault=f"{place}:stop", lanes="submit,refresh,deliver,store,derive")
    scene.wait(lambda: process.state() == "T")
    return process


def wake(scene: Scene, process: Process) -> None:
    """It goes on where it was, and is told to end when it has had its say."""
    process.signal(signal.SIGCONT)
    process.terminate()
    scene.workers.remove(process)


class TestAFrozenWorker:
    @pytest.mark.row("F55")
    @pytest.mark.parametrize("place", ["store.fetched", "store.after_put", "create.after_response"])
    def test_that_wakes_when_others_have_done_its_work_changes_nothing(self, scene: Scene, place: str) -> None:
        prediction = scene.ask()
        zombie = frozen(scene, place)
        scene.let_leases_end()
        scene.worker()
        scene.settle()
        before = list(Asset.objects.values_list("pk", "storage_key", "sha256"))

        wake(scene, zombie)
        scene.settle()

        assert list(Asset.objects.values_list("pk", "storage_key", "sha256")) == before
        assert (scene.status(prediction), scene.creates()) == ("succeeded", 1)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F55")
    def test_that_wakes_after_the_verdict_sends_nothing(self, scene: Scene) -> None:
        prediction = scene.ask()
        zombie = frozen(scene, "submit.after_mark")
        scene.let_leases_end()
        scene.worker()
        scene.wait(lambda: scene.sandbox.log("list"))
        scene.lapse(AFTER_THE_VERDICT)
        scene.settle()
        # Leases end here by the database's rows; the worker's own clock knows only of what has really gone by.
        time.sleep(FRESH_SECONDS)

        wake(scene, zombie)
        scene.settle()

        row = scene.row(prediction)
        assert (row.status, row.error_code, scene.creates()) == ("failed", "lost_in_sending", 0)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F55")
    def test_that_wakes_when_its_file_was_called_lost_changes_no_end(self, scene: Scene) -> None:
        prediction = scene.ask()
        zombie = frozen(scene, "store.fetched")
        scene.sandbox.erase(scene.sandbox.predictions()[0].id)
        scene.lapse(3700)
        scene.worker()
        scene.settle(hurried=True)
        assert scene.status(prediction) == "lost"

        wake(scene, zombie)
        scene.settle()

        assert (scene.status(prediction), Output.objects.get().state) == ("lost", "lost")
        scene.note(oracle.check(scene))

    @pytest.mark.row("F55")
    def test_beside_others_takes_nothing_twice(self, scene: Scene) -> None:
        asked = [scene.ask(f"number {n}") for n in range(12)]
        for _ in range(3):
            scene.worker(MAX_IN_FLIGHT_PER_USER="50")
        scene.settle()

        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        assert (scene.creates(), Asset.objects.count()) == (12, 12)
        scene.note(oracle.check(scene))


class TestARowThatKills:
    @pytest.mark.row("F56")
    def test_five_times_is_set_aside_and_the_others_go_on(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"files": {"kind": "slow", "bytes_per_second": 2000, "times": 5}})
        poison = scene.ask("poison")
        for _ in range(5):
            # The n-th worker dies at it, as if the file had killed it.
            scene.worker_that_dies("store.fetched", lanes="submit,refresh,deliver,store")
            scene.let_leases_end()

        # A chore sets it aside; meanwhile the others are brought home.
        scene.worker()
        scene.wait(lambda: Output.objects.get(prediction=poison).quarantined_at, seconds=30)
        other = scene.ask("other")
        scene.wait(lambda: scene.status(other) == "succeeded")
        assert scene.status(poison) == "storing"
        scene.stop_workers()
        scene.run("reconcile")
        scene.worker()
        scene.settle()

        assert scene.status(poison) == "succeeded"
        scene.note(oracle.check(scene, scratch=5))


class TestAStop:
    @pytest.mark.row("F55")
    def test_hands_back_what_is_held_and_another_worker_goes_on(self, scene: Scene) -> None:
        asked = [scene.ask(f"number {n}") for n in range(8)]
        first = scene.worker()
        scene.wait(lambda: scene.creates() > 1)

        assert first.terminate() == 0
        assert not leased()
        scene.workers.remove(first)
        scene.worker()
        scene.settle()

        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        assert scene.creates() == 8
        scene.note(oracle.check(scene))

    @pytest.mark.row("F57")
    def test_in_the_middle_of_a_file_that_stalls_leaves_no_lease_behind(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"files": {"kind": "stalled", "times": 1}})
        prediction = scene.ask()
        first = scene.worker()
        scene.wait(lambda: scene.sandbox.log("delivery"))

        assert first.terminate() == 0
        assert not leased()
        scene.workers.remove(first)
        scene.worker()
        scene.settle(hurried=True)

        assert (scene.status(prediction), scene.creates()) == ("succeeded", 1)
        scene.note(oracle.check(scene))


def leased() -> list[str]:
    """Rows that somebody holds, of every kind that is worked on."""
    models = (Prediction, Output, Asset, WebhookDelivery)
    return [f"{row!r}" for model in models for row in model._default_manager.exclude(lease_token=None)]


class TestAClock:
    @pytest.mark.row("F58")
    @pytest.mark.parametrize("offset", ["+1h", "-1h"])
    def test_that_jumps_by_an_hour_loses_and_doubles_nothing(self, scene: Scene, offset: str) -> None:
        # Long enough for the second worker to be there, and to see them run.
        scene.sandbox.add_fault({"seconds": {"run": 8}}, times=None)
        asked = [scene.ask(f"number {n}") for n in range(3)]
        right = scene.worker()
        scene.wait(lambda: scene.creates() == 3)
        scene.kill(right)
        scene.let_leases_end()

        wrong = scene.worker(webhooks=False, **faked_clock(offset))
        refused = Output.objects.filter(error_code="storage_unavailable")
        scene.wait(lambda: not scene.unsettled() or refused.count() == 3, seconds=60, meanwhile=scene.make_due)
        # An S3 server takes no signature of such a clock: what was made waits until the clock is right.
        if scene.unsettled():
            assert Alert.objects.filter(name="store_refused", over_at=None).exists()
            scene.kill(wrong)
            scene.let_leases_end()
            scene.worker(webhooks=False)
            scene.wait(lambda: not scene.unsettled(), seconds=90, meanwhile=scene.make_due)

        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        assert scene.creates() == 3
        scene.note(oracle.check(scene))

    @pytest.mark.row("F58")
    def test_that_strikes_midnight_books_to_the_day_of_the_reservation(self, scene: Scene) -> None:
        """What was reserved before midnight is settled to that day and that month."""
        web = scene.another_web(**faked_clock("@2027-01-31 23:59:00"))
        answer = scene.program.post(IMAGE, {"prompt": f"a lake {PROMPT}"}, web=web)
        assert answer.status_code == 201, answer.text
        scene.accepted.append(answer.json()["predictionId"])
        prediction = Prediction.objects.get()
        Prediction.objects.update(due_at=datetime.now(UTC), created_at=datetime.now(UTC))

        scene.worker()
        scene.settle()

        assert scene.status(prediction) == "succeeded"
        booked = QuotaPeriod.objects.filter(settled_micros=39_000)
        starts = {(row.period, f"{row.starts_on}") for row in booked}
        assert starts == {("day", "2027-01-31"), ("month", "2027-01-01")}
        assert LedgerEntry.objects.filter(kind="settle").count() == 1
        scene.note(oracle.check(scene))
