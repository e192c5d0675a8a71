"""What holds for every request and answer: no NUL comes in, and no cache keeps what is somebody's own."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from palette.problems import bad_request


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
