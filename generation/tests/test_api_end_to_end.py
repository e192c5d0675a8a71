"""Over HTTP with a token, from the request to the bytes: web server, work loop, provider and storage are real."""

import hashlib
import threading
from typing import Any

import pytest
import requests
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import LedgerEntry
from accounts.tokens import create_token
from generation.models import Output, Prediction
from generation.sandbox.running import RunningSandbox
from generation.tests.making import make_user
from generation.work.chores import read_webhook_secret
from generation.work.loop import run_until_quiet

pytestmark = pytest.mark.django_db(transaction=True)


class Program:
    """A creator's program: knows an origin and a token, and nothing else."""

    def __init__(self, origin: str, token: str) -> None:
        self.origin = origin
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **more: str) -> requests.Response:
        return requests.get(self.origin + path, headers=self.headers | more, timeout=20)

    def post(self, path: str, body: Any = None, **more: str) -> requests.Response:
        return requests.post(self.origin + path, json=body, headers=self.headers | more, timeout=20)

    def finish(self, path: str, body: Any) -> dict[str, Any]:
        """Ask, let the workers work, look."""
        asked = self.post(path, body)
        assert asked.status_code == 201, asked.text
        assert run_until_quiet(30)
        prediction: dict[str, Any] = self.get(asked.headers["Location"]).json()
        return prediction


@pytest.fixture
def program(settings: Settings, sandbox: RunningSandbox, live_server: LiveServer) -> Program:
    settings.WEBHOOK_ORIGIN = live_server.url
    read_webhook_secret(now=timezone.now())
    _, token = create_token(user=make_user(), name="e2e", expires_at=None, now=timezone.now())
    return Program(live_server.url, token)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class TestFromRequestToBytes:
    @pytest.mark.parametrize(
        ("path", "body", "content_type", "cost"),
        [
            ("/api/generation/image", {"prompt": "a lake at dusk", "format": "png"}, "image/png", "0.039"),
            (
                "/api/generation/video",
                {"prompt": "waves at dusk", "duration": 2, "resolution": "480p"},
                "video/mp4",
                "0.036",
            ),
        ],
        ids=["image", "video"],
    )
    def test_every_byte_comes_home_and_is_paid_once(
        self, program: Program, sandbox: RunningSandbox, path: str, body: dict[str, Any], content_type: str, cost: str
    ) -> None:
        prediction = program.finish(path, body)

        assert (prediction["status"], prediction["cost"]) == ("succeeded", cost)
        assert prediction["metrics"]["predict_time"] >= 0
        ours = program.get(prediction["output"])
        theirs = requests.get(Output.objects.get().url, timeout=20)
        assert ours.headers["Content-Type"] == content_type
        assert sha256(ours.content) == sha256(theirs.content)
        assert len(ours.content) == prediction["assets"][0]["sizeBytes"]
        assert len(sandbox.log("create")) == 1
        assert list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True)) == ["reserve", "settle"]

    def test_a_picture_becomes_the_first_frame_of_a_film(self, program: Program) -> None:
        still = program.finish("/api/generation/image", {"prompt": "a lake"})["assets"][0]

        film = program.finish(
            "/api/generation/video", {"prompt": "waves", "image": still["id"], "duration": 2, "resolution": "480p"}
        )

        assert film["status"] == "succeeded"
        assert film["input"]["image"] == still["id"]
        assert film["assets"][0]["durationSeconds"] == pytest.approx(2, abs=0.2)

    def test_the_list_and_the_file_are_for_their_owner(self, program: Program) -> None:
        prediction = program.finish("/api/generation/image", {"prompt": "a lake"})
        _, token = create_token(user=make_user(username="eve"), name="eve", expires_at=None, now=timezone.now())
        eve = Program(program.origin, token)

        assert eve.get("/api/predictions").json()["results"] == []
        assert eve.get(f"/api/predictions/{prediction['id']}").status_code == 404
        assert eve.get(prediction["output"]).status_code == 404


class TestTwentyAtOnce:
    def test_with_one_key_make_one_prediction(self, program: Program) -> None:
        gate, answers = threading.Barrier(20), []

        def ask() -> None:
            gate.wait()
            answers.append(program.post("/api/generation/image", {"prompt": "a"}, **{"Idempotency-Key": "once"}))

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1
        assert Prediction.objects.count() == 1
        assert LedgerEntry.objects.count() == 1
        connection.close()
