"""Many originals at once: what is selected, or a whole collection, as a ZIP that streams."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_POST, require_safe

from gallery.models import Asset, AssetQuerySet, Collection
from gallery.naming import attachment, words
from gallery.web.requests import Request, as_uuid, next_page
from gallery.zips import MOST_IN_ZIP, archive, told_to_owner

TOO_MANY = gettext_noop("At most %(most)s frames go into one ZIP. Select some of them.")


@login_required
@require_POST
def download_selected(request: Request) -> HttpResponseBase:
    """The selected originals; back to the sheet with a sentence where there are none, or too many."""
    ids = [found for found in map(as_uuid, request.POST.getlist("asset")) if found is not None]
    rows = Asset.objects.for_owner(request.user).kept().filter(pk__in=ids[: MOST_IN_ZIP + 1])
    return zipped_or_told(
        request, rows, "frames", before=next_page(request) or "gallery", none=gettext("Select some frames first.")
    )


@login_required
@require_safe
def download_collection(request: Request, id: int) -> HttpResponseBase:
    """The originals of a collection; back to it with a sentence where there are none, or too many."""
    collection = get_object_or_404(Collection, owner=request.user, pk=id)
    rows = Asset.objects.for_owner(request.user).kept().filter(collections=collection)
    query = QueryDict(mutable=True)
    query["collection"] = collection.name
    before = f"/gallery/?{query.urlencode()}"
    return zipped_or_told(request, rows, collection.name, before=before, none=gettext("This collection is empty."))


def zipped_or_told(request: HttpRequest, rows: AssetQuerySet, name: str, *, before: str, none: str) -> HttpResponseBase:
    """The ZIP of `rows`, or the way back with what hinders it."""
    assets = list(rows.prefetch_related("tags")[: MOST_IN_ZIP + 1])
    if not assets or len(assets) > MOST_IN_ZIP:
        messages.error(request, gettext(TOO_MANY) % {"most": MOST_IN_ZIP} if assets else none)
        return redirect(before)
    return zipped(request, assets, name)


def zipped(
    request: HttpRequest,
    assets: Sequence[Asset],
    name: str,
    *,
    told: Callable[[Asset], dict[str, Any]] = told_to_owner,
) -> HttpResponseBase:
    """The answer that streams; it holds no database connection meanwhile."""
    now = timezone.now()
    pieces = archive(assets, now=now, told=told)
    if not connection.in_atomic_block:
        connection.close()
    # Under ASGI a plain iterator would be read to its end before the first byte is sent.
    body = read_async(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(body, content_type="application/zip")
    response["Content-Disposition"] = attachment(f"{words(name) or 'frames'}-{now:%Y%m%d-%H%M}.zip")
    response["Cache-Control"] = "private, no-store"
    return response


async def read_async(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same from an event loop, which no store may hold up; nothing is read ahead of the client."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        if piece:
            yield piece
