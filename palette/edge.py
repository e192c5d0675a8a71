"""What holds for every request and answer: no NUL comes in, and no cache keeps what is somebody's own."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from palette.problems import bad_request


class NoNul(MiddlewareMixin):
    """400 for an address with a NUL, which PostgreSQL cannot even look for.

    Bodies are read by forms and by `accounts.api.bodies`, which refuse it beside the field.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse before any view asks the database."""
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            return bad_request(request)
        return None


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
