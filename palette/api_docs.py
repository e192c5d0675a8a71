"""GET /api/schema and GET /api/docs: the OpenAPI document, and a page to read and to try it. Both are for everybody."""

import hashlib
import json
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import condition

from accounts.api.problems import Problem, problem_response
from palette.openapi import document

SAFE = ("GET", "HEAD")
NOT_ALLOWED = Problem(status=405, detail="This is here to be read.", headers={"Allow": ", ".join(SAFE)})


@cache
def written() -> bytes:
    """The document as JSON."""
    return json.dumps(document(), ensure_ascii=False, separators=(",", ":")).encode()


def etag(request: HttpRequest) -> str:
    """Another for another document."""
    return f'"{hashlib.sha256(written()).hexdigest()[:32]}"'


@condition(etag_func=etag)
def schema(request: HttpRequest) -> HttpResponse:
    """The document; whoever has it already is told so."""
    if request.method not in SAFE:
        return problem_response(NOT_ALLOWED)
    return HttpResponse(written(), content_type="application/json", headers={"Cache-Control": "no-cache"})


def docs(request: HttpRequest) -> HttpResponse:
    """The page. Without scripts it leads to the document."""
    if request.method not in SAFE:
        return problem_response(NOT_ALLOWED)
    return render(request, "palette/api_docs.html", {})
