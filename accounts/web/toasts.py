"""Words in the corner of the page, and the way back that some of them offer."""

from django.contrib import messages
from django.http import HttpRequest
from django.template.loader import render_to_string

UNDO = "undo:"


def toasts(request: HttpRequest) -> str:
    """Messages that are waiting, for the corner of the page they are shown in."""
    waiting = messages.get_messages(request)
    if not len(waiting):
        return ""
    return render_to_string("_toasts.html", {"messages": waiting, "oob": True}, request=request)


def undoable(request: HttpRequest, sentence: str, address: str) -> None:
    """Say what was done, with a button that posts to `address` to undo it."""
    messages.success(request, sentence, extra_tags=UNDO + address)
