"""The life of a prediction: its times, deadline, cancel, erasure, and what survives a restart."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from generation.sandbox.running import RunningSandbox
from generation.sandbox.tests.conftest import VIDEO, Start, client_of, create, ended


def moment(word: str) -> datetime:
    """A shown time."""
    return datetime.fromisoformat(word)


class TestPrediction:
    def test_goes_from_starting_over_processing_to_succeeded(self, start: Start) -> None:
        running = start(speed="10")
        with client_of(running) as http:
            made = create(http)
            running.wait_until(lambda: running.prediction(made["id"]).status == "processing")
            time.sleep(0.2)
            under_way = http.get(f"/v1/predictions/{made['id']}").json()
            running.wait_until(lambda: running.prediction(made["id"]).ended)
            done = http.get(f"/v1/predictions/{made['id']}").json()

        assert made["status"] == "starting"
        assert "started_at" not in made
        assert under_way["status"] == "processing"
        assert "output" not in under_way
        assert "%|" in under_way["logs"]
        assert "28/28" not in under_way["logs"]
        assert done["status"] == "succeeded"
        assert "100%|" in done["logs"]
        assert done["metrics"]["image_output_count"] == 1
        assert 0.5 < done["metrics"]["predict_time"] < done["metrics"]["total_time"]
        assert moment(made["created_at"]) < moment(done["started_at"]) < moment(done["completed_at"])

    def test_shows_its_input_exactly_as_it_was_sent(self, http: httpx.Client) -> None:
        sent = {"prompt": "äöü 🎬", "output_format": "png", "unheard_of": {"a": [1, None]}}

        assert create(http, input=sent)["input"] == sent

    def test_of_a_film_is_billed_by_its_seconds(self, http: httpx.Client) -> None:
        done = ended(http, path=VIDEO, input={"duration": 2, "resolution": "480p"})

        assert done["metrics"]["video_output_duration_seconds"] == 2
        assert done["metrics"]["resolution_target"] == "480p"
        assert done["output"].endswith(".mp4")

    def test_never_shows_its_webhook(self, http: httpx.Client) -> None:
        assert "webhook" not in create(http, webhook="https://127.0.0.1:1/hook", webhook_events_filter=["start"])


class TestDeadline:
    @pytest.mark.parametrize(("word", "seconds"), [("90", 90), ("1700s", 1700), ("5m", 300), ("1h30m45s", 5445)])
    def test_is_that_many_seconds_after_the_create(self, http: httpx.Client, word: str, seconds: int) -> None:
        made = create(http, headers={"cancel-after": word})

        assert (moment(made["deadline"]) - moment(made["created_at"])).total_seconds() == seconds

    @pytest.mark.parametrize("word", ["4", "3s", "soon", "-9", "0h"])
    def test_below_five_seconds_or_unreadable_is_refused(self, http: httpx.Client, word: str) -> None:
        answer = http.post(VIDEO, json={"input": {"prompt": "a"}}, headers={"cancel-after": word})

        assert answer.status_code == 422

    @pytest.mark.parametrize(("hang", "status"), [("starting", "aborted"), ("processing", "canceled")])
    def test_before_the_start_aborts_and_after_it_cancels(
        self, running: RunningSandbox, http: httpx.Client, hang: str, status: str
    ) -> None:
        running.add_fault({"outcome": {"hang": hang}})
        made = create(http, headers={"cancel-after": "1700"})
        running.wait_until(lambda: running.prediction(made["id"]).status == hang)

        running.sandbox.engine.expire(made["id"])

        assert http.get(f"/v1/predictions/{made['id']}").json()["status"] == status


class TestCancel:
    def test_ends_a_running_one_and_leaves_an_ended_one_alone(self, start: Start) -> None:
        running = start(speed="real")
        with client_of(running) as http:
            made = create(http)
            canceled = http.post(f"/v1/predictions/{made['id']}/cancel").json()
            again = http.post(f"/v1/predictions/{made['id']}/cancel").json()

        assert (canceled["status"], canceled["output"]) == ("canceled", None)
        assert again == canceled
        assert len(running.log("cancel")) == 2


class TestErasure:
    def test_after_its_time_leaves_id_status_times_and_metrics(self, start: Start) -> None:
        running = start(retention_seconds=0.3)
        with client_of(running) as http:
            done = ended(http)
            running.wait_until(lambda: running.prediction(done["id"]).erased)
            left = http.get(f"/v1/predictions/{done['id']}").json()
            gone = http.get(done["output"])

        assert (left["data_removed"], left["input"], left["output"], left["logs"]) == (True, {}, None, "")
        assert (left["status"], left["metrics"]) == ("succeeded", done["metrics"])
        assert gone.status_code == 404
        assert "input" not in running.log("create")[0]


class TestRestart:
    def test_finishes_what_was_running_and_keeps_what_was_made(self, start: Start) -> None:
        running = start(speed="20")
        with client_of(running) as http:
            done = ended(http, "first")
            file = http.post("/v1/files", files={"content": b"kept"}).json()
            before = http.get(done["output"]).content
            open_one = create(http, "second", headers={"cancel-after": "900"})
            secret = running.secret

            running.restart()

            running.wait_until(lambda: running.prediction(open_one["id"]).ended)
            assert http.get(f"/v1/predictions/{open_one['id']}").json()["status"] == "succeeded"
            assert http.get(done["output"]).content == before
            assert http.get(file["urls"]["get"]).json()["checksums"] == file["checksums"]
            assert running.secret == secret

    @pytest.mark.slow
    def test_after_sigkill_goes_on_as_if_nothing_had_been(self, tmp_path: Path) -> None:
        folder = tmp_path / "killed"
        process = subprocess.Popen(
            [sys.executable, "manage.py", "sandbox", "--port", "0", "--speed", "4", "--data-dir", str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DATA_DIR": str(tmp_path)},
        )
        assert process.stdout is not None
        url = process.stdout.readline().split()[4]
        answer = httpx.post(
            f"{url}/v1/models/google/nano-banana/predictions",
            json={"input": {"prompt": "a lake"}},
            headers={"authorization": "Bearer x"},
        )
        process.send_signal(signal.SIGKILL)
        process.wait()

        with RunningSandbox(folder, speed="4") as running:
            running.wait_until(lambda: running.prediction(answer.json()["id"]).ended, seconds=20)
            assert running.prediction(answer.json()["id"]).status == "succeeded"
