"""What holds for every request and answer."""

from django.http import HttpRequest, HttpResponse
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
