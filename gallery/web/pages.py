"""The gallery's pages: the sheet of frames, and one asset with all that is known of it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods, require_safe

from gallery import audit
from gallery.descriptions import InvalidDetails, ReferenceNameTaken, add_category, update_asset
from gallery.models import Asset
from gallery.references import references_used
from gallery.relatives import MOST_RELATIVES, relatives_of
from gallery.remains import PurgedSource
from gallery.shelves import Shelves, lies_on, shelves_of
from gallery.web import browsing
from gallery.web.forms import DetailsForm
from gallery.web.requests import Request, as_uuid

# Names and values of settings that a provider spells for programs.
NAMES: dict[str, str] = {"fps": gettext_noop("Frames a second")}
SAID: dict[str, str] = {
    "True": gettext_noop("yes"),
    "False": gettext_noop("no"),
    "match_input_image": gettext_noop("auto"),
}


@login_required
@require_safe
def gallery(request: Request) -> HttpResponse:
    """The sheet; a further page of it comes as a fragment that is appended."""
    if request.htmx and request.GET.get("cursor"):
        more = {
            "frames": browsing.frames(request.user, request.GET),
            "in_trash": bool(request.GET.get("trash")),
            "selecting": bool(request.GET.get("select")),
            "by_size": browsing.sort_of(request.GET) == browsing.LARGEST,
            "appended": True,
        }
        return render(request, "gallery/_frames.html", more)
    sheet = browsing.frames(request.user, request.GET)
    if further := browsing.retyped(request.user, request.GET, sheet):
        return redirect(f"{request.path}{further}")
    shown = browsing.context(request.user, request.GET, sheet=sheet) | _undo(request)
    return render(request, "gallery/asset_list.html", shown)


def _undo(request: Request) -> dict[str, Any]:
    """What was put aside just now, and can be taken back."""
    trashed = Asset.objects.for_owner(request.user).in_trash()
    if one := as_uuid(request.GET.get("trashed")):
        return {"trashed": trashed.filter(pk=one).first()}
    try:
        moment = parse_datetime(request.GET.get("trashed_at", ""))
    except ValueError:
        moment = None
    if moment and timezone.is_aware(moment):
        return {"trashed_at": moment, "trashed_count": trashed.filter(trashed_at=moment).count()}
    return {}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def asset_detail(request: Request, id: UUID) -> HttpResponse:
    """One asset, large; a POST keeps what its owner says of it."""
    bereft = Exists(PurgedSource.objects.filter(asset=OuterRef("pk")))
    asset = get_object_or_404(Asset.objects.for_owner(request.user).annotate(bereft=bereft), pk=id)
    shelves = shelves_of(request.user)
    if request.method != "POST":
        audit.look_at(asset, now=timezone.now())
        return _detail(request, asset, shelves)
    form = DetailsForm(request.POST, categories=browsing.category_choices(shelves))
    named = False
    if form.is_valid():
        try:
            _keep(request, asset, form)
        except InvalidDetails as error:
            named = isinstance(error, ReferenceNameTaken)
            for name, sentence in error.errors.items():
                form.add_error(name, sentence)
        else:
            messages.success(request, gettext("Saved."))
            return redirect("asset_detail", id=asset.pk)
    asset.refresh_from_db()
    return _detail(request, asset, shelves, form=form, name_taken=named, status=422)


def _keep(request: Request, asset: Asset, form: DetailsForm) -> None:
    changes = dict(form.cleaned_data)
    if new := changes.pop("new_category"):
        changes["category"] = add_category(owner_id=request.user.pk, name=new)
    moving = request.POST.get("move_name") == "1"
    update_asset(asset=asset, changes=changes, now=timezone.now(), moving=moving)


def _detail(
    request: Request,
    asset: Asset,
    shelves: Shelves,
    *,
    form: DetailsForm | None = None,
    name_taken: bool = False,
    status: int = 200,
) -> HttpResponse:
    relatives = relatives_of(asset)
    tags, collections = lies_on(asset)
    purged = list(asset.purged_sources.all()[:MOST_RELATIVES]) if getattr(asset, "bereft", True) else []
    context = vars(relatives) | {
        "asset": asset,
        "form": form or DetailsForm.of(asset, tags=tags, categories=browsing.category_choices(shelves)),
        "collections": collections,
        "name_taken": name_taken,
        "shelves": shelves,
        "purged_sources": purged,
        "references": references_used(asset=asset, sources=relatives.named),
        "facts": settings_said(asset, {source.pk for source in relatives.sources} | {row.source_id for row in purged}),
    }
    return render(request, "gallery/asset_detail.html", context, status=status)


def settings_said(asset: Asset, sources: set[UUID]) -> list[tuple[str, Any]]:
    """The settings that say something by themselves; references are shown as lineage."""
    plain = {name: value for name, value in asset.settings.items() if isinstance(value, str | int | float)}
    ids = {str(key) for key in sources}
    return [
        (
            gettext(NAMES.get(name, name.replace("_", " ").capitalize())),
            gettext(SAID[str(value)]) if str(value) in SAID else value,
        )
        for name, value in plain.items()
        if name != "seed" and value != "" and value not in ids
    ]
