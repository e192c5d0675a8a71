"""Looking at predictions, ending them and asking again; and that nobody sees another's."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from gallery.files import FileFacts
from gallery.library import Snapshot, enter_asset
from gallery.models import Asset
from generation import lifecycle, pauses
from generation.catalog import get
from generation.models import Attempt, Output, Prediction
from generation.pauses import EVERYTHING
from generation.presentation import tell
from generation.tests.calling import IMAGE, Caller, problem, refused
from generation.tests.making import BANANA, NOW, SEEDANCE, done, make_prediction, make_sent, make_user, says

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(seconds=20)


@pytest.fixture
def ada() -> Caller:
    return Caller(make_user())


def stored(prediction: Prediction, index: int = 0) -> Asset:
    """The output of that index, as the store lane leaves it."""
    facts = FileFacts("image", "image/png", "png", 1234, "a" * 64, 64, 36, None)
    snapshot = Snapshot(prediction.pk, index, prediction.number, "sandbox", BANANA, "a lake", {}, None, 39_000)
    key = f"{prediction.user_id}/{uuid.uuid4()}.png"
    asset = enter_asset(owner_id=prediction.user_id, facts=facts, storage_key=key, snapshot=snapshot, now=LATER)
    Output.objects.filter(prediction=prediction, index=index).update(
        asset=asset, state=Output.State.STORED, due_at=None
    )
    return asset


def succeeded(ada: Caller, *addresses: str) -> tuple[Prediction, list[Asset]]:
    prediction, attempt = make_sent(user=ada.user)
    addresses = addresses or ("https://replicate.delivery/a.png",)
    lifecycle.apply_update(attempt=attempt, update=done(*addresses, metrics={"predict_time": 8.25}), now=LATER)
    assets = [stored(prediction, index) for index in range(len(addresses))]
    lifecycle.finish_storing(prediction_id=prediction.pk, now=LATER)
    return prediction, assets


def shown(ada: Caller, prediction: Prediction) -> dict[str, Any]:
    response = ada.get(f"/api/predictions/{prediction.pk}")
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    return body


class TestOneThatWaits:
    """`startsInSeconds` and the rest are the chooser's own order: `test_web_queue.py` holds them against it."""

    @pytest.fixture(autouse=True)
    def one_slot(self, settings: Settings) -> None:
        settings.MAX_IN_FLIGHT, settings.MAX_IN_FLIGHT_PER_USER, settings.CREATES_PER_MINUTE = 1, 4, 60_000

    def waiting(self, ada: Caller) -> Prediction:
        """The second in line, behind one that runs."""
        now = timezone.now()
        for number, name in enumerate(("rui", "bob")):
            rows = make_prediction(user=make_user(username=name), now=now - timedelta(minutes=3 - number))
            if name == "rui":
                Prediction.objects.filter(pk=rows.pk).update(submitted_at=now, status="processing")
        return make_prediction(user=ada.user, now=now)

    def test_says_its_place_and_when_it_will_go(self, ada: Caller) -> None:
        prediction = self.waiting(ada)

        body = shown(ada, prediction)

        place = body["queue"]
        assert (body["stage"], place["position"], place["waiting"], place["reason"]) == ("queued", 2, 2, None)
        usual = get(BANANA).usual_seconds
        assert 1.5 * usual < place["startsInSeconds"] <= 2 * usual + 1

    def test_says_what_has_to_be_over_first(self, ada: Caller) -> None:
        prediction = self.waiting(ada)
        pauses.pause(target=EVERYTHING, reason="We move house", by=None, now=timezone.now())

        assert shown(ada, prediction)["queue"] == {
            "position": None,
            "waiting": 0,
            "startsInSeconds": None,
            "reason": "Paused by an administrator: We move house.",
        }

    def test_says_nothing_of_it_once_it_is_sent(self, ada: Caller) -> None:
        prediction, _ = make_sent(user=ada.user)

        assert "queue" not in shown(ada, prediction)

    def test_takes_the_same_statements_in_a_list_of_many(self, ada: Caller) -> None:
        def statements(count: int) -> int:
            for _ in range(count):
                make_prediction(user=ada.user, now=timezone.now())
            with CaptureQueriesContext(connection) as asked:
                results = ada.get("/api/predictions?status=starting").json()["results"]
            assert all(told["queue"]["position"] for told in results)
            return len(asked)

        ada.get("/api/predictions")
        assert statements(2) == statements(9)


