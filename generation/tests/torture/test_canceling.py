"""F59 to F61: a creator cancels before, while and after the provider runs it, and while the provider does not hear."""

import time
from typing import Any

import pytest
import requests

from accounts.models import LedgerEntry
from generation.models import Prediction
from generation.tests.torture import oracle
from generation.tests.torture.deliveries import newest_attempt, news
from generation.tests.torture.scene import Scene
from generation.tests.torture.tcpfault import TcpFault, Toxic

pytestmark = pytest.mark.django_db(transaction=True)


def cancel(scene: Scene, prediction: Prediction) -> requests.Response:
    """The creator presses Cancel."""
    return scene.program.post(f"/api/predictions/{prediction.pk}/cancel")


def moved() -> list[str]:
    """What happened to the money that was reserved."""
    return list(LedgerEntry.objects.exclude(kind="reserve").values_list("kind", flat=True))


def running(scene: Scene, *, seconds: float = 60, webhooks_wanted: bool = True, **fault: Any) -> Prediction:
    """The provider is at it."""
    scene.sandbox.add_fault({"seconds": {"queue": 0, "run": seconds}, **fault})
    prediction = scene.ask()
    scene.worker(webhooks=webhooks_wanted)
    scene.wait(lambda: scene.rests(prediction, "processing"))
    return prediction


class TestACancel:
    @pytest.mark.row("F59")
    def test_that_the_provider_hears_first_ends_the_run_which_is_charged(self, scene: Scene) -> None:
        prediction = running(scene)

        answer = cancel(scene, prediction)
        assert (answer.status_code, answer.json()["stage"]) == (202, "processing")
        assert answer.json()["cancelRequested"] is True
        scene.settle()
        late = news(scene, prediction, "succeeded", output="https://replicate.delivery/a/out.jpg").to(scene.web)

        told = scene.told(prediction)
        assert (late, told["status"], told["cost"], moved()) == (204, "canceled", "0.039", ["settle"])
        assert "what had already run" in scene.card(prediction)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F59")
    def test_that_comes_when_the_provider_has_succeeded_keeps_the_picture(self, scene: Scene) -> None:
        prediction = running(scene, seconds=1, webhooks={"drop": ["completed"]})
        scene.sandbox.wait_until(lambda: scene.sandbox.predictions()[0].ended)

        assert cancel(scene, prediction).status_code == 202
        scene.settle()

        told = scene.told(prediction)
        assert (told["status"], told["cost"], len(told["assets"]), moved()) == ("succeeded", "0.039", 1, ["settle"])
        scene.note(oracle.check(scene))

    @pytest.mark.row("F59")
    def test_that_is_answered_yes_after_which_the_provider_succeeds_keeps_the_picture(self, scene: Scene) -> None:
        prediction = running(scene, seconds=3, outcome={"ignores_cancel": True})

        assert cancel(scene, prediction).status_code == 202
        scene.wait(lambda: scene.sandbox.log("cancel"))
        scene.settle()

        assert scene.told(prediction)["status"] == "succeeded"
        assert (moved(), scene.creates()) == (["settle"], 1)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F59")
    def test_of_what_is_being_saved_or_has_ended_is_refused(self, scene: Scene) -> None:
        prediction = scene.ask()
        scene.worker()
        scene.settle()

        answer = cancel(scene, prediction)

        assert (answer.status_code, answer.json()["code"], answer.json()["charged"]) == (
            409,
            "not_cancelable",
            "settled",
        )
        assert not scene.sandbox.log("cancel")
        scene.note(oracle.check(scene))

    @pytest.mark.row("F60")
    def test_before_anything_was_sent_costs_nothing_and_sends_nothing(self, scene: Scene) -> None:
        prediction = scene.ask()

        answer = cancel(scene, prediction)
        scene.worker()
        other = scene.ask("a hill")
        scene.settle()

        assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
        assert (scene.status(prediction), scene.status(other)) == ("canceled", "succeeded")
        assert newest_attempt(prediction).submitted_at is None
        assert scene.creates() == 1
        assert "You were not charged." in scene.card(prediction)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F60")
    def test_in_the_moment_before_the_mark_keeps_the_create_at_home(self, scene: Scene) -> None:
        prediction = scene.ask()
        scene.worker(fault="submit.before_mark:delay")
        scene.wait(lambda: scene.row(prediction).lease_token)

        assert cancel(scene, prediction).json()["status"] == "canceled"
        scene.settle()
        scene.stop_workers()

        assert (scene.status(prediction), scene.creates(), moved()) == ("canceled", 0, ["release"])
        scene.note(oracle.check(scene))

    @pytest.mark.row("F60")
    @pytest.mark.parametrize("webhooks", [True, False], ids=["webhooks", "polling"])
    def test_while_the_create_is_under_way_is_the_providers_to_decide(self, scene: Scene, webhooks: bool) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "late", "seconds": 3}, "seconds": {"queue": 0, "run": 60}})
        prediction = scene.ask()
        scene.worker(webhooks=webhooks)
        scene.wait(scene.creates)

        answer = cancel(scene, prediction)
        assert (answer.status_code, answer.json()["cancelRequested"]) == (202, True)
        assert answer.json()["status"] != "canceled"
        scene.settle()

        assert (scene.status(prediction), scene.creates(), moved()) == ("canceled", 1, ["settle"])
        assert scene.sandbox.log("cancel")
        scene.note(oracle.check(scene))

    @pytest.mark.row("F60")
    def test_while_a_create_is_under_way_that_is_refused_costs_nothing(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "refuse", "status": 429, "seconds": 1}})
        prediction = scene.ask()
        scene.worker(fault="submit.after_mark:delay")
        scene.wait(lambda: scene.row(prediction).submitted_at)

        assert cancel(scene, prediction).status_code == 202
        scene.settle(hurried=True)

        assert (scene.status(prediction), scene.creates(), moved()) == ("canceled", 0, ["release"])
        scene.note(oracle.check(scene))


