"""F28 to F31: what the provider does not tell is asked for, in time, and never believed against a later end."""

from datetime import timedelta
from functools import partial
from itertools import combinations

import pytest
from django.db.models import F

from accounts.models import LedgerEntry
from generation.models import Output, Prediction, PredictionEvent, StorageState
from generation.tests.torture import oracle
from generation.tests.torture.deliveries import newest_attempt, news
from generation.tests.torture.scene import Scene, ago, within
from generation.tests.torture.surroundings import Web

pytestmark = pytest.mark.django_db(transaction=True)
USUAL = timedelta(seconds=10.5)
AFTER_THE_DEADLINE = 32 * 60
AFTER_THE_HOUR = 95 * 60
SHOWN = ("status", "stage", "cost", "completedAt")
TRANSIENT = "Prediction interrupted; please retry (code: PA)"


def moved() -> list[str]:
    """What happened to the money that was reserved."""
    return list(LedgerEntry.objects.exclude(kind="reserve").values_list("kind", flat=True))


class TestAWebhookThatNeverComes:
    @pytest.mark.row("F28")
    def test_is_not_waited_for_longer_than_the_model_usually_takes(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"webhooks": {"drop": True}})
        prediction = scene.ask()

        scene.worker()
        scene.wait(lambda: scene.rests(prediction, "starting"))
        scene.sandbox.wait_until(lambda: scene.sandbox.predictions()[0].ended)
        due_at, sent_at = scene.row(prediction).due_at, newest_attempt(prediction).submitted_at
        assert due_at and sent_at
        assert abs(due_at - sent_at - USUAL) < timedelta(seconds=2)
        assert not scene.sandbox.log("get")
        scene.lapse(USUAL.total_seconds())
        with within(10):
            scene.settle()

        assert scene.told(prediction)["status"] == "succeeded"
        scene.note(oracle.check(scene))

    @pytest.mark.row("F28")
    def test_because_none_was_asked_for_is_made_good_within_seconds(self, scene: Scene) -> None:
        scene.ask("until the worker is there")
        scene.worker(webhooks=False)
        scene.settle()

        prediction = scene.ask()
        with within(10):
            scene.settle()

        assert scene.told(prediction)["status"] == "succeeded"
        assert not scene.sandbox.log("webhook")
        scene.note(f"{len(scene.sandbox.log('get'))} looks; {oracle.check(scene)}")

    @pytest.mark.row("F28")
    def test_of_a_run_that_takes_long_is_asked_for_every_half_minute(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"seconds": {"queue": 0, "run": 5}})
        prediction = scene.ask()

        scene.worker(webhooks=False)
        scene.wait(lambda: scene.rests(prediction, "processing"))
        scene.lapse(300)
        scene.wait(lambda: len(scene.sandbox.log("get")) > 1 and not scene.row(prediction).lease_token)
        due_at, looked_at = scene.row(prediction).due_at, newest_attempt(prediction).looked_at
        assert due_at and looked_at
        assert timedelta(seconds=29) < due_at - looked_at < timedelta(seconds=31)
        scene.settle(hurried=True)

        scene.note(oracle.check(scene))


class TestAnEndpointThatIsDown:
    @pytest.mark.row("F29")
    def test_for_ten_minutes_loses_none_of_thirty(self, scene: Scene) -> None:
        web = scene.another_web()
        web.kill()
        asked = [scene.ask(f"number {n}") for n in range(30)]

        scene.worker(PUBLIC_URL=web.url, MAX_IN_FLIGHT_PER_USER="30")
        scene.wait(lambda: scene.creates() == 30 and not Prediction.objects.filter(status="queued").exists())
        scene.sandbox.wait_until(lambda: all(item.ended for item in scene.sandbox.predictions()))
        assert "storing" not in {scene.status(prediction) for prediction in asked}
        scene.lapse(600)
        scene.settle()

        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        back = scene.held.enter_context(Web(scene.folder, scene.environment, port=web.port))
        assert {news(scene, prediction).to(back) for prediction in asked} == {204}
        assert moved() == ["settle"] * 30
        scene.note(oracle.check(scene))

    @pytest.mark.row("F29")
    def test_leaves_first_to_be_stored_what_expires_first(self, scene: Scene) -> None:
        asked = [scene.ask(f"number {n}") for n in range(24)]
        scene.worker(webhooks=False, lanes="submit,refresh", MAX_IN_FLIGHT_PER_USER="30")
        scene.wait(lambda: Output.objects.count() == 24)
        scene.stop_workers()
        # The oldest became due last, as after tries that failed.
        for place, prediction in enumerate(asked):
            Output.objects.filter(prediction=prediction).update(
                expires_at=F("expires_at") - timedelta(minutes=30 - place),
                due_at=F("due_at") - timedelta(seconds=place),
            )

        scene.worker()
        scene.settle()

        stored = PredictionEvent.objects.filter(name="output_stored").order_by("id")
        order = [prediction.pk for prediction in asked]
        places = [order.index(pk) for pk in stored.values_list("prediction_id", flat=True)]
        in_order = [earlier < later for earlier, later in combinations(places, 2)]
        # Several are stored at a time, and those that are may overtake each other.
        assert in_order.count(True) > 0.7 * len(in_order), places
        scene.note(oracle.check(scene))


