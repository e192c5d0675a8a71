"""What is answered when no view does: problem+json under /api/, a page in the product's design elsewhere."""

import sys
from http import HTTPStatus

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist
from django.utils.translation import gettext

from accounts.api.problems import Problem, as_problem, problem_response, unavailable


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: a host, header or path that makes no sense."""
    return answer(request, Problem(status=400))


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403."""
    return answer(request, Problem(status=403))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token does not fit; the reason is for developers and stays here."""
    detail = gettext("This form was open for too long or came from elsewhere. Reload the page and send it again.")
    return answer(request, Problem(status=403, code="csrf_failed", detail=detail))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404, without the address table that Django's exception carries."""
    return answer(request, Problem(status=404))


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 when it is the database that does not answer. Says nothing of what went wrong."""
    fault = sys.exc_info()[1]
    down = isinstance(fault, (OperationalError, InterfaceError))
    return answer(request, unavailable() if down else Problem(status=500))


def too_large(request: HttpRequest) -> HttpResponse:
    """413."""
    return answer(request, Problem(status=413))


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """`problem` in the form that this address speaks."""
    if request.path_info.startswith("/api/"):
        return problem_response(problem)
    return page(request, problem)


def page(request: HttpRequest, problem: Problem) -> HttpResponse:
    """`<status>.html`, or plain text where even that cannot be rendered."""
    status = problem.status_code
    context = {"status": status, "title": HTTPStatus(status).phrase, "detail": str(problem.detail)}
    try:
        name = "403_csrf" if problem.code == "csrf_failed" else str(status)
        response = render(request, f"{name}.html", context, status=status)
    except TemplateDoesNotExist:
        response = plain(problem)
    except Exception as error:
        # A page that needs the database is no answer to the database being away.
        if as_problem(error) is None and status < 500:
            raise
        response = plain(problem)
    for name, value in problem.headers.items():
        response[name] = value
    return response


def plain(problem: Problem) -> HttpResponse:
    """One sentence."""
    return HttpResponse(f"{problem.detail}\n", status=problem.status_code, content_type="text/plain; charset=utf-8")
