"""What every page needs to know."""

from typing import Any

from django.http import HttpRequest


def studio(request: HttpRequest) -> dict[str, Any]:
    """Context for the frame of the pages."""
    return {}
