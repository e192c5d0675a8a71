"""Faults on request: each does what its name says, to the calls it is meant for, as often as it is meant."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from generation.sandbox import calls
from generation.sandbox.faults import BadRule
from generation.sandbox.running import RunningSandbox
from generation.sandbox.tests.conftest import IMAGE, create, ended

BODY = {"input": {"prompt": "a red fox"}}


class TestAnswer:
    @pytest.mark.parametrize(
        ("fault", "made"),
        [
            ({"kind": "lost"}, 1),
            ({"kind": "lost", "reset": True}, 1),
            ({"kind": "silent", "seconds": 0.3}, 1),
            ({"kind": "lost_before"}, 0),
        ],
    )
    def test_is_lost_after_or_before_the_create(
        self, running: RunningSandbox, http: httpx.Client, fault: dict[str, Any], made: int
    ) -> None:
        running.add_fault({"answer": fault})

        with pytest.raises(httpx.TransportError):
            http.post(IMAGE, json=BODY)

        assert len(running.predictions()) == made
        assert running.log("create")[0]["answered"] is False
        assert ("prediction" in running.log("create")[0]) is bool(made)

    def test_comes_late(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"answer": {"kind": "late", "seconds": 0.3}})

        begun = time.monotonic()
        create(http)

        assert time.monotonic() - begun >= 0.3

    def test_comes_when_a_fast_model_has_ended(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"answer": {"kind": "ended"}, "seconds": {"queue": 0, "run": 0.3}})

        answer = http.post(IMAGE, json=BODY)

        assert (answer.status_code, answer.json()["status"]) == (201, "succeeded")
        assert httpx.get(answer.json()["output"]).status_code == 200

    def test_waits_for_an_end_that_does_not_come_so_long_and_no_longer(
        self, running: RunningSandbox, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(calls, "LONGEST_WAIT_SECONDS", 0.2)
        running.add_fault({"answer": {"kind": "ended"}, "outcome": {"hang": "processing"}})

        assert http.post(IMAGE, json=BODY).json()["status"] in {"starting", "processing"}

    @pytest.mark.parametrize("status", [401, 402, 403, 404, 422, 500, 502, 503])
    def test_refuses_in_the_providers_words(self, running: RunningSandbox, http: httpx.Client, status: int) -> None:
        running.add_fault({"answer": {"kind": "refuse", "status": status}})

        answer = http.post(IMAGE, json=BODY)

        assert answer.status_code == answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert running.predictions() == []

    def test_names_the_wait_of_a_429(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"answer": {"kind": "refuse", "status": 429, "seconds": 9, "headers": {"Retry-After": 9}}})

        answer = http.post(IMAGE, json=BODY)

        assert answer.json()["retry_after"] == 9
        assert "resets in ~9s" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "9"

    def test_may_be_bare(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"answer": {"kind": "refuse", "status": 502, "body": "<html>Bad Gateway</html>"}})

        answer = http.post(IMAGE, json=BODY)

        assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")

    def test_may_be_garbage_although_it_was_created(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"answer": {"kind": "replace", "status": 201, "body": {"no": "id"}}})

        assert http.post(IMAGE, json=BODY).json() == {"no": "id"}
        assert len(running.predictions()) == 1

    @pytest.mark.parametrize("call", ["list", "account", "secret", "upload"])
    def test_of_other_calls_fails_too(self, running: RunningSandbox, http: httpx.Client, call: str) -> None:
        running.add_fault({"answer": {"kind": "refuse", "status": 503}}, call=call)
        ask: Callable[[], httpx.Response] = {
            "list": lambda: http.get("/v1/predictions"),
            "account": lambda: http.get("/v1/account"),
            "secret": lambda: http.get("/v1/webhooks/default/secret"),
            "upload": lambda: http.post("/v1/files", files={"content": b"x"}),
        }[call]

        assert [ask().status_code < 300, ask().status_code < 300] == [False, True]


class TestThrottle:
    def test_lets_so_many_through_in_so_many_seconds(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"throttle": {"calls": 2, "seconds": 60}}, times=None)

        answers = [http.post(IMAGE, json=BODY) for _ in range(4)]

        assert [answer.status_code for answer in answers] == [201, 201, 429, 429]
        assert 55 <= answers[2].json()["retry_after"] <= 60


class TestRule:
    def test_hits_only_what_it_names_and_only_so_often(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"outcome": {"status": "failed", "error": "E005"}}, prompt_contains="FOX", times=1, skip=1)

        states = [ended(http, prompt)["status"] for prompt in ("a fox", "a bear", "a fox", "a fox")]

        assert states == ["succeeded", "succeeded", "failed", "succeeded"]

    def test_can_be_set_and_cleared_over_http(self, running: RunningSandbox, http: httpx.Client) -> None:
        rule = {"match": {"model": "google/nano-banana"}, "times": None, "fault": {"outcome": {"status": "failed"}}}

        set_ = http.post("/sandbox/faults", json=[rule])
        first = ended(http)
        shown = http.get("/sandbox/faults").json()
        http.delete("/sandbox/faults")
        second = ended(http)

        assert set_.status_code == 201
        assert [item["fault"] for item in shown] == [rule["fault"]]
        assert [first["status"], second["status"]] == ["failed", "succeeded"]

    def test_survives_a_restart(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"outcome": {"status": "failed"}})

        running.restart()

        assert ended(http)["status"] == "failed"

    @pytest.mark.parametrize(
        "fault",
        [
            {},
            {"nonsense": {}},
            {"answer": {"kind": "odd"}},
            {"output": {"shape": "odd"}},
            {"webhooks": {"odd": 1}},
            {"files": {"kind": "content"}},
            {"files": {"kind": "content", "content": "no base64!"}},
        ],
    )
    def test_that_makes_no_sense_is_refused(self, running: RunningSandbox, fault: dict[str, Any]) -> None:
        with pytest.raises(BadRule):
            running.add_fault(fault)

    def test_is_not_taken_from_a_form_of_a_foreign_page(self, http: httpx.Client) -> None:
        answer = http.post("/sandbox/faults", content=b"{}", headers={"content-type": "text/plain"})

        assert answer.status_code == 415


class TestOutcome:
    def test_fails_with_the_given_words(self, running: RunningSandbox, http: httpx.Client) -> None:
        words = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
        running.add_fault({"outcome": {"status": "failed", "error": words}})

        done = ended(http)

        assert (done["status"], done["error"], done["output"]) == ("failed", words, None)

    def test_may_never_come(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"outcome": {"hang": "processing", "ignores_cancel": True}})

        made = create(http, headers={"prefer": "wait=1"})

        assert made["status"] == "processing"
        assert http.post(f"/v1/predictions/{made['id']}/cancel").json()["status"] == "processing"

    def test_may_be_a_word_nobody_knows(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"outcome": {"status": "zzz_new"}})
        made = create(http)

        running.wait_until(lambda: running.prediction(made["id"]).status == "zzz_new")

        assert http.get(f"/v1/predictions/{made['id']}").json()["status"] == "zzz_new"

    def test_hides_its_deadline(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"deadline": {"hidden": True}})

        assert "deadline" not in create(http, headers={"cancel-after": "60"})

    def test_may_lack_metrics(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"metrics": {"replace": {}, "add": {"image_output_count": 7}}})

        assert ended(http)["metrics"] == {"image_output_count": 7}


class TestOutput:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [("empty_list", []), ("empty_string", ""), ("null", None)],
    )
    def test_may_be_empty(self, running: RunningSandbox, http: httpx.Client, shape: str, expected: object) -> None:
        running.add_fault({"output": {"shape": shape}})

        assert ended(http)["output"] == expected

    def test_takes_any_shape(self, running: RunningSandbox, http: httpx.Client) -> None:
        for shape in ("list", "dict", "string", "nested"):
            running.add_fault({"output": {"shape": shape}})
        made = [ended(http)["output"] for _ in range(4)]

        assert isinstance(made[0], list)
        assert list(made[1]) == ["output_0"]
        assert isinstance(made[2], str)
        assert "file" in made[3]["media"][0]

    def test_may_be_any_value_that_names_the_file(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"output": {"value": {"url": "{url}", "other": ["file:///etc/passwd", 5]}}})

        done = ended(http)

        assert http.get(done["output"]["url"]).status_code == 200
        assert done["output"]["other"] == ["file:///etc/passwd", 5]
