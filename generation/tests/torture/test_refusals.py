"""F09 to F14: the provider answers, but not as one would wish."""

import uuid
from typing import Any

import pytest

from accounts.models import LedgerEntry
from generation.models import Attempt, Prediction, PredictionEvent
from generation.tests.torture import oracle
from generation.tests.torture.scene import IMAGE, VIDEO, Scene, within
from generation.tests.torture.surroundings import PROMPT
from generation.tests.torture.test_sending import AFTER_THE_VERDICT

pytestmark = pytest.mark.django_db(transaction=True)
HTML = "<html><body><h1>Bad gateway</h1></body></html>"


class TestAServerError:
    @pytest.mark.row("F09")
    def test_is_doubted_unless_the_providers_own_words_prove_that_nothing_was_made(self, scene: Scene) -> None:
        doubted = [(500, HTML), (502, HTML), (503, HTML), (504, HTML), (500, None), (502, None), (504, None)]
        clean = [(503, None), (429, None)]
        asked: dict[tuple[int, str | None], Prediction] = {}
        for status, body in [*doubted, *clean]:
            word = f"case {status} {'bare' if body else 'own'}"
            named = {"body": body} if body else {}
            scene.sandbox.add_fault(
                {"answer": {"kind": "refuse", "status": status, "seconds": 1, **named}}, prompt_contains=word
            )
            asked[status, body] = scene.ask(word)

        def in_doubt() -> set[uuid.UUID]:
            return set(PredictionEvent.objects.filter(name="confirming").values_list("prediction_id", flat=True))

        def all_told() -> bool:
            succeeded = Prediction.objects.filter(status="succeeded").count()
            return succeeded == len(clean) and len(in_doubt()) == len(doubted)

        scene.worker(MAX_IN_FLIGHT_PER_USER="50")
        scene.wait(all_told, seconds=90, meanwhile=lambda: scene.lapse(2))
        assert in_doubt() == {asked[case].pk for case in doubted}
        scene.lapse(AFTER_THE_VERDICT)
        scene.settle()

        assert {scene.row(asked[case]).error_code for case in doubted} == {"lost_in_sending"}
        scene.note(oracle.check(scene))


class TestARefusal:
    @pytest.mark.row("F10")
    @pytest.mark.parametrize(("status", "code"), [(400, "input_refused"), (422, "input_refused")])
    def test_of_the_input_is_final_and_free(self, scene: Scene, status: int, code: str) -> None:
        """Nobody is told to look at the API token for what is the prompt's fault."""
        scene.sandbox.add_fault({"answer": {"kind": "refuse", "status": status}}, times=None)
        prediction = scene.ask()

        scene.worker()
        scene.settle()

        answer = scene.program.get(f"/api/predictions/{prediction.pk}").json()
        assert (answer["status"], answer["errorCode"], answer["cost"]) == ("failed", code, "0.00")
        assert "token" not in answer["error"]
        assert Attempt.objects.count() == len(scene.sandbox.log("create")) == 1
        scene.note(oracle.check(scene))

    @pytest.mark.row("F10")
    def test_of_the_model_is_final_and_offers_another(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "refuse", "status": 404}}, times=None)
        body = {"prompt": f"waves {PROMPT}", "duration": 5, "resolution": "480p"}
        prediction = scene.ask("waves", path=VIDEO, duration=5, resolution="480p")

        scene.worker()
        scene.settle()

        row = scene.row(prediction)
        assert (row.status, row.error_code, row.cost_micros) == ("failed", "model_unavailable", 0)
        again = scene.program.post(VIDEO, body)
        assert again.status_code in {409, 422, 503} and again.json()["charged"] == "none"
        scene.note(oracle.check(scene))


