"""From a request to the gallery over real HTTP: provider, webhooks, work loop, storage."""

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import LedgerEntry
from gallery import storage
from gallery.models import Asset
from generation.models import Attempt, Output, Prediction, ProviderState, WebhookDelivery
from generation.presentation import tell
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.making import SEEDANCE, make_prediction, make_user
from generation.work import circuit, store
from generation.work.chores import read_webhook_secret
from generation.work.loop import run_once, run_until_quiet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def webhooks(settings: Settings, sandbox: RunningSandbox, live_server: LiveServer) -> None:
    """The provider reaches us, and we know its secret."""
    settings.WEBHOOK_ORIGIN = live_server.url
    read_webhook_secret(now=timezone.now())


def fetch_and_finish(prediction: Prediction) -> Prediction:
    assert run_until_quiet(30)
    prediction.refresh_from_db()
    return prediction


class TestMainPath:
    def test_brings_a_picture_home_whole(self, sandbox: RunningSandbox) -> None:
        prediction = fetch_and_finish(make_prediction(now=timezone.now(), aspect_ratio="16:9", output_format="png"))

        asset = Asset.objects.get()
        assert prediction.status == Status.SUCCEEDED
        assert (asset.kind, asset.content_type, asset.prompt) == ("image", "image/png", "a lake at dusk")
        assert asset.width > asset.height
        with storage.as_file(asset.storage_key) as path:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == asset.sha256
        assert asset.thumbnail_key
        assert len(asset.placeholder) == 18

    def test_brings_a_film_home_with_a_poster(self, sandbox: RunningSandbox) -> None:
        prediction = make_prediction(model=SEEDANCE, now=timezone.now(), duration=2, resolution="480p")

        prediction = fetch_and_finish(prediction)

        asset = Asset.objects.get()
        assert prediction.status == Status.SUCCEEDED
        assert (asset.kind, asset.content_type) == ("video", "video/mp4")
        assert asset.duration_seconds == pytest.approx(2, abs=0.2)
        assert asset.poster_key
        assert prediction.cost_micros == 36_000

    def test_animates_a_picture_of_the_gallery(self, sandbox: RunningSandbox) -> None:
        user = make_user()
        fetch_and_finish(make_prediction(user=user, now=timezone.now()))
        still = Asset.objects.get()

        fetch_and_finish(
            make_prediction(
                user=user, model=SEEDANCE, now=timezone.now(), image=str(still.pk), duration=2, resolution="480p"
            )
        )

        film = Asset.objects.get(kind="video")
        assert list(film.made_from.all()) == [still]

    def test_pays_once(self, sandbox: RunningSandbox) -> None:
        fetch_and_finish(make_prediction(now=timezone.now()))

        assert len(sandbox.log("create")) == 1
        assert list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True)) == ["reserve", "settle"]


class TestWebhooks:
    @pytest.mark.parametrize(
        "fault",
        [{"copies": 3}, {"reversed": True}, {"delay": 0.5}, {"drop": True}, {"signature": "wrong"}],
        ids=["doubled", "reordered", "late", "none", "badly signed"],
    )
    def test_end_in_the_gallery_however_they_come(self, sandbox: RunningSandbox, fault: dict[str, object]) -> None:
        sandbox.add_fault({"webhooks": fault})
        prediction = make_prediction(now=timezone.now())
        run_once()
        sandbox.wait_until(lambda: sandbox.predictions()[0].ended)
        if fault.get("drop") or fault.get("signature"):
            # Nothing was heard: the next look finds it.
            Prediction.objects.unfinished().update(due_at=timezone.now() - timedelta(seconds=1))

        prediction = fetch_and_finish(prediction)

        assert prediction.status == Status.SUCCEEDED
        assert Asset.objects.count() == 1
        assert LedgerEntry.objects.filter(kind="settle").count() == 1

    def test_resolve_a_lost_answer_without_a_look_at_the_list(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "lost"}})
        prediction = make_prediction(now=timezone.now())
        run_once()
        sandbox.wait_until(lambda: WebhookDelivery.objects.filter(outcome="applied").exists())

        prediction = fetch_and_finish(prediction)

        assert prediction.status == Status.SUCCEEDED
        assert Attempt.objects.get().provider_id
        assert sandbox.log("list") == []

    def test_resolve_one_prompt_sent_twice_at_once(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "lost"}}, times=2)
        user = make_user()
        for _ in range(2):
            make_prediction(user=user, now=timezone.now())
        run_once()
        sandbox.wait_until(lambda: WebhookDelivery.objects.filter(outcome="applied").count() >= 2)

        assert run_until_quiet(30)

        assert set(Prediction.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}
        assert Asset.objects.count() == 2
        assert len(sandbox.log("create")) == 2


