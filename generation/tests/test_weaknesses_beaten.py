"""What studios of this kind are known to get wrong between a paid call and the gallery, each beaten by name.

In one process, on a real database; the same faults meet running processes in `generation/tests/torture`.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import quotas
from accounts.models import LedgerEntry
from gallery import storage
from gallery.models import Asset
from generation import lifecycle, providers
from generation.lifecycle import current_attempt
from generation.models import Attempt, Output, Prediction, PredictionEvent, Price, ProviderState, WebhookDelivery
from generation.price_list import sync_prices
from generation.providers.base import ProviderPrediction
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.calling import ESTIMATE, IMAGE, Caller
from generation.tests.making import BANANA, NOW, SEEDANCE, done, make_prediction, make_sent, make_user, says
from generation.tests.signing import SECRET, body_of, post, sign, succeeded
from generation.web.runs import render_card
from generation.work.lanes import LANES
from generation.work.loop import run_once, run_until_quiet

pytestmark = pytest.mark.django_db(transaction=True)
SUBMIT = [lane for lane in LANES if lane.name == "submit"]
FLUX = "black-forest-labs/flux-schnell"
LATER = NOW + timedelta(seconds=20)


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.REPLICATE_WEBHOOK_SECRETS = [SECRET]


@pytest.fixture
def silent_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the provider for anything fails the test."""
    monkeypatch.setattr(providers, "named", never)


def never(*_: object, **__: object) -> Any:
    """Not to be called."""
    raise AssertionError("this asks nobody")


class Creating:
    """A provider of which a test says what happens while it creates."""

    name = "sandbox"

    def __init__(self, create: Callable[[], ProviderPrediction]) -> None:
        self._create, self.creates = create, 0

    def create(self, **_: Any) -> ProviderPrediction:
        """Count, and do what the test says."""
        self.creates += 1
        return self._create()


def creating(monkeypatch: pytest.MonkeyPatch, create: Callable[[], ProviderPrediction]) -> Creating:
    """The provider from now on."""
    provider = Creating(create)
    monkeypatch.setattr(providers, "named", lambda _: provider)
    return provider


def kinds() -> list[str]:
    """What happened to money, in order."""
    return list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True))


def all_due() -> None:
    """As if no pause lasted."""
    Prediction.objects.unfinished().update(due_at=timezone.now() - timedelta(seconds=1))
    Output.objects.filter(state=Output.State.WAITING).update(due_at=timezone.now() - timedelta(seconds=1))


