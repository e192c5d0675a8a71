"""Words in the corner of the page."""

from django.contrib import messages
from django.http import HttpRequest
from django.template.loader import render_to_string


def toasts(request: HttpRequest) -> str:
    """Messages that are waiting, for the corner of the page they are shown in."""
    waiting = messages.get_messages(request)
    return render_to_string("_toasts.html", {"messages": waiting, "oob": True}) if len(waiting) else ""
