"""What holds for every request and answer: it has a name, no NUL comes in, pages are compressed and in no cache."""

import re
import uuid
from typing import Any, Final

from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from accounts.log_context import PREDICTION, REQUEST
from generation.webhooks.view import replicate
from palette.limits import is_too_large
from palette.middleware import Unthreaded
from palette.problems import bad_request, too_large

# What a trusted proxy may call a request; `palette.proxies` removes what strangers call theirs.
NAME: Final = re.compile(r"[\w.-]{8,64}")
# As in `generation.webhooks.urls`.
DOOR: Final = "/api/webhooks/replicate"
ABOUT: Final = re.compile(r"/predictions/([0-9a-f-]{36})(?:/|$)")


class Named(Unthreaded):
    """Each request has a name, in `X-Request-ID` and in every log line that is written meanwhile.

    Lines also tell which prediction the address is about.
    """

    def process_request(self, request: HttpRequest) -> None:
        """The proxy's name for it, or one of ours."""
        given = request.headers.get("X-Request-ID", "")
        REQUEST.set(given if NAME.fullmatch(given) else uuid.uuid4().hex)
        about = ABOUT.search(request.path_info)
        PREDICTION.set(about[1] if about else "")

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """So that a visitor can tell an operator which lines to look for."""
        response["X-Request-ID"] = REQUEST.get()
        return response


def forget(**kwargs: Any) -> None:
    """The thread goes on to other work. Not sooner: Django writes its line when the middleware is through."""
    REQUEST.set("")
    PREDICTION.set("")


request_finished.connect(forget)


class NoNul(Unthreaded):
    """400 for a page's address with a NUL, which PostgreSQL cannot even look for.

    Forms refuse it beside the field, and so does the API for bodies and queries.
    """

    def waits_before(self, request: HttpRequest) -> bool:
        """The page that refuses does."""
        nul = "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")
        return nul and not request.path_info.startswith("/api/")

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse before any view asks the database."""
        return bad_request(request) if self.waits_before(request) else None


class Compressed(Unthreaded, GZipMiddleware):
    """Pages travel compressed, also where no proxy does it.

    Nothing else is touched: files have ranges, and what is streamed is to come as it is made.
    """

    def waits_after(self, request: HttpRequest, response: HttpResponseBase) -> bool:
        """A page takes its time."""
        return response.headers.get("Content-Type", "").startswith("text/html") and not response.streaming

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Django adds a name of random length, so that the size tells nothing of what the page holds."""
        is_page = self.waits_after(request, response)
        return super().process_response(request, response) if is_page else response


class ProvidersDoor(Unthreaded):
    """The provider's deliveries, many and urgent, go in here: what comes after is for people and their programs."""

    def waits_before(self, request: HttpRequest) -> bool:
        """Keeping one does."""
        return request.path_info == DOOR

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        """204 and whatever else the door answers, of whatever length; 400 for a host that is not ours."""
        if request.path_info != DOOR:
            return None
        request.get_host()
        response = too_large(request) if is_too_large(request) else replicate(request)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        return response


class Unkept(Unthreaded):
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