class TestWebhook:
    def test_that_arrives_before_the_creates_answer_is_not_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A model may be faster than its create's answer."""
        prediction = make_prediction(now=timezone.now())

        def create() -> ProviderPrediction:
            assert post(Client(), current_attempt(prediction), succeeded()).status_code == 204
            return says("starting")

        creating(monkeypatch, create)
        run_once(SUBMIT)

        prediction.refresh_from_db()
        assert (prediction.status, Output.objects.count(), kinds()) == (Status.STORING, 1, ["reserve", "settle"])

    def test_of_a_prediction_that_nobody_knows_is_kept_and_answered(self) -> None:
        assert post(Client(), None, succeeded()).status_code == 204

        assert WebhookDelivery.objects.get().outcome == "unknown"

    def test_asks_nobody_for_the_secret_and_fetches_no_file(
        self, settings: Settings, silent_provider: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What takes time is the work loop's, also on a cold start."""
        settings.REPLICATE_WEBHOOK_SECRETS = []
        ProviderState.objects.create(provider="sandbox", webhook_secrets=[SECRET], secrets_read_at=timezone.now())
        monkeypatch.setattr(storage, "put", never)
        prediction, attempt = make_sent()

        assert post(Client(), attempt, succeeded()).status_code == 204

        prediction.refresh_from_db()
        assert (prediction.status, Output.objects.get().state) == (Status.STORING, "waiting")

    def test_of_three_files_told_again_under_another_id_adds_no_fourth(self) -> None:
        prediction, attempt = make_sent()
        told = succeeded(output=[f"https://replicate.delivery/{n}.jpg" for n in range(3)])

        for number in range(3):
            post(Client(), attempt, told, sign(told, webhook_id=f"msg_{number}"))

        assert WebhookDelivery.objects.filter(outcome="applied").count() == 3
        assert sorted(Output.objects.filter(prediction=prediction).values_list("index", flat=True)) == [0, 1, 2]
        assert kinds() == ["reserve", "settle"]

    def test_of_an_abort_ends_the_row_and_gives_the_money_back(self) -> None:
        prediction, attempt = make_sent()

        post(Client(), attempt, body_of("aborted"))

        prediction.refresh_from_db()
        assert (prediction.status, prediction.due_at, kinds()) == (Status.ABORTED, None, ["reserve", "release"])


class TestPaidCall:
    def test_is_made_only_for_what_is_written_down_and_held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_prediction(now=timezone.now())
        seen: list[object] = []

        def create() -> ProviderPrediction:
            assert not connection.in_atomic_block
            seen.extend([Attempt.objects.get().submitted_at is not None, *kinds()])
            return says("starting")

        creating(monkeypatch, create)
        run_once(SUBMIT)

        assert seen == [True, "reserve"]

    def test_whose_answer_cannot_be_written_down_is_found_again(
        self, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        settings.WEBHOOK_ORIGIN = ""
        prediction = make_prediction(now=timezone.now(), prompt="a lake that nobody wrote down")

        def fail(**_: Any) -> bool:
            raise DatabaseError

        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "apply_update", fail)
            run_once(SUBMIT)
        assert current_attempt(prediction).doubtful
        all_due()

        assert run_until_quiet(20)

        prediction.refresh_from_db()
        assert (prediction.status, kinds()) == (Status.SUCCEEDED, ["reserve", "settle"])
        assert len(sandbox.log("create")) == 1

    def test_that_answers_and_tells_by_webhook_at_once_is_settled_once(self) -> None:
        prediction, attempt = make_sent()
        gate = threading.Barrier(8)

        def hear(_: int) -> bool:
            try:
                gate.wait()
                return lifecycle.apply_update(attempt=attempt, update=done(), now=LATER)
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            moved = list(pool.map(hear, range(8)))

        prediction.refresh_from_db()
        assert (prediction.status, moved.count(True)) == (Status.STORING, 1)
        assert (kinds(), Output.objects.count()) == (["reserve", "settle"], 1)


class TestCancel:
    @pytest.mark.parametrize("model", [BANANA, SEEDANCE])
    def test_reaches_films_as_it_reaches_pictures(self, model: str) -> None:
        ada = Caller(make_user())
        prediction, _ = make_sent(user=ada.user, model=model)

        answer = ada.post(f"/api/predictions/{prediction.pk}/cancel")

        assert (answer.status_code, answer.json()["cancelRequested"]) == (202, True)
        prediction.refresh_from_db()
        assert prediction.due_at and prediction.due_at <= timezone.now()

    def test_reaches_each_of_many_by_itself(self) -> None:
        ada = Caller(make_user())
        first, middle, last = (make_prediction(user=ada.user, now=NOW) for _ in range(3))

        assert ada.post(f"/api/predictions/{middle.pk}/cancel").json()["status"] == "canceled"

        states = [Prediction.objects.get(pk=each.pk).status for each in (first, middle, last)]
        assert states == [Status.QUEUED, Status.CANCELED, Status.QUEUED]

    def test_is_called_canceled_and_a_picture_complete_only_once_it_is_there(self) -> None:
        ada = Caller(make_user())
        canceled = lifecycle.cancel_prediction(prediction=make_prediction(user=ada.user), now=LATER)
        storing, attempt = make_sent(user=ada.user)
        lifecycle.apply_update(attempt=attempt, update=done(), now=LATER)

        told = [ada.get(f"/api/predictions/{each.pk}").json() for each in (canceled, storing)]

        assert [body["status"] for body in told] == ["canceled", "processing"]
        assert not any("output" in body for body in told)


class TestLook:
    def test_by_a_stranger_finds_nothing(self) -> None:
        prediction, _ = make_sent()

        assert Caller(make_user(username="bob")).get(f"/api/predictions/{prediction.pk}").status_code == 404

    def test_completes_charges_and_stores_nothing_however_often(
        self, silent_provider: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storage, "put", never)
        ada = Caller(make_user())
        prediction, attempt = make_sent(user=ada.user)
        lifecycle.apply_update(attempt=attempt, update=done(), now=LATER)
        events = PredictionEvent.objects.count()

        told = [ada.get(f"/api/predictions/{prediction.pk}") for _ in range(5)]

        assert {answer.status_code for answer in told} == {200}
        assert "replicate.delivery" not in told[-1].content.decode()
        assert (kinds(), Asset.objects.count(), PredictionEvent.objects.count()) == (["reserve", "settle"], 0, events)


class TestMoney:
    def test_is_charged_once_whoever_asked(self) -> None:
        """By the API or by the page: one reservation, one settlement."""
        ada = Caller(make_user())
        answer = ada.post(IMAGE, {"prompt": "a lake"})
        attempt = Attempt.objects.get(prediction=answer.json()["predictionId"])
        Attempt.objects.update(submitted_at=NOW)

        post(Client(), attempt, succeeded())

        used = quotas.usage(user=ada.user, now=timezone.now()).day
        assert kinds() == ["reserve", "settle"]
        assert (used.usd.settled, used.usd.reserved, used.count.settled) == (39_000, 0, 1)

    def test_comes_back_in_full_after_a_failure(self) -> None:
        user = make_user()
        _, attempt = make_sent(user=user, now=timezone.now())

        post(Client(), attempt, body_of("failed", error="CUDA error"))

        used = quotas.usage(user=user, now=timezone.now()).day
        assert (used.usd.settled, used.usd.reserved, used.count.settled, used.count.reserved) == (0, 0, 0, 0)

    def test_that_was_shown_is_charged_though_the_list_has_changed(self) -> None:
        sync_prices()
        ada = Caller(make_user())
        shown = ada.post(ESTIMATE, {"prompt": "a lake"}).json()["estimatedCost"]
        asked = ada.post(IMAGE, {"prompt": "a lake"}).json()
        assert Price.objects.filter(model=BANANA).update(amount_micros=99_000)
        Attempt.objects.update(submitted_at=NOW)

        post(Client(), Attempt.objects.get(), succeeded())

        told = ada.get(f"/api/predictions/{asked['predictionId']}").json()
        assert {shown, asked["estimatedCost"], told["estimatedCost"], told["cost"]} == {"0.039"}

    @pytest.mark.parametrize(("came", "cost"), [(4, 12_000), (3, 9_000)])
    def test_of_four_pictures_is_held_for_four_and_charged_for_those_that_came(self, came: int, cost: int) -> None:
        prediction, attempt = make_sent(model=FLUX, num_outputs=4)
        held = LedgerEntry.objects.get(kind="reserve").amount_micros

        lifecycle.apply_update(
            attempt=attempt, update=done(*(f"https://replicate.delivery/{n}.jpg" for n in range(came))), now=LATER
        )

        prediction.refresh_from_db()
        assert (held, prediction.cost_micros) == (12_000, cost)


class TestStoreThatFails:
    def test_is_never_called_a_failure_and_paid_for_once(
        self, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, settings: Settings, data_dir: Path
    ) -> None:
        settings.WEBHOOK_ORIGIN = ""
        prediction = make_prediction(now=timezone.now(), prompt="a lake for a store that is away")

        def refuse(**_: Any) -> None:
            raise storage.StorageError("connection refused")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "put", refuse)
            run_once()
            sandbox.wait_until(lambda: sandbox.predictions()[0].ended)
            for _ in range(3):
                all_due()
                run_once()
            prediction.refresh_from_db()
            assert (prediction.status, kinds()) == (Status.STORING, ["reserve", "settle"])
            assert "Saving to your gallery…" in render_card(prediction)
        all_due()
        run_once()

        assert run_until_quiet(20)

        names = list(PredictionEvent.objects.order_by("id").values_list("name", flat=True))
        assert not {"failed", "lost", "output_lost", "requeued"} & set(names)
        assert names.count("succeeded") == len(sandbox.log("create")) == Asset.objects.count() == 1

    def test_for_one_of_three_files_is_tried_again_for_that_one(self) -> None:
        prediction, attempt = make_sent()
        lifecycle.apply_update(
            attempt=attempt, update=done(*(f"https://replicate.delivery/{n}.jpg" for n in range(3))), now=LATER
        )
        Output.objects.exclude(index=1).update(state="stored", due_at=None)

        assert not lifecycle.finish_storing(prediction_id=prediction.pk, now=LATER)

        prediction.refresh_from_db()
        assert prediction.status == Status.STORING
        assert list(Output.objects.exclude(due_at=None).values_list("index", flat=True)) == [1]


