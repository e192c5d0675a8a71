"""Sizes, depths, numbers and letters that nobody means well by: each list and each body refuses them in words."""

import json
from typing import Any

import pytest

from generation.tests.calling import Caller
from generation.tests.making import make_user
from palette.openapi import document

pytestmark = pytest.mark.django_db
QUERIES = [
    *(f"page_size={size}" for size in ("0", "-1", "101", "1000000000", "9" * 5000, "1e3", "x", "%00", "NaN")),
    *(f"cursor={cursor}" for cursor in ("x", "%00", "%F0%9F%8E%9E", "A" * 500, "%FF")),
]
BODIES = {
    "deep": b'{"a":' * 100_000,
    "deep within what is taken": b'{"prompt": ' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    "a long number": b'{"name": ' + b"9" * 100_000 + b"}",
    "no number": b'{"name": NaN}',
    "half a pair": b'{"name": "\\ud800"}',
    "a NUL": b'{"name": "a\\u0000b"}',
    "twice": b'{"name": "a", "name": "b"}',
    "no UTF-8": b'{"name": "\xff"}',
    "a list": b"[]",
    "many": b'{"name": [' + b"1," * 100_000 + b"1]}",
}


def found(method: str, kind: str) -> list[str]:
    """The paths that take a query of pages, or a JSON body, by this method; ids are nobody's."""
    paths = []
    for path, methods in document()["paths"].items():
        described = methods.get(method, {})
        pages = any(parameter["name"] == "page_size" for parameter in described.get("parameters", []))
        reads = "application/json" in described.get("requestBody", {}).get("content", {})
        if (pages if kind == "page" else reads) and "{" not in path:
            paths.append(path)
    return paths


@pytest.fixture
def ada() -> Caller:
    return Caller(make_user())


class TestLists:
    def test_are_found(self) -> None:
        assert len(found("get", "page")) >= 7

    @pytest.mark.parametrize("path", found("get", "page"))
    def test_refuse_what_is_no_page(self, ada: Caller, path: str) -> None:
        told = {query[:40]: ada.get(f"{path}?{query}").status_code for query in QUERIES}

        assert {query: status for query, status in told.items() if status != 422} == {}

    @pytest.mark.parametrize("path", found("get", "page"))
    def test_take_no_order_and_no_lookups_from_outside(self, ada: Caller, path: str) -> None:
        plain = ada.get(path).json()

        assert ada.get(f"{path}?ordering=user__password&user__password__startswith=a&id__gt=0").json() == plain


class TestBodies:
    def test_are_found(self) -> None:
        assert len(found("post", "body")) >= 10

    @pytest.mark.parametrize("path", found("post", "body"))
    def test_are_refused_where_they_are_none(self, ada: Caller, path: str) -> None:
        def send(body: bytes) -> Any:
            return ada.client.generic("POST", path, body, content_type="application/json", headers=ada.headers({}))

        told = {name: send(body) for name, body in BODIES.items()}

        assert {name: answer.status_code for name, answer in told.items() if answer.status_code != 400} == {}
        assert all(json.loads(answer.content)["code"] == "malformed" for answer in told.values())
