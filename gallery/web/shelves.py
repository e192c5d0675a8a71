"""Where an owner looks over tags, collections and categories, renames them, merges two, or removes one."""

from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Model, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gallery import renaming
from gallery.descriptions import InvalidDetails
from gallery.models import Collection
from gallery.renaming import MOST_AT_ONCE, Moved, Named
from gallery.shelves import names_with_counts
from gallery.undoing import KINDS, MOST_REMEMBERED, WayBack, from_removal
from gallery.web.acts import frames_said
from gallery.web.browsing import said_count
from gallery.web.requests import Request
from gallery.web.undoing import keep_way, say_undoable

NAMES = 100
PLURALS = {
    "tag": gettext_noop("Tags"),
    "collection": gettext_noop("Collections"),
    "category": gettext_noop("Categories"),
}


class NameForm(forms.Form):
    """The new name; the library has the rules."""

    name = forms.CharField(max_length=60, error_messages={"required": gettext_lazy("It needs a name of its own.")})
    merge = forms.BooleanField(required=False)


@login_required
@require_safe
def shelf_list(request: Request) -> HttpResponse:
    """All of one kind by name, so many on a page."""
    kind = request.GET.get("kind", "tag")
    kind = kind if kind in KINDS else "tag"
    after = request.GET.get("after", "").replace("\x00", "")
    found = names_with_counts(owner=request.user, model=KINDS[kind], after=after, most=NAMES + 1)
    further = urlencode({"kind": kind, "after": found[NAMES - 1].name}) if len(found) > NAMES else ""
    context = {
        "kind": kind,
        "plural": gettext(PLURALS[kind]),
        "kinds": [(name, gettext(label), name == kind) for name, label in PLURALS.items()],
        "names": [
            {"row": item, "count": said_count(item.count), "query": urlencode({kind: item.name})}
            for item in found[:NAMES]
        ],
        "further": further,
        "after": after,
    }
    return render(request, "gallery/shelf_list.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def shelf_form(request: Request, kind: str, id: int) -> HttpResponse:
    """One of them: what a new name or its removal would touch; a POST renames it, and merges where that is said."""
    row = own_shelf(request, kind, id)
    form = NameForm(request.POST if request.method == "POST" else None)
    taken = False
    if form.is_valid():
        name, merging, before = form.cleaned_data["name"], form.cleaned_data["merge"], row.name
        try:
            moved = renaming.rename(row=row, name=name, now=timezone.now(), merging=merging)
        except InvalidDetails as error:
            taken = isinstance(error, renaming.NameTaken)
            form.add_error("name", str(error))
        else:
            way = WayBack(renamed=(kind, name, before)) if name != before and not merging else WayBack()
            done = gettext("“%(before)s” is now “%(name)s”.") % {"before": before, "name": name}
            return _said(request, moved, kind, row, done, way)
    context = {
        "kind": kind,
        "plural": gettext(PLURALS[kind]),
        "row": row,
        "form": form,
        "taken": taken,
        "touched": _touched(row),
        "undoable": renaming.assets_with(row) <= MOST_REMEMBERED,
        "links": row.share_links.open_at(timezone.now()).count() if isinstance(row, Collection) else 0,
    }
    return render(request, "gallery/shelf_form.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def remove_shelf(request: Request, kind: str, id: int) -> HttpResponse:
    """Take it off all its frames, which stay."""
    row = own_shelf(request, kind, id)
    way = from_removal(row)
    done = gettext("“%(name)s” is removed.") % {"name": row.name}
    return _said(request, renaming.remove(row=row), kind, row, done, way)


def own_shelf(request: Request, kind: str, id: int) -> Named:
    """The one that is meant; 404 for another's."""
    if kind not in KINDS:
        raise Http404
    rows: QuerySet[Model] = KINDS[kind]._default_manager.filter(owner=request.user)
    row: Named = get_object_or_404(rows, pk=id)  # type: ignore[assignment]
    return row


def _said(request: Request, moved: Moved, kind: str, row: Named, done: str, way: WayBack) -> HttpResponse:
    if not moved.finished:
        messages.warning(
            request,
            gettext("%(assets)s are changed; there are more. Do it once more for the rest.")
            % {"assets": frames_said(moved.assets)},
        )
        return redirect("shelf", kind=kind, id=row.pk)
    to = f"{reverse('shelves')}?{urlencode({'kind': kind})}"
    say_undoable(request, done, keep_way(request, way, to=to, now=timezone.now()))
    return redirect(to)


def _touched(row: Named) -> str:
    count = renaming.assets_with(row)
    if count > MOST_AT_ONCE:
        return gettext("more than %(count)s frames") % {"count": f"{MOST_AT_ONCE:,}"}
    return frames_said(count)