class TestThrottle:
    def test_puts_the_request_back_into_the_queue_for_as_long_as_was_said(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 429, "seconds": 7}})
        prediction = make_prediction(now=timezone.now())

        run_once(SUBMIT)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.submitted_at, prediction.error_code) == (Status.QUEUED, None, "")
        state = ProviderState.objects.get()
        assert state.closed_until and timedelta(seconds=5) < state.closed_until - timezone.now() < timedelta(seconds=9)
        assert kinds() == ["reserve"]


class TestCard:
    def test_gives_up_no_sooner_than_the_provider(self) -> None:
        prediction, attempt = make_sent()
        lifecycle.apply_update(attempt=attempt, update=says("processing"), now=NOW)
        prediction.refresh_from_db()

        html = render_card(prediction, now=NOW + timedelta(minutes=25))

        assert 'data-state="processing"' in html and "Taking longer than expected" in html
        assert "failed" not in html and 'hx-trigger="poll"' in html


class TestErrorText:
    TRACE = 'Traceback (most recent call last): File "/src/predict.py", line 7: KeyError: r8_secret'

    @pytest.mark.parametrize(
        ("said", "code", "headline"),
        [
            (TRACE, "provider_error", "Generation failed"),
            (f"flagged as sensitive (E005) {TRACE}", "sensitive", "The model declined this prompt"),
        ],
        ids=["fault", "declined"],
    )
    def test_is_a_sentence_of_ours_that_says_what_was_charged(self, said: str, code: str, headline: str) -> None:
        ada = Caller(make_user())
        prediction, attempt = make_sent(user=ada.user)
        lifecycle.apply_update(attempt=attempt, update=says("failed", error=said), now=LATER)
        prediction.refresh_from_db()

        told, html = ada.get(f"/api/predictions/{prediction.pk}").json(), render_card(prediction, now=LATER)

        assert (told["errorCode"], told["cost"]) == (code, "0.00")
        assert headline in html and "You were not charged." in html
        assert not any(word in f"{told}{html}" for word in ("Traceback", "predict.py", "r8_secret"))
