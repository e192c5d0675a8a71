"""F01 to F08: a request is accepted, and sent once at most."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from accounts.models import LedgerEntry
from generation.models import Attempt, Prediction
from generation.tests.making import make_user
from generation.tests.torture import oracle
from generation.tests.torture.deliveries import news
from generation.tests.torture.scene import IMAGE, UNLIMITED, Program, Scene, within
from generation.tests.torture.surroundings import PROMPT
from generation.tests.torture.tcpfault import TcpFault, Toxic
from generation.work import doubt

pytestmark = pytest.mark.django_db(transaction=True)
AFTER_THE_VERDICT = doubt.VERDICT_AFTER.total_seconds() + 1


def lost_for_good(scene: Scene, prediction: Prediction) -> None:
    """It ended `failed` because it was lost in sending, and its money came back."""
    row = scene.row(prediction)
    assert (row.status, row.error_code, row.cost_micros) == ("failed", "lost_in_sending", 0)
    assert set(LedgerEntry.objects.values_list("kind", flat=True)) == {"reserve", "release"}


class TestTheWebProcess:
    @pytest.mark.row("F01")
    def test_killed_before_the_commit_leaves_nothing_and_the_same_key_asks_again(self, scene: Scene) -> None:
        dying = scene.another_web(FAULT="ask.before_commit:kill")
        with pytest.raises(requests.ConnectionError):
            scene.program.post(IMAGE, {"prompt": f"a lake {PROMPT}"}, web=dying, key="once")
        assert not Prediction.objects.exists() and not LedgerEntry.objects.exists()

        prediction = scene.ask(key="once")
        scene.worker()
        scene.settle()

        assert scene.status(prediction) == "succeeded"
        assert Prediction.objects.count() == 1
        scene.note(oracle.check(scene))

    @pytest.mark.row("F02")
    def test_killed_after_the_commit_has_asked_and_the_same_key_finds_it(self, scene: Scene) -> None:
        """The row is there before the paid call, whatever becomes of the one who asked."""
        dying = scene.another_web(FAULT="ask.after_commit:kill")
        with pytest.raises(requests.ConnectionError):
            scene.program.post(IMAGE, {"prompt": f"a lake {PROMPT}"}, web=dying, key="once")

        scene.worker()
        scene.wait(lambda: scene.creates() == 1, seconds=10)
        scene.ask(key="once")
        scene.settle()

        assert Prediction.objects.get().status == "succeeded"
        assert scene.creates() == 1
        scene.note(oracle.check(scene))


class TestTheSameRequest:
    @pytest.mark.row("F03")
    def test_sent_twenty_times_at_once_is_one(self, scene: Scene) -> None:
        scene.worker()
        gate = threading.Barrier(20)

        def ask(_: int) -> requests.Response:
            gate.wait()
            return scene.program.post(IMAGE, {"prompt": f"a lake {PROMPT}"}, key="once")

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(ask, range(20)))
        scene.settle()

        assert {answer.status_code for answer in answers} <= {200, 201}
        assert len({answer.json()["predictionId"] for answer in answers}) == 1
        assert scene.program.post(IMAGE, {"prompt": f"a hill {PROMPT}"}, key="once").status_code == 422
        assert (Prediction.objects.count(), scene.creates()) == (1, 1)
        scene.note(oracle.check(scene))


class TestAWorker:
    @pytest.mark.row("F04")
    def test_killed_before_the_mark_sends_once_in_the_end(self, scene: Scene) -> None:
        prediction = scene.ask()
        assert scene.worker_that_dies("submit.before_mark").wait() == -signal.SIGKILL
        scene.let_leases_end()

        scene.worker()
        scene.settle()

        assert (scene.status(prediction), scene.creates()) == ("succeeded", 1)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F04")
    def test_killed_after_the_mark_never_sends_again(self, scene: Scene) -> None:
        prediction = scene.ask()
        scene.worker_that_dies("submit.after_mark")
        scene.let_leases_end()

        scene.worker()
        scene.wait(lambda: scene.sandbox.log("list"))
        assert scene.program.get(f"/api/predictions/{prediction.pk}").json()["stage"] == "confirming"
        scene.lapse(AFTER_THE_VERDICT)
        scene.settle()

        lost_for_good(scene, prediction)
        assert scene.creates() == 0
        scene.note(oracle.check(scene))

    @pytest.mark.row("F04")
    def test_killed_is_replaced_within_forty_five_seconds(self, scene: Scene) -> None:
        prediction = scene.ask()
        scene.worker_that_dies("submit.before_mark")

        scene.worker()
        with within(45):
            scene.settle(seconds=50)

        assert (scene.status(prediction), scene.creates()) == ("succeeded", 1)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F05")
    @pytest.mark.parametrize("webhooks", [True, False], ids=["webhooks", "polling"])
    def test_killed_after_acceptance_finds_its_prediction_and_never_sends_again(
        self, scene: Scene, webhooks: bool
    ) -> None:
        prediction = scene.ask()
        scene.worker_that_dies("create.after_response", webhooks=webhooks)
        scene.let_leases_end()

        scene.worker(webhooks=webhooks)
        scene.settle()

        assert (scene.status(prediction), scene.creates()) == ("succeeded", 1)
        scene.note(oracle.check(scene))


LOST: dict[str, dict[str, Any]] = {"closed": {"kind": "lost"}, "reset": {"kind": "lost", "reset": True}}


class TestALostAnswer:
    @pytest.mark.row("F06")
    @pytest.mark.parametrize("webhooks", [True, False], ids=["webhooks", "polling"])
    @pytest.mark.parametrize("how", LOST)
    def test_is_found_without_sending_again(self, scene: Scene, how: str, webhooks: bool) -> None:
        scene.sandbox.add_fault({"answer": LOST[how]})
        prediction = scene.ask()

        scene.worker(webhooks=webhooks)
        scene.settle()

        assert (scene.status(prediction), scene.creates()) == ("succeeded", 1)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F06")
    def test_that_times_out_is_found_without_sending_again(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "silent", "seconds": 120}, "webhooks": {"drop": True}})
        prediction = scene.ask()

        scene.worker()
        scene.settle(seconds=90)

        assert (scene.status(prediction), scene.creates()) == ("succeeded", 1)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F06")
    def test_of_a_create_that_never_arrived_ends_after_five_minutes(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "lost_before"}})
        prediction = scene.ask()

        scene.worker()
        scene.wait(lambda: scene.is_doubted(prediction))
        scene.wait(lambda: len(scene.sandbox.log("list")) > 3, meanwhile=scene.make_due)
        assert scene.status(prediction) == "queued"
        scene.lapse(AFTER_THE_VERDICT)
        scene.settle()

        lost_for_good(scene, prediction)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F06")
    @pytest.mark.parametrize("first_only", [True, False], ids=["first", "both"])
    @pytest.mark.parametrize("owners", [1, 2])
    def test_of_one_prompt_sent_twice_brings_both_pictures(self, scene: Scene, owners: int, first_only: bool) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "lost"}}, times=1 if first_only else 2)
        other = scene.program if owners == 1 else Program(scene, make_user(username="other", **UNLIMITED))
        asked = [scene.ask("twins"), other.ask("twins")]

        scene.worker(webhooks=False)
        scene.settle()

        assert [scene.status(prediction) for prediction in asked] == ["succeeded"] * 2
        assert scene.creates() == 2
        scene.note(oracle.check(scene))

    @pytest.mark.row("F06")
    def test_whose_prediction_shows_up_after_the_verdict_is_found_later(self, scene: Scene) -> None:
        nothing: dict[str, Any] = {"previous": None, "next": None, "results": []}
        scene.sandbox.add_fault(
            {"answer": {"kind": "replace", "status": 200, "body": nothing}}, call="list", times=None
        )
        scene.sandbox.add_fault({"answer": {"kind": "lost"}, "webhooks": {"drop": True}})
        prediction = scene.ask()

        scene.worker()
        scene.wait(lambda: scene.is_doubted(prediction))
        scene.lapse(AFTER_THE_VERDICT)
        scene.wait(lambda: scene.status(prediction) == "failed")
        assert news(scene, prediction, made=scene.sandbox.predictions()[0].id).to(scene.web) == 204
        scene.wait(lambda: LedgerEntry.objects.filter(kind="correct").exists())
        scene.settle()

        row = scene.row(prediction)
        assert (row.status, row.cost_micros, row.outputs.get().state) == ("failed", 39_000, "stored")
        scene.note(oracle.check(scene))


class TestAProviderThatIsNotReached:
    @pytest.mark.row("F07")
    def test_is_asked_again_later_and_later_and_gets_everything(self, scene: Scene, spoiled_provider: TcpFault) -> None:
        with spoiled_provider.spoiled(Toxic("refuse")):
            asked = [scene.ask(f"number {n}") for n in range(3)]
            scene.worker()
            scene.wait(scene.door_is_closed, meanwhile=lambda: scene.lapse(2))
            refused = scene.program.post(IMAGE, {"prompt": PROMPT})
            assert refused.headers["Retry-After"] and refused.json()["charged"] == "none"
            assert not Attempt.objects.filter(submitted_at__isnull=False).exists()
        scene.wait(lambda: scene.creates() == 3, meanwhile=lambda: scene.lapse(60, leases=False))
        scene.settle()

        assert [scene.status(prediction) for prediction in asked] == ["succeeded"] * 3
        assert scene.creates() == 3
        scene.note(oracle.check(scene))

    @pytest.mark.row("F07")
    def test_for_a_whole_day_ends_what_waits(self, scene: Scene, spoiled_provider: TcpFault) -> None:
        with spoiled_provider.spoiled(Toxic("refuse")):
            prediction = scene.ask()
            scene.lapse(24 * 3600 + 60)
            scene.worker()
            scene.settle()

        row = scene.row(prediction)
        assert (row.status, row.error_code, row.cost_micros) == ("failed", "queue_expired", 0)
        scene.note(oracle.check(scene))


class TestAThrottle:
    @pytest.mark.row("F08")
    def test_fails_nothing_and_is_met_once(self, scene: Scene) -> None:
        self.try_with(scene, count=30, calls=10)

    @pytest.mark.row("F08")
    def test_fails_none_of_two_hundred(self, scene: Scene) -> None:
        self.try_with(scene, count=200, calls=10)

    def try_with(self, scene: Scene, *, count: int, calls: int) -> None:
        scene.sandbox.add_fault({"throttle": {"calls": calls, "seconds": 1}})
        asked = [scene.ask(f"number {n}") for n in range(count)]

        scene.worker(CREATES_PER_MINUTE="570", MAX_IN_FLIGHT_PER_USER="50")
        scene.settle(seconds=count / 2 + 30)

        refusals = [entry for entry in scene.sandbox.log("create") if entry.get("status") == 429]
        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        assert len(refusals) <= 1 + count / 100
        scene.note(f"{len(refusals)} of {count} were told to wait; {oracle.check(scene)}")
