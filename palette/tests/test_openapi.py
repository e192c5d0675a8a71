"""The OpenAPI document: complete, valid, the one that is kept, and shown on a page of our own."""

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.test import Client
from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.views import APIView

from generation.tests.browsing import Complaints, chromium
from palette.openapi import UNDESCRIBED, document

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
# Called by the provider, not by clients.
WEBHOOK = "/api/webhooks/replicate"


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each."""
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            yield path, method, described


def api_routes() -> Iterator[tuple[str, Any]]:
    """Every address under /api/ as the document would write it, and its view."""

    def walk(patterns: Any, before: str) -> Iterator[tuple[str, Any]]:
        for pattern in patterns:
            path = before + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern.url_patterns, path)
            else:
                yield path, pattern.callback

    for path, view in walk(get_resolver().url_patterns, "/"):
        plain = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", path)
        plain = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", plain)
        plain = plain.replace("^", "").removesuffix("$").removesuffix("/?")
        if plain.startswith("/api/"):
            yield plain, view


class TestDocument:
    def test_is_the_one_that_is_kept(self) -> None:
        now = json.dumps(document(), indent=4, ensure_ascii=False)
        kept = json.dumps(json.loads(KEPT.read_text()), indent=4, ensure_ascii=False)

        change = "\n".join(difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "now", lineterm="", n=2))

        assert not change, f"The API's description has changed. If that is meant: make openapi\n{change}"

    def test_is_valid_openapi_3_1(self) -> None:
        validate_schema(document())  # type: ignore[no-untyped-call]

        assert document()["openapi"].startswith("3.1")

    def test_leaves_nothing_to_be_guessed(self, capsys: pytest.CaptureFixture[str]) -> None:
        GENERATOR_STATS.reset()

        SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]

        assert not GENERATOR_STATS, capsys.readouterr().err

    def test_has_every_address_and_method_of_the_api(self) -> None:
        there = {
            (path, method)
            for path, view in api_routes()
            if issubclass(getattr(view, "cls", object), APIView)
            for method in ("get", "post", "put", "patch", "delete")
            if hasattr(view.cls, method)
        }

        assert there == {(path, method) for path, method, _ in operations() if path.startswith("/api/")}

    def test_describes_everything_but_itself_and_the_provider_s_webhook(self) -> None:
        plain = {path for path, view in api_routes() if not hasattr(view, "cls")}

        assert plain == {*UNDESCRIBED, WEBHOOK}

    def test_names_each_operation_once_and_says_what_it_does(self) -> None:
        names = [described["operationId"] for _, _, described in operations()]

        assert len(set(names)) == len(names)
        assert all(described["summary"] and described["tags"] for _, _, described in operations())

    def test_says_what_a_token_needs(self) -> None:
        for path, method, described in operations():
            assert described["security"][0].get("bearer") in (["read"], ["generate"], ["manage"]), (method, path)

    def test_has_examples_that_fit(self) -> None:
        checked = 0
        for _, _, described in operations():
            answers = [answer for answer in described["responses"].values() if "$ref" not in answer]
            refusals = document()["components"]["responses"].values()
            for told in [described.get("requestBody", {}), *answers, *refusals]:
                for content in told.get("content", {}).values():
                    examples = [example["value"] for example in content.get("examples", {}).values()]
                    for example in [*examples, *([content["example"]] if "example" in content else [])]:
                        schema = content["schema"] | {"components": document()["components"]}
                        jsonschema.Draft202012Validator(schema).validate(example)
                        checked += 1

        assert checked > 20


@pytest.mark.django_db
class TestAddresses:
    def test_show_the_document_to_everybody(self, client: Client) -> None:
        response = client.get("/api/schema")

        assert response.json() == document()
        assert response["Content-Type"] == "application/json"

    def test_send_it_once(self, client: Client) -> None:
        etag = client.get("/api/schema")["ETag"]

        assert client.get("/api/schema", headers={"If-None-Match": etag}).status_code == 304

    @pytest.mark.parametrize("address", ["/api/schema", "/api/docs"])
    def test_refuse_what_would_change_them(self, client: Client, address: str) -> None:
        response = client.post(address)

        assert response.status_code == 405
        assert response["Content-Type"] == "application/problem+json"
        assert response["Allow"] == "GET, HEAD"

    def test_name_files_of_our_own_alone(self, client: Client) -> None:
        page = client.get("/api/docs/").content.decode()

        assert not re.search(r"(?:src=|<link [^>]*href=)\"(?:https?:)?//", page)
        assert "'unsafe" not in client.get("/api/docs")["Content-Security-Policy"]


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
class TestPage:
    def test_shows_and_tries_an_operation(self, live_server: Any) -> None:
        with chromium() as browser:
            page, complaints = browser.new_page(), Complaints()
            complaints.listen_to(page)
            page.goto(f"{live_server.url}/api/docs")
            page.click("#operations-Models-listModels .opblock-summary-control")
            page.click("#operations-Models-listModels .try-out__btn")
            page.click("#operations-Models-listModels .execute")
            page.wait_for_selector("#operations-Models-listModels .live-responses-table")
            said = page.text_content("#operations-Models-listModels .live-responses-table") or ""

        assert "not_authenticated" in said
        assert [line for line in complaints.heard if "401" not in line] == []
