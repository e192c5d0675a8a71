"""Emptying the trash: here and not with the gallery, which does not know what unfinished work is made from."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from gallery.web.acts import frames_said
from gallery.web.requests import Request
from generation.work.purging import empty_trash as empty


@login_required
@require_POST
def empty_trash(request: Request) -> HttpResponse:
    """Delete for good what the owner has put aside. The form that leads here is the confirmation."""
    count, left = empty(owner=request.user, now=timezone.now())
    sentence = gettext("%(frames)s deleted for good.") % {"frames": frames_said(count)}
    if left:
        more = gettext("What work in progress is made from is still here, and what was too much for once.")
        sentence = f"{sentence} {more}"
    messages.success(request, sentence)
    return redirect(f"{reverse('gallery')}?trash=1")