class TestOnePrediction:
    def test_tells_of_one_that_waits(self, ada: Caller) -> None:
        prediction = make_prediction(user=ada.user)

        assert shown(ada, prediction) == {
            "id": str(prediction.pk),
            "type": "image",
            "model": BANANA,
            "prompt": "a lake at dusk",
            "input": {"prompt": "a lake at dusk", "aspectRatio": "match_input_image", "format": "jpg"},
            "status": "starting",
            "stage": "queued",
            "cancelRequested": False,
            "warnings": [],
            "estimatedCost": "0.039",
            "cost": None,
            "simulated": True,
            "retryOf": None,
            "createdAt": "2026-07-16T12:00:00Z",
            "completedAt": None,
            "assets": [],
            "queue": {"position": 1, "waiting": 1, "startsInSeconds": 0, "reason": None},
        }

    def test_tells_of_one_whose_answer_was_lost(self, ada: Caller) -> None:
        prediction, _ = make_sent(user=ada.user, provider_id=None)

        assert (shown(ada, prediction)["status"], shown(ada, prediction)["stage"]) == ("starting", "confirming")

    @pytest.mark.parametrize("word", ["starting", "processing"])
    def test_tells_of_one_under_way(self, ada: Caller, word: str) -> None:
        prediction, attempt = make_sent(user=ada.user)
        lifecycle.apply_update(attempt=attempt, update=says(word), now=LATER)

        assert (shown(ada, prediction)["status"], shown(ada, prediction)["stage"]) == (word, word)

    def test_tells_of_one_being_stored_without_output(self, ada: Caller) -> None:
        prediction, attempt = make_sent(user=ada.user)
        lifecycle.apply_update(attempt=attempt, update=done(), now=LATER)

        body = shown(ada, prediction)

        assert (body["status"], body["stage"], body["cost"]) == ("processing", "storing", "0.039")
        assert "output" not in body

    def test_tells_of_one_that_came_out(self, ada: Caller) -> None:
        prediction, (asset,) = succeeded(ada)

        body = shown(ada, prediction)

        assert (body["status"], body["stage"]) == ("succeeded", "succeeded")
        assert body["output"] == f"/assets/{asset.pk}/file"
        assert [(told["id"], told["url"], told["width"]) for told in body["assets"]] == [
            (str(asset.pk), f"/assets/{asset.pk}/file", 64)
        ]
        assert body["metrics"] == {"predict_time": 8.25}
        assert body["completedAt"] == "2026-07-16T12:00:20Z"
        assert "error" not in body

    def test_lists_several_outputs(self, ada: Caller) -> None:
        prediction, assets = succeeded(ada, "https://replicate.delivery/a.png", "https://replicate.delivery/b.png")

        assert shown(ada, prediction)["output"] == [f"/assets/{asset.pk}/file" for asset in assets]

    def test_tells_why_one_failed(self, ada: Caller) -> None:
        prediction, attempt = make_sent(user=ada.user)
        lifecycle.apply_update(attempt=attempt, update=says("failed", error="NSFW: r8_secret"), now=LATER)

        body = shown(ada, prediction)

        assert (body["status"], body["errorCode"], body["cost"]) == ("failed", "sensitive", "0.00")
        assert body["error"].startswith("The model took something")
        assert "r8_secret" not in str(body)
        assert "output" not in body

    @pytest.mark.parametrize("stage", ["canceled", "aborted"])
    def test_tells_of_an_end_without_a_picture(self, ada: Caller, stage: str) -> None:
        prediction, attempt = make_sent(user=ada.user)
        lifecycle.apply_update(attempt=attempt, update=says(stage), now=LATER)

        body = shown(ada, prediction)

        assert (body["status"], body["stage"]) == ("canceled", stage)
        assert "error" not in body

    @pytest.mark.parametrize("figure", [float("nan"), float("inf"), "8", None, [1]])
    def test_leaves_out_a_run_time_that_is_none(self, ada: Caller, figure: Any) -> None:
        prediction, attempt = make_sent(user=ada.user)
        attempt.metrics = {"predict_time": figure}
        whole = Prediction(id=prediction.pk, status="processing", estimated_micros=1, created_at=NOW)
        whole._prefetched_objects_cache = {"attempts": [attempt], "outputs": []}  # type: ignore[attr-defined]

        assert "metrics" not in tell(whole)

    def test_can_be_asked_for_again_by_its_input(self, ada: Caller) -> None:
        body = shown(ada, make_prediction(user=ada.user, model=SEEDANCE, duration=3, seed=7))

        again = ada.post("/api/generation/video", {**body["input"], "model": body["model"]})

        assert again.status_code == 201
        assert shown(ada, Prediction.objects.get(pk=again.json()["predictionId"]))["input"] == body["input"]

    def test_keeps_the_provider_s_answer_to_itself(self, ada: Caller) -> None:
        prediction, _ = succeeded(ada)
        Attempt.objects.update(answer={"secret": 1}, logs="secret", address_token="secret")

        text = ada.get(f"/api/predictions/{prediction.pk}").content.decode()

        for word in ("secret", "p1", "replicate.delivery", ada.user.email, "storage"):
            assert word not in text

    def test_answers_with_a_slash_too(self, ada: Caller) -> None:
        assert ada.get(f"/api/predictions/{make_prediction(user=ada.user).pk}/").status_code == 200


