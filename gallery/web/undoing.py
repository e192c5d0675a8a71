"""Undo: what was done is said with a button, and the way back is kept in the session of whoever did it."""

import secrets
from datetime import datetime

from django.contrib import messages
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.web.toasts import undoable
from gallery import undoing
from gallery.descriptions import InvalidDetails
from gallery.undoing import WayBack
from gallery.web.requests import Request

WAYS = "ways back"
MOST_KEPT = 5
LAST_SECONDS = 15 * 60


def keep_way(request: Request, way: WayBack, *, to: str, now: datetime) -> str:
    """Where a POST undoes it, and leads `to`; empty where nothing can be. For a while the newest few are kept."""
    if not way:
        return ""
    key = secrets.token_urlsafe(9)
    kept = list(request.session.get(WAYS, {}).items())[1 - MOST_KEPT :]
    request.session[WAYS] = dict(kept) | {key: {"at": now.timestamp(), "to": to, "way": way.written()}}
    return f"{reverse('undo')}?key={key}"


def say_undoable(request: Request, sentence: str, address: str) -> None:
    """As a message, with a button where there is a way back."""
    if address:
        undoable(request, sentence, address)
    else:
        messages.success(request, sentence)


def go_back(request: Request, *, now: datetime) -> tuple[str, str]:
    """Undo what the address names: once, and not for ever; says what came of it, and where it was done."""
    ways = request.session.get(WAYS, {})
    found = ways.pop(request.GET.get("key", ""), None)
    if found is None or now.timestamp() - found["at"] > LAST_SECONDS:
        return _("That can no longer be undone."), ""
    request.session[WAYS] = ways
    try:
        count = undoing.take_back(owner=request.user, way=WayBack.read(found["way"]), now=now)
    except InvalidDetails as error:
        return _("That cannot be undone: %(why)s") % {"why": error}, found["to"]
    said = ngettext("Undone: %(count)s frame is as it was.", "Undone: %(count)s frames are as they were.", count)
    return said % {"count": count}, found["to"]
