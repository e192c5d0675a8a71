"""Errors as application/problem+json, whoever raised them."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions

from accounts.api.problems import Problem, exception_handler, invalid


def answer(error: Exception) -> tuple[dict[str, Any], Any]:
    response = exception_handler(error, {})
    assert response is not None
    assert response["Content-Type"] == "application/problem+json"
    return json.loads(response.content), response


class TestProblem:
    def test_says_everything_the_contract_names(self) -> None:
        body, response = answer(
            Problem(
                status=402,
                code="over_budget",
                detail="Your limit is reached.",
                errors=[("model", "Too dear.")],
                headers={"Retry-After": "60"},
                extra={"resetsAt": "2026-07-17T00:00:00Z"},
            )
        )

        assert body == {
            "type": "about:blank",
            "title": "Payment Required",
            "status": 402,
            "detail": "Your limit is reached.",
            "code": "over_budget",
            "charged": "none",
            "errors": [{"field": "model", "message": "Too dear."}],
            "resetsAt": "2026-07-17T00:00:00Z",
        }
        assert response["Retry-After"] == "60"

    def test_leaves_errors_out_where_no_field_is_to_blame(self) -> None:
        assert "errors" not in answer(Problem(status=409))[0]

    def test_names_every_sentence_of_a_field(self) -> None:
        body, _ = answer(invalid({"prompt": ["Too long.", "Too dull."], "model": "Unknown."}))

        assert body["status"] == 422
        assert [(error["field"], error["message"]) for error in body["errors"]] == [
            ("prompt", "Too long."),
            ("prompt", "Too dull."),
            ("model", "Unknown."),
        ]


class TestExceptionHandler:
    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (exceptions.ParseError("No JSON."), 400, "malformed"),
            (exceptions.NotAuthenticated(), 401, "not_authenticated"),
            (exceptions.PermissionDenied("CSRF"), 403, "permission_denied"),
            (PermissionDenied("secret reason"), 403, "permission_denied"),
            (Http404("secret row"), 404, "not_found"),
            (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
            (exceptions.NotAcceptable(), 406, "not_acceptable"),
            (exceptions.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type"),
            (exceptions.ValidationError({"title": ["Too long."]}), 422, "invalid"),
            (exceptions.Throttled(30), 429, "rate_limited"),
            (OperationalError("secret host"), 503, "unavailable"),
        ],
    )
    def test_translates(self, error: Exception, status: int, code: str) -> None:
        body, _ = answer(error)

        assert (body["status"], body["code"]) == (status, code)
        assert "secret" not in json.dumps(body)

    def test_leaves_the_unexpected_to_the_500_page(self) -> None:
        assert exception_handler(ZeroDivisionError(), {}) is None

    def test_flattens_nested_errors(self) -> None:
        error = exceptions.ValidationError({"tags": [{"name": ["Empty."]}], "non_field_errors": ["Nothing to do."]})

        assert answer(error)[0]["errors"] == [
            {"field": "tags.name", "message": "Empty."},
            {"field": "", "message": "Nothing to do."},
        ]

    def test_says_when_to_come_back(self) -> None:
        assert answer(exceptions.Throttled(30))[1]["Retry-After"] == "30"
        assert int(answer(OperationalError())[1]["Retry-After"]) > 0
