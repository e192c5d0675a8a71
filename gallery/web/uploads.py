"""Pictures that a creator brings: one, or several at once, each kept or refused by itself.

A script sends them one by one and gets a frame or a sentence for each; a form without one sends them together.
"""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_safe

from gallery import library
from gallery.descriptions import InvalidDetails
from gallery.files import UnusableFile
from gallery.models import Asset
from gallery.storage import StorageError
from gallery.web import browsing
from gallery.web.requests import Request, own


@dataclass(frozen=True)
class Refused:
    """Which file was not kept, and why; the status is that of an answer about this file alone."""

    name: str
    sentence: str
    status: int = 422

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence}" if self.name else self.sentence


@login_required
def upload(request: Request) -> HttpResponse:
    """Keep pictures and show them; what cannot be kept is said beside the form."""
    if request.method != "POST":  # the address of a form that came back, typed or opened once more
        return redirect("gallery")
    done = [_keep(request, file) for file in request.FILES.getlist("file")] or [
        Refused("", gettext("Choose a picture first."))
    ]
    kept = [one for one in done if isinstance(one, Asset)]
    refused = [one for one in done if isinstance(one, Refused)]
    if request.htmx and len(done) == 1:
        return _answer(request, done[0])
    if not refused and len(kept) == 1:
        return redirect("asset_detail", id=kept[0].pk)
    if kept:
        messages.success(
            request,
            ngettext("%(count)s picture uploaded.", "%(count)s pictures uploaded.", len(kept)) % {"count": len(kept)},
        )
    if not refused:
        return redirect("gallery")
    errors = [refused[0].sentence] if len(done) == 1 else refused
    context = browsing.context(request.user, request.GET) | {"upload_errors": errors}
    return render(request, "gallery/asset_list.html", context, status=max(one.status for one in refused))


def _keep(request: Request, file: object) -> Asset | Refused:
    if not isinstance(file, UploadedFile) or file.file is None:
        return Refused("", gettext("Choose a picture first."))
    name = (file.name or "")[:80]
    try:
        return library.upload_asset(owner=request.user, file=file.file, name=file.name or "", now=timezone.now())
    except UnusableFile as error:
        return Refused(name, error.sentence)
    except InvalidDetails as error:
        return Refused(name, str(error))
    except StorageError:
        return Refused(name, gettext("The picture could not be saved just now. Try again in a minute."), 503)


def _answer(request: Request, done: Asset | Refused) -> HttpResponse:
    """To a script: the frame, or the sentence as it is."""
    if isinstance(done, Refused):
        return HttpResponse(done.sentence, content_type="text/plain; charset=utf-8", status=done.status)
    response = render(request, "gallery/_asset_frame.html", {"asset": done, "fresh": True}, status=201)
    response["Location"] = reverse("asset_detail", args=[done.pk])
    return response


@login_required
@require_safe
def asset_frame(request: Request, id: UUID) -> HttpResponse:
    """One frame of the sheet, asked for until there is something to be seen."""
    return render(request, "gallery/_asset_frame.html", {"asset": own(request, id), "fresh": True})
