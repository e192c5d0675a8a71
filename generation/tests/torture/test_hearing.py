"""F15 to F19, F24, F27: what the provider tells, doubled, disordered, too early, about another, or hostile."""

import json
from base64 import b64encode
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Alert, LedgerEntry
from gallery.models import Asset
from generation.models import Output, Prediction, PredictionEvent, StorageState, WebhookDelivery
from generation.sandbox.presentation import TINY_PNG
from generation.tests.torture import oracle
from generation.tests.torture.deliveries import PATH, at_once, newest_attempt, news, sent, signed
from generation.tests.torture.scene import Scene, ago, within
from generation.tests.torture.tcpfault import TcpFault

pytestmark = pytest.mark.django_db(transaction=True)
ORDER = ["queued", "starting", "processing", "storing"]


def settled() -> int:
    """How often money was booked."""
    return LedgerEntry.objects.filter(kind="settle").count()


class TestOneDelivery:
    @pytest.mark.row("F15")
    def test_a_hundred_times_at_once_is_applied_and_charged_once(self, scene: Scene) -> None:
        [prediction] = sent(scene)
        delivery, webs = news(scene, prediction), [scene.web, scene.another_web()]

        answers = at_once([partial(delivery.to, web) for web in webs for _ in range(50)])
        scene.worker()
        scene.settle()

        assert answers == [204] * 100
        assert (WebhookDelivery.objects.count(), settled()) == (1, 1)
        assert PredictionEvent.objects.filter(name="storing").count() == 1
        assert scene.told(prediction)["cost"] == "0.039"
        scene.note(oracle.check(scene))

    @pytest.mark.row("F15")
    def test_is_answered_without_any_call_of_ours(self, scene: Scene, spoiled_provider: TcpFault) -> None:
        [prediction] = sent(scene)
        web, calls_before = scene.another_web(), spoiled_provider.connections

        with within(2):
            assert news(scene, prediction).to(web) == 204

        assert spoiled_provider.connections == calls_before
        assert scene.told(prediction)["stage"] == "storing"
        scene.worker()
        scene.settle()
        scene.note(oracle.check(scene))


class TestOneEnd:
    @pytest.mark.row("F16")
    def test_told_under_thirty_ids_is_one_end_and_doubles_no_picture(self, scene: Scene) -> None:
        addresses = ["{url}", "{url}?2", "{url}?3"]
        [prediction] = sent(scene, output={"value": addresses})
        webs = [scene.web, scene.another_web()]

        answers = at_once([partial(news(scene, prediction).to, web) for web in webs for _ in range(15)])
        scene.worker()
        scene.settle()
        late = [news(scene, prediction).to(web) for web in webs]

        assert {*answers, *late} == {204}
        assert (WebhookDelivery.objects.count(), settled()) == (32, 1)
        assert (Output.objects.count(), Asset.objects.count()) == (3, 3)
        assert len(scene.told(prediction)["output"]) == 3
        scene.note(oracle.check(scene))


class TestFourDeliveries:
    @pytest.mark.row("F17")
    def test_in_each_of_their_orders_never_lead_back(self, scene: Scene) -> None:
        orders = list(permutations(["starting", "processing", "succeeded", "starting"]))
        asked = sent(scene, *(f"number {n}" for n in range(len(orders))))

        for prediction, order in zip(asked, orders, strict=True):
            seen = [scene.status(prediction)]
            for word in order:
                assert news(scene, prediction, word).to(scene.web) == 204
                seen.append(scene.status(prediction))
            assert seen == sorted(seen, key=ORDER.index), order
            assert seen[-1] == "storing"
        scene.worker()
        scene.settle()

        assert {scene.status(prediction) for prediction in asked} == {"succeeded"}
        assert settled() == len(orders)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F17")
    @pytest.mark.parametrize("end", ["failed", "canceled", "aborted"])
    def test_leave_the_first_end_as_it_was(self, scene: Scene, end: str) -> None:
        [prediction] = sent(scene, outcome={"status": end})

        for word in (end, "processing", "succeeded", "starting", end):
            assert news(scene, prediction, word).to(scene.web) == 204
            assert scene.status(prediction) == end

        assert LedgerEntry.objects.exclude(kind="reserve").count() == 1
        assert not Output.objects.exists()
        scene.note(oracle.check(scene))


