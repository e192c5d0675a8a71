"""What holds for every request and answer: it has a name, no NUL comes in, pages are compressed and in no cache."""

import re
import uuid
from collections.abc import Callable
from typing import Any, Final

from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.deprecation import MiddlewareMixin

from accounts.log_context import PREDICTION, REQUEST
from palette.problems import bad_request

# What a trusted proxy may call a request; `palette.proxies` removes what strangers call theirs.
NAME: Final = re.compile(r"[\w.-]{8,64}")


class Named(MiddlewareMixin):
    """Each request has a name, in `X-Request-ID` and in every log line that is written meanwhile.

    Lines also tell which prediction the address is about.
    """

    def process_request(self, request: HttpRequest) -> None:
        """The proxy's name for it, or one of ours."""
        given = request.headers.get("X-Request-ID", "")
        REQUEST.set(given if NAME.fullmatch(given) else uuid.uuid4().hex)
        PREDICTION.set("")

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """Addresses below `predictions/` carry the id."""
        if "/predictions/" in request.path_info:
            PREDICTION.set(str(kwargs.get("id", "")))

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """So that a visitor can tell an operator which lines to look for."""
        response["X-Request-ID"] = REQUEST.get()
        return response


def forget(**kwargs: Any) -> None:
    """The thread goes on to other work. Not sooner: Django writes its line when the middleware is through."""
    REQUEST.set("")
    PREDICTION.set("")


request_finished.connect(forget)


class NoNul(MiddlewareMixin):
    """400 for a page's address with a NUL, which PostgreSQL cannot even look for.

    Forms refuse it beside the field, and so does the API for bodies and queries.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse before any view asks the database."""
        if request.path_info.startswith("/api/"):
            return None
        nul = "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")
        return bad_request(request) if nul else None


class Compressed(GZipMiddleware):
    """Pages travel compressed, also where no proxy does it.

    Nothing else is touched: files have ranges, and what is streamed is to come as it is made.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Django adds a name of random length, so that the size tells nothing of what the page holds."""
        is_page = response.headers.get("Content-Type", "").startswith("text/html") and not response.streaming
        return super().process_response(request, response) if is_page else response


class Unkept(MiddlewareMixin):
    """Cache-Control for answers that have none of their own.

    Pages are asked for again rather than forgotten, so that a browser's way back stays instant.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Leave what a view has decided."""
        if request.path_info.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
        elif response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Cache-Control", "private, no-cache")
        return response