class TestOwners:
    """Every address with an id, asked by another and by nobody."""

    CALLS = (("GET", ""), ("POST", "/cancel"), ("POST", "/retry"))

    @pytest.mark.parametrize(("method", "rest"), CALLS)
    def test_strangers_find_nothing(self, ada: Caller, method: str, rest: str) -> None:
        theirs = make_prediction(user=make_user(username="bob"))

        body = problem(ada.send(method, f"/api/predictions/{theirs.pk}{rest}"), 404)

        assert body == problem(ada.send(method, f"/api/predictions/{uuid.uuid4()}{rest}"), 404)
        theirs.refresh_from_db()
        assert theirs.cancel_requested_at is None

    @pytest.mark.parametrize(("method", "rest"), CALLS)
    def test_nobody_finds_nothing(self, method: str, rest: str) -> None:
        theirs = make_prediction()

        assert problem(Client().generic(method, f"/api/predictions/{theirs.pk}{rest}"), 401)

    @pytest.mark.parametrize("id", ["1", "x" * 36, "-" * 36, "%00"])
    def test_what_is_no_id_is_not_found(self, ada: Caller, id: str) -> None:
        assert problem(ada.get(f"/api/predictions/{id}"), 404)

    def test_lists_hold_ones_own(self, ada: Caller) -> None:
        make_prediction(user=make_user(username="bob"))

        assert ada.get("/api/predictions").json() == {"next": None, "previous": None, "results": []}


class TestCancel:
    def test_ends_what_waits(self, ada: Caller) -> None:
        prediction = make_prediction(user=ada.user)

        response = ada.post(f"/api/predictions/{prediction.pk}/cancel")

        assert response.status_code == 202
        body = response.json()
        assert (body["id"], body["status"], body["cost"]) == (str(prediction.pk), "canceled", "0.00")

    def test_asks_for_the_end_of_what_was_sent(self, ada: Caller) -> None:
        prediction, _ = make_sent(user=ada.user)

        body = ada.post(f"/api/predictions/{prediction.pk}/cancel").json()

        assert (body["status"], body["cancelRequested"]) == ("starting", True)
        assert ada.post(f"/api/predictions/{prediction.pk}/cancel").status_code == 202

    def test_is_409_for_what_is_being_stored(self, ada: Caller) -> None:
        prediction, attempt = make_sent(user=ada.user)
        lifecycle.apply_update(attempt=attempt, update=done(), now=LATER)

        body = problem(ada.post(f"/api/predictions/{prediction.pk}/cancel"), 409)

        assert (body["code"], body["charged"]) == ("not_cancelable", "settled")

    def test_is_409_for_what_is_finished(self, ada: Caller) -> None:
        prediction = make_prediction(user=ada.user)
        ada.post(f"/api/predictions/{prediction.pk}/cancel")

        assert problem(ada.post(f"/api/predictions/{prediction.pk}/cancel"), 409)["charged"] == "none"


class TestRetry:
    def failed(self, ada: Caller, **raw: Any) -> Prediction:
        prediction, attempt = make_sent(user=ada.user, **raw)
        lifecycle.apply_update(attempt=attempt, update=says("failed", error="boom"), now=LATER)
        return prediction

    def test_asks_for_the_same_again(self, ada: Caller) -> None:
        earlier = self.failed(ada, output_format="png")

        response = ada.post(f"/api/predictions/{earlier.pk}/retry")

        body = response.json()
        assert response.status_code == 202
        assert body["id"] != str(earlier.pk)
        assert response["Location"] == f"/api/predictions/{body['id']}"
        assert (body["retryOf"], body["status"], body["input"]["format"]) == (str(earlier.pk), "starting", "png")

    def test_is_repeatable_by_a_key(self, ada: Caller) -> None:
        earlier = self.failed(ada)

        first, again = (ada.post(f"/api/predictions/{earlier.pk}/retry", Idempotency_Key="r") for _ in range(2))

        assert first.json()["id"] == again.json()["id"]
        assert Prediction.objects.count() == 2

    def test_is_409_for_what_may_still_come_out(self, ada: Caller) -> None:
        prediction = make_prediction(user=ada.user)

        body = problem(ada.post(f"/api/predictions/{prediction.pk}/retry"), 409)

        assert (body["code"], body["charged"]) == ("not_retryable", "held")

    def test_is_409_for_what_came_out(self, ada: Caller) -> None:
        prediction, _ = succeeded(ada)

        assert problem(ada.post(f"/api/predictions/{prediction.pk}/retry"), 409)["charged"] == "settled"

    def test_keeps_to_the_limits(self, ada: Caller) -> None:
        earlier = self.failed(ada)
        ada.user.daily_count_limit = 0
        ada.user.save()

        assert problem(ada.post(f"/api/predictions/{earlier.pk}/retry"), 429)