class TestAStaleRead:
    def read_before_the_end(self, scene: Scene, **outcome: str) -> Prediction:
        """A look at the provider leaves while it runs, and arrives two seconds after a webhook has told its end."""
        scene.sandbox.add_fault({"outcome": outcome or {"status": "succeeded"}, "seconds": {"queue": 0, "run": 3}})
        scene.sandbox.add_fault({"answer": {"kind": "late", "seconds": 5}}, call="get")
        prediction = scene.ask()
        scene.worker()
        scene.wait(lambda: scene.rests(prediction, "processing"))
        scene.wait(partial(self.is_read, scene))
        assert not scene.sandbox.predictions()[0].ended
        return prediction

    def is_read(self, scene: Scene) -> bool:
        """Whether somebody looks, now that it is due."""
        scene.make_due()
        return bool(scene.sandbox.log("get"))

    @pytest.mark.row("F30")
    @pytest.mark.parametrize("end", ["succeeded", "failed"])
    def test_changes_no_end(self, scene: Scene, end: str) -> None:
        prediction = self.read_before_the_end(scene, status=end)

        scene.wait(lambda: scene.status(prediction) == end)
        told = scene.told(prediction)
        scene.stop_workers()

        assert [scene.told(prediction)[name] for name in SHOWN] == [told[name] for name in SHOWN]
        assert newest_attempt(prediction).provider_status == end
        scene.worker()
        scene.settle()
        scene.note(oracle.check(scene))

    @pytest.mark.row("F30")
    def test_of_an_attempt_that_has_failed_does_not_move_the_next(self, scene: Scene) -> None:
        prediction = self.read_before_the_end(scene, status="failed", error=TRANSIENT)

        scene.wait(lambda: prediction.attempts.count() == 2)
        assert scene.status(prediction) == "queued"
        scene.settle()

        assert (scene.status(prediction), scene.creates()) == ("succeeded", 2)
        assert [attempt.provider_status for attempt in prediction.attempts.all()] == ["failed", "succeeded"]
        scene.note(oracle.check(scene))


class TestARunThatNeverEnds:
    def hanging(self, scene: Scene, *, hang: str = "processing", **fault: object) -> Prediction:
        """It has begun (or not) and its creator waits."""
        outcome = {"hang": hang, **{name: True for name in fault if name.startswith("ignores")}}
        more = {name: value for name, value in fault.items() if not name.startswith("ignores")}
        scene.sandbox.add_fault({"outcome": outcome, **more})
        prediction = scene.ask()
        scene.worker()
        scene.wait(lambda: scene.rests(prediction, hang))
        return prediction

    @pytest.mark.row("F31")
    def test_is_ended_after_its_deadline_and_charged_since_it_ran(self, scene: Scene) -> None:
        prediction = self.hanging(scene)

        scene.lapse(AFTER_THE_DEADLINE)
        scene.settle()

        row = scene.row(prediction)
        assert (row.status, row.cost_micros, row.cost_estimated) == ("canceled", 39_000, True)
        assert (moved(), len(scene.sandbox.log("cancel"))) == (["settle"], 1)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F31")
    def test_that_never_began_is_ended_and_costs_nothing(self, scene: Scene) -> None:
        prediction = self.hanging(scene, hang="starting")

        scene.lapse(AFTER_THE_DEADLINE)
        scene.settle()

        assert (scene.status(prediction), moved()) == ("canceled", ["release"])
        scene.note(oracle.check(scene))

    @pytest.mark.row("F31")
    def test_that_the_provider_aborts_is_heard_of_though_it_tells_nobody(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"outcome": {"status": "aborted"}})
        prediction = scene.ask()

        scene.worker()
        scene.wait(lambda: scene.rests(prediction, "starting"))
        scene.lapse(AFTER_THE_DEADLINE)
        scene.settle()

        told = scene.told(prediction)
        assert (told["status"], told["stage"], told["cost"], moved()) == ("canceled", "aborted", "0.00", ["release"])
        assert not scene.sandbox.log("webhook")
        scene.note(oracle.check(scene))

    @pytest.mark.row("F31")
    def test_that_nothing_can_end_is_given_up_after_the_hour(self, scene: Scene) -> None:
        prediction = self.hanging(scene, ignores_cancel=True, ignores_deadline=True)

        scene.lapse(AFTER_THE_DEADLINE)
        scene.wait(lambda: scene.sandbox.log("cancel") and scene.rests(prediction, "processing"))
        scene.lapse(AFTER_THE_HOUR)
        scene.settle()

        row = scene.row(prediction)
        assert (row.status, row.error_code, moved()) == ("failed", "timed_out", ["release"])
        scene.note(oracle.check(scene))

    @pytest.mark.row("F31")
    def test_is_ended_though_the_provider_names_no_deadline(self, scene: Scene) -> None:
        prediction = self.hanging(scene, ignores_deadline=True, deadline={"hidden": True})

        scene.lapse(AFTER_THE_DEADLINE)
        scene.settle(seconds=15)

        assert scene.status(prediction) == "canceled"
        scene.note(oracle.check(scene))

    @pytest.mark.row("F31")
    def test_while_nobody_looked_for_two_hours_is_asked_for_before_it_is_given_up(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"webhooks": {"drop": True}})
        # The hourly look at the provider's list, which would hear of its end at once, is not due.
        StorageState.objects.create(audited_at=ago(0))
        prediction = scene.ask()
        scene.worker()
        scene.wait(lambda: scene.rests(prediction, "starting"))
        scene.stop_workers()
        scene.sandbox.wait_until(lambda: scene.sandbox.predictions()[0].ended)
        scene.sandbox.erase(scene.sandbox.predictions()[0].id)

        scene.lapse(2 * 3600)
        scene.worker()
        scene.settle()

        row = scene.row(prediction)
        assert (row.status, row.error_code, row.cost_micros) == ("lost", "file_expired", 39_000)
        scene.note(oracle.check(scene))
