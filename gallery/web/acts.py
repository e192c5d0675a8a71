"""What is done with assets from the sheet and from a card: star, tag, categorise, collect, trash, restore."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gallery import trash as trashing
from gallery.descriptions import InvalidDetails, add_category, update_asset
from gallery.models import Asset
from gallery.organising import MOST_AT_ONCE, organise_assets
from gallery.shelves import lies_on, shelves_of, tags_beginning
from gallery.undoing import WayBack
from gallery.web import browsing
from gallery.web.forms import OrganiseForm
from gallery.web.requests import Request, as_uuid, back, next_page, own
from gallery.web.undoing import go_back, keep_way, say_undoable

DONE = {
    "tag": gettext_lazy("Tagged %(frames)s."),
    "untag": gettext_lazy("Tag taken off %(frames)s."),
    "categorise": gettext_lazy("Category set for %(frames)s."),
    "collect": gettext_lazy("Collected %(frames)s."),
    "uncollect": gettext_lazy("Taken out of the collection: %(frames)s."),
    "favourite": gettext_lazy("Starred %(frames)s."),
    "unfavourite": gettext_lazy("Star taken off %(frames)s."),
}


@login_required
@require_POST
def favourite(request: Request, id: UUID) -> HttpResponse:
    """Star or unstar; htmx gets the star."""
    asset = own(request, id)
    changes = {"favourite": request.POST.get("favourite") == "true"}
    update_asset(asset=asset, changes=changes, now=timezone.now())
    if request.htmx:
        return render(request, "gallery/_star.html", {"asset": asset})
    return back(request, asset)


@login_required
@require_POST
def trash(request: Request, id: UUID) -> HttpResponse:
    """Put aside, and offer to undo it."""
    trashing.trash_asset(asset=own(request, id), now=timezone.now())
    return redirect(_with(next_page(request) or reverse("gallery"), trashed=str(id)))


@login_required
@require_POST
def restore(request: Request, id: UUID) -> HttpResponse:
    """Take out of the trash."""
    asset = own(request, id)
    trashing.restore_asset(asset=asset)
    messages.success(request, gettext("Restored."))
    return back(request, asset)


@login_required
@require_POST
def restore_together(request: Request) -> HttpResponse:
    """Take out of the trash what is selected there, or what was put aside at one moment."""
    moment = _moment(request.POST.get("trashed_at", ""))
    count = trashing.restore_assets(owner=request.user, ids=selected(request), trashed_at=moment)
    messages.success(request, gettext("%(count)s restored.") % {"count": frames_said(count)})
    return redirect(next_page(request) or "gallery")


@login_required
@require_POST
def organise(request: Request) -> HttpResponse:
    """Do one thing with all that are selected. htmx gets the bar back; an error comes with the selection kept."""
    ids, now = selected(request), timezone.now()
    before = next_page(request) or reverse("gallery")
    form = OrganiseForm(request.POST)
    if not ids:
        form.add_error(None, gettext("Select some frames first."))
    elif request.POST.get("act") == "trash":
        trashing.trash_assets(owner=request.user, ids=ids, now=now)
        return redirect(_with(before, trashed_at=now.isoformat(), select=""))
    elif form.is_valid():
        try:
            done, way = _organise(request, form, ids, now=now)
        except InvalidDetails as error:
            form.add_error(None, str(error))
        else:
            undo = keep_way(request, way, to=before, now=now)
            if not request.htmx:
                say_undoable(request, done, undo)
                return redirect(before)
            starred = ids if form.cleaned_data["act"] in ("favourite", "unfavourite") else []
            return _bar(request, before, done=done, undo=undo, starred=starred)
    return refused(request, form, ids, before)


@login_required
@require_POST
def undo(request: Request) -> HttpResponse:
    """Go back to how it was: from a message, and the page comes anew; or from the bar, which comes back."""
    sentence, to = go_back(request, now=timezone.now())
    before = next_page(request) or to or reverse("gallery")
    if request.htmx and request.htmx.target == "bulk":
        return _bar(request, before, done=sentence, starred=selected(request))
    messages.success(request, sentence)
    return HttpResponse(headers={"HX-Refresh": "true"}) if request.htmx else redirect(before)


def _organise(request: Request, form: OrganiseForm, ids: list[UUID], *, now: datetime) -> tuple[str, WayBack]:
    if form.cleaned_data["act"] == "categorise" and form.cleaned_data["new_category"]:
        form.cleaned_data["new_category"] = add_category(
            owner_id=request.user.pk, name=form.cleaned_data["new_category"]
        )
    done = organise_assets(owner=request.user, ids=ids, change=form.change(), now=now)
    steps = [step for step in done.back if step.ids or step.made]
    sentence = str(DONE[form.cleaned_data["act"]]) % {"frames": frames_said(len(done.ids))}
    return sentence, WayBack(steps)


def refused(request: Request, form: OrganiseForm, ids: list[UUID], before: str) -> HttpResponse:
    """The sheet again, or its bar, with what hinders it and with the same frames selected."""
    sentences = [str(sentence) for errors in form.errors.values() for sentence in errors]
    if request.htmx:
        return _bar(request, before, errors=sentences, status=422)
    query = QueryDict(urlsplit(before).query, mutable=True)
    query["select"] = "1"
    shown = browsing.context(request.user, query, picked=ids) | {"errors": sentences, "here": before}
    return render(request, "gallery/asset_list.html", shown, status=422)


def _bar(
    request: Request,
    before: str,
    *,
    done: str = "",
    undo: str = "",
    starred: Sequence[UUID] = (),
    errors: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    query = QueryDict(urlsplit(before).query)
    shelves = shelves_of(request.user)
    context = {
        "done_sentence": done,
        "undo": undo,
        "errors": errors,
        "starred": Asset.objects.for_owner(request.user).filter(pk__in=starred),
        "here": before,
        "categories": browsing.category_choices(shelves),
        "in_trash": bool(query.get("trash")),
        "done": browsing.with_changes(query, select=""),
        "select_all": browsing.with_changes(query, select="all"),
    }
    return render(request, "gallery/_bulk_bar.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def shelve(request: Request, id: UUID) -> HttpResponse:
    """One asset's tags, category and collections, to be changed where it is seen; the fragment of any card."""
    asset, now = own(request, id), timezone.now()
    sentences: list[str] = []
    if request.method == "POST":
        form = OrganiseForm(request.POST)
        if form.is_valid():
            try:
                done, way = _organise(request, form, [asset.pk], now=now)
                undo = keep_way(request, way, to=reverse("asset_detail", args=[asset.pk]), now=now)
            except InvalidDetails as error:
                form.add_error(None, str(error))
            else:
                if not request.htmx:
                    say_undoable(request, done, undo)
        sentences = [str(sentence) for errors in form.errors.values() for sentence in errors]
        if not request.htmx:
            for sentence in sentences:
                messages.error(request, sentence)
            return back(request, asset)
    if not request.htmx and request.method != "POST":
        return redirect(f"{reverse('asset_detail', args=[asset.pk])}#details")
    asset.refresh_from_db()
    return render(
        request, "gallery/_shelve.html", shelving(request, asset, sentences), status=422 if sentences else 200
    )