REFUSALS: dict[str, dict[str, Any]] = {
    "not found": {"kind": "refuse", "status": 404},
    "an error": {"kind": "refuse", "status": 500},
    "a bare page": {"kind": "refuse", "status": 502, "body": "<html>Bad Gateway</html>"},
    "a limit": {"kind": "refuse", "status": 429, "seconds": 1},
    "no answer": {"kind": "lost_before"},
}


class TestACancelThatFails:
    @pytest.mark.row("F61")
    @pytest.mark.parametrize("how", REFUSALS)
    def test_is_repeated_until_the_provider_hears(self, scene: Scene, how: str) -> None:
        scene.sandbox.add_fault({"answer": REFUSALS[how]}, call="cancel", times=2)
        prediction = running(scene)

        cancel(scene, prediction)
        scene.settle(hurried=True)

        assert (scene.status(prediction), moved()) == ("canceled", ["settle"])
        assert len(scene.sandbox.log("cancel")) == 3
        scene.note(oracle.check(scene))

    @pytest.mark.row("F61")
    def test_for_ever_lets_polling_go_on_to_the_providers_end(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "refuse", "status": 500}}, call="cancel", times=None)
        prediction = running(scene, seconds=4, webhooks={"drop": ["completed"]})

        cancel(scene, prediction)
        scene.settle()

        told = scene.told(prediction)
        assert (told["status"], told["cancelRequested"], told["cost"]) == ("succeeded", True, "0.039")
        assert scene.sandbox.log("cancel") and scene.sandbox.log("get")
        scene.note(oracle.check(scene))

    @pytest.mark.row("F61")
    @pytest.mark.parametrize("webhooks", [True, False], ids=["webhooks", "polling"])
    def test_only_in_its_answer_is_found_out(self, scene: Scene, webhooks: bool) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "lost"}}, call="cancel")
        prediction = running(scene, webhooks_wanted=webhooks)

        cancel(scene, prediction)
        scene.settle()

        assert (scene.status(prediction), moved()) == ("canceled", ["settle"])
        assert len(scene.sandbox.log("cancel")) == 1
        scene.note(oracle.check(scene))

    @pytest.mark.row("F61")
    def test_by_silence_is_repeated_when_the_silence_is_over(self, scene: Scene, spoiled_provider: TcpFault) -> None:
        prediction = running(scene, seconds=90)

        with spoiled_provider.spoiled(Toxic("timeout", "up")):
            cancel(scene, prediction)
            time.sleep(20)
            assert scene.told(prediction)["cancelRequested"] is True
        scene.settle(seconds=90)

        assert (scene.status(prediction), moved()) == ("canceled", ["settle"])
        scene.note(oracle.check(scene))