class TestADeliveryThatComesFirst:
    @pytest.mark.row("F18")
    def test_before_the_create_is_answered_finds_its_row(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"answer": {"kind": "late", "seconds": 6}})
        prediction = scene.ask()

        scene.worker()
        scene.wait(scene.creates)
        with within(5):
            scene.wait(lambda: scene.status(prediction) == "succeeded", seconds=5)
        assert newest_attempt(prediction).provider_id == scene.sandbox.predictions()[0].id
        scene.stop_workers()

        assert (scene.status(prediction), scene.creates(), settled()) == ("succeeded", 1, 1)
        scene.worker()
        scene.settle()
        scene.note(oracle.check(scene))

    @pytest.mark.row("F19")
    def test_about_another_prediction_than_its_address_changes_neither(self, scene: Scene) -> None:
        one, other = sent(scene, "one", "other")
        about_other = newest_attempt(other).provider_id

        assert news(scene, one, id=about_other).to(scene.web) == 204

        assert [scene.status(one), scene.status(other)] == ["starting", "starting"]
        assert WebhookDelivery.objects.get().outcome == "mismatch"
        assert Alert.objects.filter(name="webhook_mismatch").exists()
        assert [news(scene, row).to(scene.web) for row in (one, other)] == [204, 204]
        scene.worker()
        scene.settle()
        assert settled() == 2
        scene.note(oracle.check(scene))

    @pytest.mark.row("F19")
    def test_about_another_than_the_create_was_answered_with_is_set_aside_and_told(self, scene: Scene) -> None:
        strange = {"id": "strange" + "0" * 19, "status": "starting", "input": {}, "urls": {}}
        answer = {"kind": "replace", "status": 201, "body": strange}
        # The hourly look at the provider's list would find the true one before it is told of.
        StorageState.objects.create(audited_at=ago(0))
        scene.sandbox.add_fault({"answer": answer, "seconds": {"run": 1.5}, "webhooks": {"drop": ["start"]}})
        prediction = scene.ask()

        scene.worker()
        scene.wait(lambda: WebhookDelivery.objects.filter(outcome="mismatch"))
        assert scene.told(prediction)["stage"] == "starting"
        assert Alert.objects.filter(name="webhook_mismatch").exists()
        scene.lapse(3601)
        scene.settle()

        row = scene.row(prediction)
        assert (row.status, row.error_code, row.cost_micros, scene.creates()) == ("failed", "vanished", 0, 1)
        scene.note(oracle.check(scene, foreign=1))


class TestADeliveryNobodyAskedFor:
    @pytest.mark.row("F24")
    def test_is_kept_for_a_day_and_makes_no_row(self, scene: Scene) -> None:
        body = json.dumps(
            {"id": "another" + "0" * 19, "status": "succeeded", "output": "https://x.test/a.png"}
        ).encode()
        addresses = [PATH, f"{PATH}?prediction={uuid4()}&token=x", f"{PATH}?prediction=x&token=%00", f"{PATH}?token=y"]

        def knock() -> list[int]:
            return [signed(body, secret=scene.sandbox.secret, address=address).to(scene.web) for address in addresses]

        assert knock() == [204] * 4
        scene.lapse(2 * 3600)
        assert knock() == [204] * 4
        assert set(WebhookDelivery.objects.values_list("outcome", flat=True)) == {"unknown"}
        assert not Prediction.objects.exists()
        scene.lapse(23 * 3600)
        scene.forget_turns()
        scene.worker(lanes="chores")
        scene.wait(lambda: WebhookDelivery.objects.count() < 8)

        assert WebhookDelivery.objects.filter(received_at__gt=ago(24 * 3600)).count() == 4
        scene.note(oracle.check(scene))

    @pytest.mark.row("F24")
    @pytest.mark.parametrize("token", ["", "wrong"])
    def test_to_a_known_address_without_its_token_changes_nothing(self, scene: Scene, token: str) -> None:
        [prediction] = sent(scene)
        true = news(scene, prediction)
        address = true.address.partition("&token=")[0] + (f"&token={token}" if token else "")

        assert replace(true, address=address).to(scene.web) == 204

        assert scene.status(prediction) == "starting"
        assert true.to(scene.web) == 204
        assert scene.status(prediction) == "starting", "one id is one delivery"
        assert news(scene, prediction).to(scene.web) == 204
        scene.worker()
        scene.settle()
        scene.note(oracle.check(scene))


