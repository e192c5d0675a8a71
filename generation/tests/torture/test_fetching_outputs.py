"""F32 to F36 and F42: the provider has made something, but the file does not come as it should."""

from itertools import product
from typing import Any, ClassVar

import pytest

from accounts.models import Alert, LedgerEntry
from gallery.models import Asset
from generation.models import Output, Prediction
from generation.tests.torture import oracle
from generation.tests.torture.outputs import (
    FLUX,
    KEEPERS,
    MANY,
    ask_spoiled,
    ask_unfetched,
    content,
    deliveries,
    is_lost,
    is_whole,
    lengthen,
    provider_id,
)
from generation.tests.torture.scene import Scene
from generation.tests.torture.tcpfault import TcpFault, Toxic

pytestmark = pytest.mark.django_db(transaction=True)


class TestAFileThatIsNotThere:
    @pytest.mark.row("F32")
    @pytest.mark.parametrize("status", [403, 404, 410])
    def test_is_asked_for_a_few_times_and_then_said_to_be_lost(self, scene: Scene, status: int) -> None:
        scene.sandbox.add_fault({"files": {"kind": "missing", "status": status}})
        prediction = scene.ask()

        scene.worker()
        scene.settle(hurried=True)

        is_lost(scene, prediction, "file_expired")
        assert 2 <= deliveries(scene, prediction) <= 4
        scene.note(oracle.check(scene))

    @pytest.mark.row("F32")
    def test_comes_under_the_address_that_the_provider_names_now(self, scene: Scene) -> None:
        """What is paid for is fetched again, not generated again."""
        prediction = ask_unfetched(scene)
        output = Output.objects.get()
        Output.objects.update(url=output.url.replace("/out-", "/moved-"))
        asked = len(scene.sandbox.log("get"))

        scene.worker(lanes=KEEPERS)
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        assert len(scene.sandbox.log("get")) == asked + 1
        assert scene.creates() == 1
        scene.note(oracle.check(scene))

    @pytest.mark.row("F33")
    def test_when_the_hour_is_over_is_said_to_be_lost(self, scene: Scene) -> None:
        prediction = ask_unfetched(scene)
        scene.sandbox.erase(scene.sandbox.predictions()[0].id)
        scene.lapse(3601)

        scene.worker()
        scene.settle(hurried=True)

        is_lost(scene, prediction, "file_expired")
        scene.note(oracle.check(scene))


