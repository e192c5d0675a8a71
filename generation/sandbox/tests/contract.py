"""The published API description, read the way it is meant."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator, FormatChecker


@cache
def document() -> dict[str, Any]:
    """The trimmed document with its two slips mended.

    It says OpenAPI 3.1 but writes `nullable: true` as 3.0 did; and `version` is `oneOf` a string and the word
    `hidden`, which is a string too.
    """
    raw = json.loads(Path(__file__).with_name("replicate_openapi.json").read_text())
    mended: dict[str, Any] = mend(raw)
    return mended


def mend(node: Any) -> Any:
    """The same with `null` allowed where `nullable` is said, and `anyOf` for `oneOf`."""
    if isinstance(node, list):
        return [mend(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {("anyOf" if name == "oneOf" else name): mend(value) for name, value in node.items()}
    if found.pop("nullable", False) is True:
        found["type"] = [found["type"], "null"]
    return found


def check(answer: httpx.Response) -> None:
    """Raises when an answer is not what the document says for its call and status."""
    method, path = answer.request.method.lower(), answer.request.url.path.removeprefix("/v1")
    described = described_call(method, path)["responses"]
    assert str(answer.status_code) in described, f"{answer.status_code} is not described for {method} {path}"
    content = described[str(answer.status_code)].get("content")
    if content is None:
        assert not answer.content
        return
    assert answer.headers["content-type"] in content
    schema = content[answer.headers["content-type"]]["schema"]
    Draft202012Validator({**schema, "components": document()["components"]}, format_checker=FormatChecker()).validate(
        with_output(answer.json())
    )


def described_call(method: str, path: str) -> dict[str, Any]:
    """The operation of a method and a path."""
    for template, operations in document()["paths"].items():
        if method in operations and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            found: dict[str, Any] = operations[method]
            return found
    raise AssertionError(f"{method} {path} is not described")


def with_output(body: Any) -> Any:
    """Required by the document, yet left out by Replicate until there is something to show: None then."""
    if not isinstance(body, dict):
        return body
    if "results" in body:
        return {**body, "results": [with_output(item) for item in body["results"]]}
    return {"output": None, **body} if body.get("completed_at") is None and "status" in body else body