DEEP: Any = "{url}"
for _ in range(40):
    DEEP = [DEEP]
# What the provider calls its output, and how that ends: state, code, files kept.
OUTPUTS: dict[str, tuple[Any, str, str, int]] = {
    "a file of this machine": ("file:///etc/passwd", "lost", "file_refused", 0),
    "a script": ("javascript:alert(1)", "lost", "file_refused", 0),
    "another protocol": ("ftp://replicate.delivery/a.png", "lost", "file_refused", 0),
    "the network": ("http://10.0.0.1/a.png", "lost", "file_refused", 0),
    "the cloud": ("http://169.254.169.254/latest/meta-data/", "lost", "file_refused", 0),
    "another host": ("https://example.com/a.png", "lost", "file_refused", 0),
    "a name in front": ("https://replicate.delivery@example.com/a.png", "lost", "file_refused", 0),
    "five thousand": ([f"https://example.com/{n}.png" for n in range(5000)], "lost", "file_refused", 0),
    "one good, one bad": (["{url}", "file:///etc/passwd"], "succeeded", "file_refused", 1),
    "objects in objects": ({"a": {"b": [{"c": "{url}"}]}}, "succeeded", "", 1),
    "a hole without end": (DEEP, "failed", "empty_output", 0),
    "a data address": (f"data:image/png;base64,{b64encode(TINY_PNG).decode()}", "succeeded", "", 1),
    "a page as data": ("data:text/html;base64,PGI+", "lost", "file_unusable", 0),
    "prose": ("I am sorry, I can only describe that picture.", "failed", "empty_output", 0),
    "numbers": ([1, 2.5, True], "failed", "empty_output", 0),
    "an empty list": ([], "failed", "empty_output", 0),
    "an empty word": ("", "failed", "empty_output", 0),
    "nothing": (None, "failed", "empty_output", 0),
}


class TestAnOutput:
    @pytest.mark.row("F27")
    def test_of_any_kind_is_fetched_from_the_provider_or_not_at_all(self, scene: Scene) -> None:
        for name, (value, *_) in OUTPUTS.items():
            scene.sandbox.add_fault({"output": {"value": value}}, prompt_contains=f"<{name}>")
        with TcpFault(scene.sandbox.url) as trap:
            scene.sandbox.add_fault({"output": {"value": f"{trap.url}/a.png"}}, prompt_contains="<a trap>")
            asked = {name: scene.ask(f"<{name}>") for name in [*OUTPUTS, "a trap"]}

            scene.worker()
            scene.settle(hurried=True)
            connections = trap.connections

        expected = {name: tuple(rest) for name, (_, *rest) in OUTPUTS.items()}
        assert connections == 0
        assert {name: self.end_of(scene, row) for name, row in asked.items()} == {
            **expected,
            "a trap": ("lost", "file_refused", 0),
        }
        assert Output.objects.filter(prediction=asked["five thousand"]).count() == 64
        scene.note(oracle.check(scene))

    def end_of(self, scene: Scene, prediction: Prediction) -> tuple[str, str, int]:
        """State, code and number of assets."""
        row = scene.row(prediction)
        return row.status, row.error_code, Asset.objects.filter(output__prediction=row).count()