def shelving(request: Request, asset: Asset, errors: list[str]) -> dict[str, object]:
    """What the fragment shows."""
    shelves = shelves_of(request.user)
    tags, collections = lies_on(asset)
    return {
        "asset": asset,
        "tags": tags,
        "collections": collections,
        "shelves": shelves,
        "categories": browsing.category_choices(shelves),
        "shelve_errors": errors,
    }


@login_required
@require_safe
def tag_names(request: Request) -> HttpResponse:
    """Options for a field of tags: what stands before the last comma, and each tag that goes on like what follows."""
    text = str(request.GET.get("tags", ""))[:2000]
    head, comma, last = text.rpartition(",")
    names = tags_beginning(owner=request.user, text=last.strip()[:60])
    return render(request, "gallery/_tag_names.html", {"before": f"{head}{comma} " if comma else "", "names": names})


def frames_said(count: int) -> str:
    """A number of frames in words."""
    return ngettext("%(count)s frame", "%(count)s frames", count) % {"count": count}


def selected(request: Request) -> list[UUID]:
    """The frames whose boxes are ticked."""
    given = request.POST.getlist("asset")[: MOST_AT_ONCE + 1]
    return [found for found in map(as_uuid, given) if found is not None]


def _with(address: str, **changes: str) -> str:
    """The address with these parameters, without those that are empty."""
    parts = urlsplit(address)
    query = {name: value for name, value in QueryDict(parts.query).items() if name not in changes}
    found = urlencode({name: value for name, value in (query | changes).items() if value})
    return f"{parts.path}?{found}" if found else parts.path


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and timezone.is_aware(moment) else None
