"""Every answer of the running sandbox is what Replicate's published description promises."""

import httpx
import pytest

from generation.sandbox.running import RunningSandbox
from generation.sandbox.tests.conftest import IMAGE, VIDEO, Start, client_of, create, ended
from generation.sandbox.tests.contract import check


class TestAnswer:
    def test_of_a_create_is_described_for_both_calls(self, http: httpx.Client) -> None:
        by_model = http.post(IMAGE, json={"input": {"prompt": "a lake"}})
        by_version = http.post("/v1/predictions", json={"version": "google/nano-banana", "input": {"prompt": "a lake"}})

        check(by_model)
        check(by_version)
        assert by_version.json()["model"] == "google/nano-banana"
        assert by_model.json()["version"] == by_version.json()["version"] == "hidden"

    def test_of_a_waited_create_is_201_and_final(self, http: httpx.Client) -> None:
        answer = http.post(IMAGE, json={"input": {"prompt": "a lake"}}, headers={"prefer": "wait=20"})

        check(answer)
        assert (answer.status_code, answer.json()["status"]) == (201, "succeeded")

    def test_of_a_create_waited_for_in_vain_is_202(self, start: Start) -> None:
        with client_of(start(speed="real")) as http:
            answer = http.post(IMAGE, json={"input": {"prompt": "a lake"}}, headers={"prefer": "wait=1"})

        check(answer)
        assert answer.status_code == 202
        assert "output" not in answer.json()

    def test_of_every_reading_call_is_described(self, http: httpx.Client) -> None:
        made = ended(http)
        uploaded = http.post("/v1/files", files={"content": ("a.txt", b"hello", "text/plain")})
        file = uploaded.json()["id"]

        check(uploaded)
        for path in (
            f"/v1/predictions/{made['id']}",
            "/v1/predictions",
            "/v1/files",
            f"/v1/files/{file}",
            "/v1/account",
            "/v1/webhooks/default/secret",
            "/v1/models/google/nano-banana",
            "/v1/models/somebody/unheard-of",
        ):
            check(http.get(path))
        check(http.post(f"/v1/predictions/{made['id']}/cancel"))
        check(http.delete(f"/v1/files/{file}"))
        check(http.get(f"/v1/files/{file}"))

    @pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
    def test_of_every_end_is_described(self, running: RunningSandbox, http: httpx.Client, status: str) -> None:
        running.add_fault({"outcome": {"status": status, "error": "it broke"}})
        made = create(http)
        running.wait_until(lambda: running.prediction(made["id"]).ended)

        answer = http.get(f"/v1/predictions/{made['id']}")

        check(answer)
        assert answer.json()["status"] == status
        assert answer.json()["error"] == ("it broke" if status == "failed" else None)

    def test_of_an_erased_prediction_is_described(self, running: RunningSandbox, http: httpx.Client) -> None:
        made = ended(http)

        running.erase(made["id"])

        check(http.get(f"/v1/predictions/{made['id']}"))


class TestRefusal:
    def test_without_a_token_is_401_as_problem_json(self, running: RunningSandbox) -> None:
        answer = httpx.get(f"{running.url}/v1/account")

        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Unauthenticated"

    def test_of_an_unknown_prediction_is_404(self, http: httpx.Client) -> None:
        answer = http.get("/v1/predictions/nothing")

        assert answer.status_code == 404
        assert answer.json() == {"detail": "The requested resource could not be found.", "status": 404}

    @pytest.mark.parametrize(
        ("path", "given", "field"),
        [
            (IMAGE, {}, "prompt"),
            (IMAGE, {"prompt": 5}, "prompt"),
            (IMAGE, {"prompt": "a", "aspect_ratio": "7:1"}, "aspect_ratio"),
            (VIDEO, {"prompt": "a", "duration": 13}, "duration"),
            (VIDEO, {"prompt": "a", "duration": True}, "duration"),
        ],
    )
    def test_of_bad_input_names_the_field(
        self, http: httpx.Client, path: str, given: dict[str, object], field: str
    ) -> None:
        answer = http.post(path, json={"input": given})

        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert [item["field"] for item in answer.json()["invalid_fields"]] == [field]

    @pytest.mark.parametrize(
        "body",
        [
            {"prompt": "no input"},
            {"input": {"prompt": "a"}, "surprise": 1},
            {"input": {"prompt": "a"}, "webhook": "http://example.com/hook"},
            {"input": {"prompt": "a"}, "webhook": "ftp://127.0.0.1/"},
            {"input": {"prompt": "a"}, "webhook": "https://x.test/", "webhook_events_filter": ["finished"]},
        ],
    )
    def test_of_a_bad_body_is_422(self, running: RunningSandbox, http: httpx.Client, body: object) -> None:
        assert http.post(IMAGE, json=body).status_code == 422
        assert running.predictions() == []

    def test_of_another_host_name_keeps_foreign_pages_out(self, http: httpx.Client) -> None:
        assert http.get("/v1/account", headers={"host": "evil.example"}).status_code == 403

    def test_of_an_unknown_version_is_422(self, http: httpx.Client) -> None:
        answer = http.post("/v1/predictions", json={"version": "nonsense", "input": {"prompt": "a"}})

        assert answer.status_code == 422


class TestModel:
    def test_shows_its_inputs_with_choices_as_components(self, http: httpx.Client) -> None:
        model = http.get("/v1/models/google/nano-banana").json()

        schemas = model["latest_version"]["openapi_schema"]["components"]["schemas"]
        assert model["is_official"] is True
        assert schemas["Input"]["properties"]["aspect_ratio"]["allOf"] == [
            {"$ref": "#/components/schemas/aspect_ratio"}
        ]
        assert "21:9" in schemas["aspect_ratio"]["enum"]
        assert schemas["Input"]["required"] == ["prompt"]

    def test_of_any_well_formed_name_exists_unless_a_fault_denies_it(
        self, running: RunningSandbox, http: httpx.Client
    ) -> None:
        running.add_fault(
            {"answer": {"kind": "refuse", "status": 404}}, model="some/gone", call=["model", "create"], times=None
        )

        assert http.get("/v1/models/some/other").status_code == 200
        assert http.get("/v1/models/some/gone").status_code == 404
        assert http.post("/v1/models/some/gone/predictions", json={"input": {}}).status_code == 404