class TestTheDoor:
    @pytest.mark.row("F11")
    @pytest.mark.parametrize("status", [401, 403])
    def test_closes_when_the_key_is_refused_and_nothing_fails(self, scene: Scene, status: int) -> None:
        self.close_and_open(scene, status, most_calls=3)

    @pytest.mark.row("F12")
    def test_closes_when_credit_runs_out_and_nothing_fails(self, scene: Scene) -> None:
        self.close_and_open(scene, 402, most_calls=3)

    @pytest.mark.row("F12")
    def test_is_open_within_ninety_seconds_of_a_top_up(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "refuse", "status": 402}}, times=None)
        asked = [scene.ask(f"number {n}") for n in range(5)]
        scene.worker()
        scene.wait(scene.door_is_closed)

        scene.sandbox.clear_faults()
        with within(90):
            scene.wait(lambda: scene.program.post(IMAGE, {"prompt": PROMPT}).status_code == 201, seconds=95)
        scene.settle(seconds=90)

        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        scene.note(oracle.check(scene))

    def close_and_open(self, scene: Scene, status: int, *, most_calls: int) -> None:
        scene.sandbox.add_fault(
            {"answer": {"kind": "refuse", "status": status}}, call=["create", "account"], times=None
        )
        asked = [scene.ask(f"number {n}") for n in range(50)]
        scene.worker(MAX_IN_FLIGHT="3")
        scene.wait(scene.door_is_closed)

        refused = scene.program.post(IMAGE, {"prompt": PROMPT})
        assert 1 <= int(refused.headers["Retry-After"]) <= 90
        assert refused.json()["charged"] == "none" and "402" not in refused.text
        assert len(scene.sandbox.log("create")) <= most_calls
        assert set(Prediction.objects.values_list("status", flat=True)) == {"queued"}
        assert set(LedgerEntry.objects.values_list("kind", flat=True)) == {"reserve"}

        scene.sandbox.clear_faults()

        def until_it_is_tried() -> None:
            # Only while nothing is under way: what is would be taken for lost.
            if scene.door_is_closed():
                scene.lapse(20)

        scene.wait(lambda: scene.creates() > 3, seconds=60, meanwhile=until_it_is_tried)
        scene.settle(seconds=120)

        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        scene.note(oracle.check(scene))


GARBAGE: dict[str, Any] = {
    "html": HTML,
    "a list": [],
    "no id": {},
    "a number for an id": {"id": 7, "status": "starting"},
    "an endless id": {"id": "x" * 500, "status": "starting"},
}


class TestGarbage:
    @pytest.mark.row("F13")
    def test_in_place_of_an_answer_is_a_lost_answer(self, scene: Scene) -> None:
        asked = []
        for what, body in GARBAGE.items():
            scene.sandbox.add_fault(
                {"answer": {"kind": "replace", "status": 201, "body": body}}, prompt_contains=f"case {what} "
            )
            asked.append(scene.ask(f"case {what} "))

        scene.worker(webhooks=False, MAX_IN_FLIGHT_PER_USER="50")
        scene.settle()

        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        assert scene.creates() == len(GARBAGE)
        assert "Traceback" not in scene.logs()
        scene.note(oracle.check(scene))

    @pytest.mark.row("F13")
    def test_words_and_logs_beyond_reason_are_survived(self, scene: Scene) -> None:
        """`aborted` is a branch, and so is a word that nobody knows yet."""
        scene.sandbox.add_fault(
            {"outcome": {"running_as": "zzz_new"}, "seconds": {"run": 1}}, prompt_contains="strange"
        )
        scene.sandbox.add_fault({"outcome": {"status": "aborted"}}, prompt_contains="aborted")
        scene.sandbox.add_fault({"logs": {"bytes": 5_000_000}}, prompt_contains="talkative")
        asked = [scene.ask(word) for word in ("strange", "aborted", "talkative")]

        scene.worker(webhooks=False)
        scene.settle()

        assert [scene.status(prediction) for prediction in asked] == ["succeeded", "aborted", "succeeded"]
        assert max(len(logs) for logs in Attempt.objects.values_list("logs", flat=True)) <= 64 * 1024
        scene.note(oracle.check(scene))


class TestAFastModel:
    @pytest.mark.row("F14")
    def test_that_has_ended_before_it_answers_is_stored_and_settled_once(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "ended"}})
        prediction = scene.ask()

        scene.worker()
        scene.settle()

        assert scene.status(prediction) == "succeeded"
        assert LedgerEntry.objects.filter(kind="settle").count() == 1
        scene.note(oracle.check(scene))