class TestFaultsOfTheProvider:
    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            ({"outcome": {"status": "failed", "error": "The output was flagged as sensitive. (E005)"}}, "sensitive"),
            ({"outcome": {"status": "failed", "error": "CUDA out of memory (E1001)"}}, "out_of_memory"),
            ({"outcome": {"status": "aborted"}}, "timed_out"),
            ({"output": {"shape": "empty_list"}}, "empty_output"),
            ({"answer": {"kind": "refuse", "status": 422}}, "input_refused"),
            ({"answer": {"kind": "refuse", "status": 404}}, "model_unavailable"),
        ],
        ids=["sensitive", "memory", "aborted", "empty", "422", "404"],
    )
    def test_end_with_their_reason(self, sandbox: RunningSandbox, fault: dict[str, object], code: str) -> None:
        sandbox.add_fault(fault)
        prediction = make_prediction(now=timezone.now())
        run_once()
        if code == "timed_out":
            # Whether the provider tells of what it aborted is nowhere promised.
            sandbox.wait_until(lambda: sandbox.predictions()[0].ended)
            Prediction.objects.unfinished().update(due_at=timezone.now() - timedelta(seconds=1))

        prediction = fetch_and_finish(prediction)

        assert prediction.error_code == code
        assert prediction.status in (Status.FAILED, Status.ABORTED)
        assert len(LedgerEntry.objects.all()) == 2

    @pytest.mark.parametrize("code", ["PA", "E9828"])
    def test_that_pass_are_tried_again(self, sandbox: RunningSandbox, code: str) -> None:
        text = "Prediction interrupted; please retry (code: PA)" if code == "PA" else f"Director: unexpected ({code})"
        sandbox.add_fault({"outcome": {"status": "failed", "error": text}})
        prediction = make_prediction(now=timezone.now())
        run_once()
        sandbox.wait_until(lambda: Attempt.objects.count() == 2)
        Prediction.objects.unfinished().update(due_at=timezone.now() - timedelta(seconds=1))

        prediction = fetch_and_finish(prediction)

        assert prediction.status == Status.SUCCEEDED
        assert len(sandbox.log("create")) == 2
        assert LedgerEntry.objects.filter(kind="settle").count() == 1

    @pytest.mark.parametrize("shape", ["string", "list", "dict", "nested", "data_uri"])
    def test_of_output_shape_are_read(self, sandbox: RunningSandbox, shape: str) -> None:
        sandbox.add_fault({"output": {"shape": shape}})

        prediction = fetch_and_finish(make_prediction(now=timezone.now()))

        assert prediction.status == Status.SUCCEEDED
        assert Asset.objects.count() == 1

    @pytest.mark.parametrize("status", [429, 402, 401, 503])
    def test_that_concern_everybody_fail_nothing(self, sandbox: RunningSandbox, status: int) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": status}})
        prediction = make_prediction(now=timezone.now())
        run_once()
        prediction.refresh_from_db()
        assert (prediction.status, prediction.submitted_at) == (Status.QUEUED, None)
        self.reopen()

        prediction = fetch_and_finish(prediction)

        assert prediction.status == Status.SUCCEEDED

    @staticmethod
    def reopen() -> None:
        """Let the pause that the refusal brought be over, and the token be tried if it was that."""
        ProviderState.objects.update(closed_until=timezone.now() - timedelta(seconds=1))
        circuit.probe_token(now=timezone.now())
        Prediction.objects.unfinished().update(due_at=timezone.now() - timedelta(seconds=1))


class TestFigures:
    def test_beyond_reason_are_not_believed(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"metrics": {"add": {"predict_time": 10**400, "image_output_count": 10**30}}})

        prediction = fetch_and_finish(make_prediction(now=timezone.now()))

        attempt = prediction.attempts.get()
        assert prediction.cost_micros == 39_000
        assert attempt.metrics["predict_time"] is None
        assert "predict_time" not in tell(prediction).get("metrics", {})


class TestFiles:
    @pytest.mark.parametrize("kind", ["truncated", "reset", "html", "missing", "empty"])
    def test_that_fail_once_are_fetched_again(self, sandbox: RunningSandbox, kind: str) -> None:
        sandbox.add_fault({"files": {"kind": kind, "times": 1}})

        prediction = fetch_and_finish(make_prediction(now=timezone.now()))

        assert prediction.status == Status.SUCCEEDED
        assert LedgerEntry.objects.filter(kind="settle").count() == 1

    @pytest.mark.parametrize("kind", ["html", "missing", "redirect"])
    def test_that_never_come_are_lost_and_said_to_cost(self, sandbox: RunningSandbox, kind: str) -> None:
        fault: dict[str, object] = {"kind": kind}
        if kind == "redirect":
            fault["location"] = "http://169.254.169.254/latest/meta-data"
        sandbox.add_fault({"files": fault})
        prediction = make_prediction(now=timezone.now())
        run_once()
        sandbox.wait_until(lambda: Output.objects.exists())

        for _ in range(store.MOST_TRIES):
            Output.objects.filter(state=Output.State.WAITING).update(due_at=timezone.now() - timedelta(seconds=1))
            run_once()

        prediction = fetch_and_finish(prediction)
        assert (prediction.status, prediction.cost_micros) == (Status.LOST, 39_000)
        assert not Asset.objects.exists()