class TestList:
    def make(self, ada: Caller, count: int, **raw: Any) -> list[str]:
        """Newest first; pairs share their moment, so that the id has to decide."""
        rows = [make_prediction(user=ada.user, now=NOW + timedelta(seconds=n // 2), **raw) for n in range(count)]
        rows.sort(key=lambda row: (row.created_at, row.pk), reverse=True)
        return [str(row.pk) for row in rows]

    def pages(self, ada: Caller, address: str | None, direction: str = "next") -> list[list[str]]:
        found = []
        while address:
            body = ada.get(address).json()
            found.append([row["id"] for row in body["results"]])
            address = body[direction]
        return found

    def test_walks_newest_first_without_gap_or_repeat(self, ada: Caller) -> None:
        ids = self.make(ada, 7)

        assert self.pages(ada, "/api/predictions?page_size=3") == [ids[:3], ids[3:6], ids[6:]]

    def test_walks_back(self, ada: Caller) -> None:
        ids = self.make(ada, 7)
        last = ada.get(ada.get("/api/predictions?page_size=5").json()["next"]).json()

        assert last["next"] is None
        assert self.pages(ada, last["previous"].replace("page_size=5", "page_size=3"), "previous") == [
            ids[2:5],
            ids[:2],
        ]

    def test_is_not_moved_by_what_is_added_meanwhile(self, ada: Caller) -> None:
        ids = self.make(ada, 4)
        first = ada.get("/api/predictions?page_size=2").json()
        make_prediction(user=ada.user, now=NOW + timedelta(hours=1))

        assert [row["id"] for row in ada.get(first["next"]).json()["results"]] == ids[2:]

    def test_keeps_the_filters_on_the_way(self, ada: Caller) -> None:
        ids = self.make(ada, 3)
        make_prediction(user=ada.user, model=SEEDANCE)

        assert self.pages(ada, "/api/predictions?type=image&page_size=2") == [ids[:2], ids[2:]]

    def test_filters_by_the_words_of_the_outside(self, ada: Caller) -> None:
        queued = make_prediction(user=ada.user)
        canceled = make_prediction(user=ada.user)
        lifecycle.cancel_prediction(prediction=canceled, now=LATER)

        for word, prediction in (("starting", queued), ("canceled", canceled)):
            results = ada.get(f"/api/predictions?status={word}").json()["results"]
            assert [row["id"] for row in results] == [str(prediction.pk)]
        assert ada.get("/api/predictions?status=failed").json()["results"] == []

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("status=queued", "status"),
            ("type=audio", "type"),
            ("page_size=0", "page_size"),
            ("page_size=1000000000", "page_size"),
            ("page_size=x", "page_size"),
            ("cursor=x", "cursor"),
            ("cursor=%00", "cursor"),
            ("cursor=" + "a" * 300, "cursor"),
            ("cursor=b2xkZXJ8OTk5OS0xMi0zMVQyMzo1OTo1OS0xNDowMHww", "cursor"),
        ],
    )
    def test_refuses_nonsense(self, ada: Caller, query: str, field: str) -> None:
        assert refused(ada.get(f"/api/predictions?{query}")).keys() == {field}

    def test_takes_an_empty_filter_for_none(self, ada: Caller) -> None:
        ids = self.make(ada, 1)

        assert self.pages(ada, "/api/predictions?cursor=&status=&type=&page_size=") == [ids]

    def test_takes_no_order_from_outside(self, ada: Caller) -> None:
        ids = self.make(ada, 2)

        assert self.pages(ada, "/api/predictions?ordering=user__password") == [ids]

    def test_takes_as_many_statements_for_many_as_for_few(
        self, ada: Caller, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(3):
            Attempt.objects.update(provider_id=None)
            succeeded(ada)

        with django_assert_max_num_queries(9):
            assert len(ada.get("/api/predictions").json()["results"]) == 3

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_is_405_for_other_methods(self, ada: Caller, method: str) -> None:
        assert "GET" in ada.send(method, "/api/predictions")["Allow"]


class TestPublicAddress:
    def test_is_that_of_the_request(self, ada: Caller, settings: Settings) -> None:
        settings.ALLOWED_HOSTS = ["studio.example"]
        for _ in range(2):
            make_prediction(user=ada.user)

        body = ada.get("/api/predictions?page_size=1", Host="studio.example").json()

        assert body["next"].startswith("http://studio.example/api/predictions?page_size=1&cursor=")


class TestAskedTwiceAtOnce:
    def test_the_list_shows_one(self, ada: Caller) -> None:
        for _ in range(2):
            ada.post(IMAGE, {"prompt": "a"}, Idempotency_Key="same")

        assert len(ada.get("/api/predictions").json()["results"]) == 1