class TestSomethingElseInPlaceOfAFile:
    WRONG: ClassVar[dict[str, dict[str, Any]]] = {
        "html": {"files": {"kind": "html"}},
        "json": {"files": {"kind": "json"}},
        "nothing": {"files": {"kind": "empty"}},
        "html called a picture": {"files": {"kind": "mislabelled"}},
        "text called a picture": content(b"not a picture\n" * 100, content_type="image/png"),
        "a script": content(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
    }

    @pytest.mark.row("F34")
    def test_is_never_stored_and_asked_for_twice(self, scene: Scene) -> None:
        """What a file is its bytes say, not its name."""
        asked = [ask_spoiled(scene, what, fault) for what, fault in self.WRONG.items()]

        scene.worker(**MANY)
        scene.settle(hurried=True)

        for prediction in asked:
            is_lost(scene, prediction, "file_unusable")
            assert deliveries(scene, prediction) == 2
        assert not Asset.objects.exists() and not oracle.stored_keys()
        scene.note(oracle.check(scene))

    @pytest.mark.row("F34")
    def test_for_a_moment_costs_nothing(self, scene: Scene) -> None:
        scene.sandbox.add_fault({"files": {"kind": "html", "times": 1}})
        prediction = scene.ask()

        scene.worker()
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        scene.note(oracle.check(scene))


class TestAFileThatIsCutShort:
    # How the end comes, whether a length was announced, and after how many bytes (-1: all but the last, None: half).
    CUTS = tuple(product(("truncated", "reset"), (True, False), (0, 1, None, -1)))

    @pytest.mark.row("F35")
    @pytest.mark.parametrize("format", ["jpg", "png", "webp"])
    def test_is_fetched_anew_and_never_kept_short(self, scene: Scene, format: str) -> None:
        asked = []
        for kind, declared, size in self.CUTS:
            fault = {"kind": kind, "declared": declared, "times": 1} | ({} if size is None else {"bytes": size})
            what = f"{kind} {declared} {size}"
            asked.append(ask_spoiled(scene, what, {"files": fault}, model=FLUX, format=format))

        scene.worker(**MANY)
        scene.settle(hurried=True)

        for prediction in asked:
            is_whole(scene, prediction)
            assert deliveries(scene, prediction) == 2
        scene.note(oracle.check(scene))

    @pytest.mark.row("F35")
    @pytest.mark.parametrize("size", [8 * 1024**2 - 1, 8 * 1024**2, 8 * 1024**2 + 1])
    def test_by_the_network_is_fetched_anew(self, scene: Scene, spoiled_provider: TcpFault, size: int) -> None:
        prediction = ask_unfetched(scene)
        lengthen(scene, prediction, 12 * 1024**2)
        spoiled_provider.poison(Toxic("limit_data", size=size, times=2))

        scene.worker(lanes=KEEPERS)
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        assert deliveries(scene, prediction) == 3
        scene.note(oracle.check(scene))


class TestAFileThatHoldsUp:
    STUCK: ClassVar[dict[str, dict[str, Any]]] = {
        "stalled": {"kind": "stalled", "times": 1},
        "dripping": {"kind": "slow", "bytes_per_second": 1, "times": 1},
        "headless": {"kind": "endless_head", "bytes_per_second": 5, "times": 1},
    }

    @pytest.mark.row("F36")
    def test_holds_up_nobody_else(self, scene: Scene, spoiled_provider: TcpFault) -> None:
        stuck = [self.ask_stuck(scene, word) for word in self.STUCK]
        scene.worker(webhooks=False, **MANY)
        scene.wait(lambda: all(self.is_being_fetched(scene, prediction) for prediction in stuck))

        others = [scene.ask(f"number {n}") for n in range(4)]
        scene.wait(lambda: {scene.status(prediction) for prediction in others} == {"succeeded"}, seconds=12)

        assert {scene.status(prediction) for prediction in stuck} == {"storing"}
        assert {scene.told(prediction)["stage"] for prediction in stuck} == {"storing"}
        spoiled_provider.cut()
        scene.settle(hurried=True)
        for prediction in stuck:
            is_whole(scene, prediction)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F36")
    @pytest.mark.timeout(300)
    def test_ten_are_given_up_after_a_while_and_fifty_others_do_not_wait_for_it(self, scene: Scene) -> None:
        """The time a file may take depends on whether it comes, not on a fixed number."""
        words = [*self.STUCK] * 4
        stuck = [self.ask_stuck(scene, f"{word} {n}") for n, word in enumerate(words[:10])]
        scene.worker(**MANY)
        scene.wait(lambda: sum(self.is_being_fetched(scene, prediction) for prediction in stuck) > 4)

        others = [scene.ask(f"number {n}") for n in range(50)]
        scene.wait(lambda: {scene.status(prediction) for prediction in others} == {"succeeded"}, seconds=100)
        scene.settle(seconds=150)

        for prediction in stuck:
            is_whole(scene, prediction)
        scene.note(oracle.check(scene))

    def ask_stuck(self, scene: Scene, word: str) -> Prediction:
        return ask_spoiled(scene, word, {"files": self.STUCK[word.partition(" ")[0]]})

    def is_being_fetched(self, scene: Scene, prediction: Prediction) -> bool:
        fetched = Output.objects.filter(prediction=prediction, lease_until__isnull=False).exists()
        return fetched and deliveries(scene, prediction) > 0


class TestOneOfFourFiles:
    @pytest.mark.row("F42")
    def test_that_fails_for_a_while_is_fetched_by_itself(self, scene: Scene) -> None:
        """Each file is a row of its own that is tried again; nobody's asking stores it a second time."""
        prediction = self.ask_for_four(scene)
        scene.worker()
        scene.wait(lambda: len(scene.told(prediction)["assets"]) == 3)
        self.shows_three_and_waits(scene, prediction)
        assert [row.kind for row in LedgerEntry.objects.order_by("id")] == ["reserve", "settle"]

        scene.sandbox.clear_faults()
        self.heal(scene, prediction)
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        assert len(scene.told(prediction)["output"]) == Asset.objects.count() == 4
        scene.note(oracle.check(scene))

    @pytest.mark.row("F42")
    def test_that_fails_to_the_end_is_said_to_be_lost_and_the_others_stay(self, scene: Scene) -> None:
        """An extra file that is lost is neither silent nor a failure of the whole."""
        prediction = self.ask_for_four(scene)
        scene.worker()
        scene.wait(lambda: len(scene.told(prediction)["assets"]) == 3)
        self.shows_three_and_waits(scene, prediction)

        scene.lapse(3601)
        scene.settle(hurried=True)

        told = scene.told(prediction)
        assert (told["status"], len(told["output"]), told["cost"]) == ("succeeded", 3, "0.012")
        assert "1 of 4 files could not be saved in time." in scene.card(prediction)
        assert Alert.objects.filter(name="output_lost", over_at=None).exists()
        lost = Output.objects.get(state=Output.State.LOST)
        assert (lost.index, lost.error_code) == (2, "file_expired")
        assert [row.kind for row in LedgerEntry.objects.order_by("id")] == ["reserve", "settle"]
        scene.note(oracle.check(scene))

    def ask_for_four(self, scene: Scene) -> Prediction:
        fault = {"files": {"kind": "reset", "index": 2}}
        return ask_spoiled(scene, "four", fault, model=FLUX, numOutputs=4)

    def heal(self, scene: Scene, prediction: Prediction) -> None:
        """The fault of a prediction's files travels with it."""
        with scene.sandbox.sandbox.store.changing(provider_id(prediction)) as made:
            made.fault.pop("files")

    def shows_three_and_waits(self, scene: Scene, prediction: Prediction) -> None:
        told = scene.told(prediction)
        assert (told["status"], told["stage"]) == ("processing", "storing")
        assert "output" not in told and "/delivery/" not in str(told)
        card = scene.card(prediction)
        assert "Saving to your gallery" in card and card.count('<a class="pic ') == 3
