"""The gallery's pages: the sheet of frames, and one asset with all that is known of it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from gallery import audit, library
from gallery.files import UnusableFile
from gallery.models import Asset
from gallery.storage import StorageError
from gallery.web import browsing
from gallery.web.forms import DetailsForm

MOST_RELATIVES = 12
# Values of settings that a provider spells for programs.
SAID: dict[str, str] = {"True": "yes", "False": "no", "match_input_image": "auto"}


class Request(HttpRequest):
    """Signed in, and passed by django-htmx."""

    user: User
    htmx: HtmxDetails


@login_required
@require_safe
def gallery(request: Request) -> HttpResponse:
    """The sheet; a further page of it comes as a fragment that is appended."""
    if request.htmx and request.GET.get("cursor"):
        frames = browsing.frames(request.user, request.GET)
        return render(
            request,
            "gallery/_frames.html",
            {"frames": frames, "in_trash": bool(request.GET.get("trash")), "appended": True},
        )
    context = browsing.context(request, request.user)
    if trashed := _uuid(request.GET.get("trashed")):
        context["trashed"] = Asset.objects.for_owner(request.user).exclude(trashed_at=None).filter(pk=trashed).first()
    return render(request, "gallery/asset_list.html", context)


@login_required
def upload(request: Request) -> HttpResponse:
    """Keep a picture and show it; what cannot be kept is said beside the form."""
    if request.method != "POST":  # the address of a form that came back, typed or opened once more
        return redirect("gallery")
    file = request.FILES.get("file")
    try:
        if not isinstance(file, UploadedFile) or file.file is None:
            raise UnusableFile("missing", "Choose a picture first.")
        asset = library.upload_asset(owner=request.user, file=file.file, name=file.name or "", now=timezone.now())
    except UnusableFile as error:
        return _not_uploaded(request, error.sentence, status=422)
    except library.InvalidDetails as error:
        return _not_uploaded(request, str(error), status=422)
    except StorageError:
        return _not_uploaded(request, "The picture could not be saved just now. Try again in a minute.", status=503)
    return redirect("asset_detail", id=asset.pk)


def _not_uploaded(request: Request, sentence: str, *, status: int) -> HttpResponse:
    context = browsing.context(request, request.user)
    return render(request, "gallery/asset_list.html", context | {"upload_errors": [sentence]}, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def asset_detail(request: Request, id: UUID) -> HttpResponse:
    """One asset, large; a POST keeps what its owner says of it."""
    asset = get_object_or_404(Asset.objects.for_owner(request.user).prefetch_related("tags"), pk=id)
    if request.method != "POST":
        audit.look_at(asset, now=timezone.now())
        return _detail(request, asset, DetailsForm.of(asset))
    form = DetailsForm(request.POST)
    if form.is_valid():
        try:
            library.update_asset(asset=asset, changes=form.cleaned_data)
        except library.InvalidDetails as error:
            for name, sentence in error.errors.items():
                form.add_error(name, sentence)
        else:
            messages.success(request, "Saved.")
            return redirect("asset_detail", id=asset.pk)
    asset.refresh_from_db()
    return _detail(request, asset, form, status=422)


def _detail(request: Request, asset: Asset, form: DetailsForm, *, status: int = 200) -> HttpResponse:
    older, newer = browsing.neighbours(asset)
    context = {
        "asset": asset,
        "form": form,
        "older": older,
        "newer": newer,
        "sources": list(asset.made_from.all()[:MOST_RELATIVES]),
        "results": list(asset.made_into.filter(trashed_at=None)[:MOST_RELATIVES]),
        "facts": _settings(asset),
    }
    return render(request, "gallery/asset_detail.html", context, status=status)


def _settings(asset: Asset) -> list[tuple[str, Any]]:
    """The settings that say something by themselves; references are shown as lineage."""
    plain = {name: value for name, value in asset.settings.items() if isinstance(value, str | int | float)}
    ids = {str(source.pk) for source in asset.made_from.all()[:MOST_RELATIVES]}
    return [
        (name.replace("_", " ").capitalize(), SAID.get(str(value), value))
        for name, value in plain.items()
        if name != "seed" and value != "" and value not in ids
    ]


@login_required
@require_POST
def favourite(request: Request, id: UUID) -> HttpResponse:
    """Star or unstar; htmx gets the star."""
    asset = _own(request, id)
    library.update_asset(asset=asset, changes={"favourite": request.POST.get("favourite") == "true"})
    if request.htmx:
        return render(request, "gallery/_star.html", {"asset": asset})
    return _back(request, asset)


@login_required
@require_POST
def trash(request: Request, id: UUID) -> HttpResponse:
    """Put aside, and offer to undo it."""
    library.trash_asset(asset=_own(request, id), now=timezone.now())
    before = _next(request) or reverse("gallery")
    return redirect(f"{before}{'&' if '?' in before else '?'}trashed={id}")


@login_required
@require_POST
def restore(request: Request, id: UUID) -> HttpResponse:
    """Take out of the trash."""
    asset = _own(request, id)
    library.restore_asset(asset=asset)
    messages.success(request, "Restored.")
    return _back(request, asset)


def _own(request: Request, id: UUID) -> Asset:
    return get_object_or_404(Asset.objects.for_owner(request.user), pk=id)


def _back(request: Request, asset: Asset) -> HttpResponse:
    """To the page that the form names, if it is one of ours."""
    return redirect(_next(request) or reverse("asset_detail", args=[asset.pk]))


def _next(request: Request) -> str:
    given = request.POST.get("next", "")
    return given if given.startswith("/") and url_has_allowed_host_and_scheme(given, allowed_hosts=None) else ""


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None
