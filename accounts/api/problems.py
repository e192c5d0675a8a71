"""Errors of the API: one exception to raise, one shape to answer (RFC 9457, application/problem+json)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.views import set_rollback

from accounts.api.scopes import MissingScope

CONTENT_TYPE = "application/problem+json"
Charged = Literal["none", "held", "settled"]

# What DRF and Django raise by themselves, and the word a program reads for it.
CODES: Mapping[int, str] = {
    400: "malformed",
    401: "not_authenticated",
    402: "over_budget",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "rate_limited",
    500: "server_error",
    503: "unavailable",
}
SENTENCES: Mapping[int, str] = {
    400: "The request could not be understood.",
    403: "You may not do that.",
    404: "There is nothing at this address.",
    413: "The body is larger than this address accepts.",
    422: "Some of the input is not accepted; nothing was started.",
    500: "Something went wrong on our side. It has been noted, and nothing was charged.",
    503: "The service cannot answer at the moment. Please try again shortly.",
}
RETRY_AFTER_FAULT_SECONDS = 5


class Problem(exceptions.APIException):
    """An anticipated error, raised by an API view with everything that its answer says.

    `errors` are (field, sentence) pairs; `extra` holds further members such as `resetsAt`.
    """

    def __init__(
        self,
        *,
        status: int,
        code: str = "",
        detail: str = "",
        errors: Iterable[tuple[str, str]] = (),
        charged: Charged = "none",
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.status_code = status
        self.code = code or CODES.get(status, "error")
        super().__init__(detail or SENTENCES.get(status, HTTPStatus(status).phrase), self.code)
        self.errors = list(errors)
        self.charged = charged
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def invalid(errors: Mapping[str, str | Sequence[str]]) -> Problem:
    """422 that names each field and says what is wrong with it."""
    pairs = [
        (field, sentence)
        for field, sentences in errors.items()
        for sentence in ([sentences] if isinstance(sentences, str) else sentences)
    ]
    return Problem(status=422, errors=pairs)


def problem_response(problem: Problem) -> HttpResponse:
    """The answer to `problem`, for DRF and plain Django alike."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": str(problem.detail),
        "code": problem.code,
        "charged": problem.charged,
    }
    if problem.errors:
        body["errors"] = [{"field": field, "message": message} for field, message in problem.errors]
    response = JsonResponse(
        body | problem.extra, status=problem.status_code, content_type=CONTENT_TYPE, headers=problem.headers
    )
    response["Cache-Control"] = "no-store"
    return response


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """DRF's hook: translate what a view raised; None for a fault nobody anticipated (logged, answered 500)."""
    problem = as_problem(error)
    if problem is None:
        return None
    set_rollback()
    return problem_response(problem)


def as_problem(error: Exception) -> Problem | None:
    """`error` as a problem, or None when it is none of those that are expected at the edge."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Http404):
        return Problem(status=404)
    if isinstance(error, DjangoPermissionDenied):
        return Problem(status=403)
    if isinstance(error, (OperationalError, InterfaceError)):
        return unavailable()
    if isinstance(error, exceptions.ValidationError):
        return Problem(status=422, errors=flattened(error.detail))
    if isinstance(error, exceptions.APIException):
        headers = {"WWW-Authenticate": error.auth_header} if hasattr(error, "auth_header") else {}
        if getattr(error, "wait", None) is not None:
            headers["Retry-After"] = str(int(error.wait))  # type: ignore[attr-defined]
        code, extra = CODES.get(error.status_code, ""), {}
        if isinstance(error, MissingScope):
            code, extra = "insufficient_scope", {"requiredScope": error.scope}
        return Problem(status=error.status_code, code=code, detail=str(error.detail), headers=headers, extra=extra)
    return None


def unavailable(*, retry_after_seconds: int = RETRY_AFTER_FAULT_SECONDS) -> Problem:
    """503: something that we stand on does not answer."""
    return Problem(status=503, headers={"Retry-After": str(retry_after_seconds)})


def flattened(detail: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """DRF's nested error detail as (dotted field, sentence) pairs; what belongs to no field has the name ""."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from flattened(inner, f"{field}.{own}".strip("."))
    elif isinstance(detail, list):
        for inner in detail:
            yield from flattened(inner, field)
    else:
        yield field, str(detail)
