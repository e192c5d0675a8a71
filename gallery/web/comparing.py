"""Two assets side by side: their pictures, how each was made, and what differs."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.sizes import size
from accounts.templatetags.studio import seconds, usd
from gallery.models import Asset
from gallery.web.acts import refused, selected
from gallery.web.forms import OrganiseForm
from gallery.web.pages import settings_said
from gallery.web.requests import Request, as_uuid, next_page, own

# The time to compare two texts grows with both: longer ones are shown without marks.
MOST_WORDS = 600
# Where so little is common, nearly every word would be marked.
LEAST_COMMON = 0.3


@dataclass(frozen=True)
class Piece:
    """Some words of a value, and whether the other value has them not."""

    text: str
    is_other: bool = False


@dataclass(frozen=True)
class Row:
    """One thing that is known of both."""

    name: str
    values: tuple[list[Piece], list[Piece]]
    differs: bool


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def compare(request: Request) -> HttpResponse:
    """The pair that the address names; a POST leads there from what is selected on the sheet."""
    if request.method == "POST":
        return _to_pair(request)
    ids = [as_uuid(request.GET.get(name)) for name in ("a", "b")]
    if None in ids:
        raise Http404
    pair = [own(request, key) for key in ids if key]
    rows = list(_rows(*pair))
    context = {
        "pair": pair,
        "differing": [row for row in rows if row.differs],
        "same": [row for row in rows if not row.differs],
        "known": len(rows),
        "swapped": urlencode({"a": pair[1].pk, "b": pair[0].pk}),
        "zoomable": any(asset.kind == Asset.Kind.IMAGE for asset in pair),
    }
    return render(request, "gallery/asset_compare.html", context)


def _to_pair(request: Request) -> HttpResponse:
    ids = selected(request)
    if len(ids) != 2:
        form = OrganiseForm({"act": "favourite"})
        form.add_error(None, _("Select two frames to compare; you have selected %(count)s.") % {"count": len(ids)})
        return refused(request, form, ids, next_page(request) or reverse("gallery"))
    return redirect(f"{reverse('compare')}?{urlencode({'a': ids[0], 'b': ids[1]})}")


def _rows(first: Asset, second: Asset) -> Iterator[Row]:
    if first.prompt or second.prompt:
        yield Row(_("Prompt"), marked(first.prompt, second.prompt), first.prompt != second.prompt)
    facts = [_facts(asset) for asset in (first, second)]
    for name in facts[0] | facts[1]:
        left, right = (known.get(name, "—") for known in facts)
        yield Row(name, ([Piece(left)], [Piece(right)]), left != right)


def _facts(asset: Asset) -> dict[str, str]:
    """What is known of one, by name; the settings in the words of its own page."""
    sources = {source.pk for source in asset.made_from.all()}
    known = {
        _("Model"): asset.model,
        _("Size"): f"{asset.width} × {asset.height}, {size(asset.size_bytes)}",
        _("Length"): seconds(asset.duration_seconds),
        **{name: str(value) for name, value in settings_said(asset, sources)},
        _("Seed"): "" if asset.seed is None else str(asset.seed),
        _("Cost"): usd(asset.cost_micros),
        _("Made"): date_format(timezone.localtime(asset.created_at), "j F Y, H:i"),
    }
    return {name: value for name, value in known.items() if value}


def marked(first: str, second: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces, marked where only one has it; whole where that would be nearly everything."""
    words = first.split(), second.split()
    if first == second or max(map(len, words)) > MOST_WORDS:
        return [Piece(first)], [Piece(second)]
    matcher = SequenceMatcher(None, *words, autojunk=False)
    if matcher.ratio() < LEAST_COMMON:
        return [Piece(first)], [Piece(second)]
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    for kind, *spans in matcher.get_opcodes():
        for side, of, (start, end) in zip(sides, words, (spans[:2], spans[2:]), strict=True):
            if end > start:
                side.append(Piece(" ".join(of[start:end]), kind != "equal"))
    return sides
