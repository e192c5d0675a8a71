"""Errors of the API as application/problem+json."""

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_handler


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Translate what a view raised."""
    return drf_handler(error, context)
