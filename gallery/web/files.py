"""The stored bytes, for their owner alone."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO
from urllib.parse import quote
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import parse_etags
from django.views.decorators.http import require_safe

from accounts.api.authentication import bearer, token_user
from accounts.models import User
from gallery import storage
from gallery.files import EXTENSIONS
from gallery.models import Asset
from gallery.naming import attachment, file_name
from gallery.web.ranges import NotSatisfiable, asked_range

CHUNK_BYTES = 256 * 1024
# The bytes under one of our addresses never change; Vary: Cookie keeps them from the browser's next user.
CACHE_SECONDS = 24 * 3600
# Half the life of a signed address, so that a kept redirect still leads somewhere.
REDIRECT_SECONDS = 300


@require_safe
def asset_file(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """The original; `?download=1` saves it under a good name. 404 while it is known to be missing.

    With `?share=<token>` the way to the same bytes under the link's own address, where its password is known.
    """
    if token := request.GET.get("share"):
        query = "?download=1" if request.GET.get("download") else ""
        return unlisted(HttpResponseRedirect(reverse("shared_file", args=[quote(token, safe=""), id]) + query))
    asset = own_asset(request, id)
    if asset.missing_at:
        raise Http404
    filename = file_name(asset) if request.GET.get("download") else ""
    return serve(request, asset.storage_key, asset.content_type, etag=f'"{asset.sha256}"', filename=filename)


@require_safe
def asset_thumbnail(request: HttpRequest, id: UUID, width: int | None = None) -> HttpResponseBase:
    """A WebP, `width` wide where that is asked; 404 for a width there is none of, and until it is made."""
    asset = own_asset(request, id)
    return serve_derivative(request, asset.thumbnail_key if width is None else asset.thumbnails.get(str(width), ""))


@require_safe
def asset_poster(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """A film's first good frame as WebP; 404 until it is made, and for pictures."""
    return serve_derivative(request, own_asset(request, id).poster_key)


@require_safe
def asset_preview(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """The first seconds of what moves, small and silent; 404 where there are none."""
    return serve_derivative(request, own_asset(request, id).preview_key, content_type="video/mp4")


def own_asset(request: HttpRequest, id: UUID) -> Asset:
    """The asset of the caller, by session or bearer token; 404 for everybody else."""
    if bearer(request.headers.get("Authorization", "")) is not None:
        user = token_user(request)
    else:
        user = request.user if isinstance(request.user, User) else None
    asset = Asset.objects.for_owner(user).filter(pk=id).first() if user else None
    if asset is None:
        raise Http404
    return asset


def unlisted(response: HttpResponseBase) -> HttpResponseBase:
    """Kept by no cache and found by no robot; the address, which is the key, is told to nobody."""
    response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    response["Cache-Control"] = "private, no-store"
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    return response


def serve_derivative(
    request: HttpRequest, key: str, *, content_type: str = "image/webp", for_visitor: bool = False
) -> HttpResponseBase:
    """A thumbnail, poster or preview."""
    if not key:
        raise Http404
    etag = f'"{key.rpartition("/")[2]}"'
    return serve(request, key, content_type, etag=etag, filename="", for_visitor=for_visitor)


def serve(
    request: HttpRequest, key: str, content_type: str, *, etag: str, filename: str, for_visitor: bool = False
) -> HttpResponseBase:
    """The bytes under `key`: streamed where we hold them, else a redirect to a fresh signed address.

    404 for what is not there, 503 while the store cannot be read.
    """
    if content_type not in EXTENSIONS:
        content_type, filename = "application/octet-stream", filename or "file.bin"
    try:
        response = stored(request, key, content_type, etag=etag, filename=filename, for_visitor=for_visitor)
    except storage.StorageError as error:
        if error.status == 404:
            raise Http404 from error
        response = HttpResponse(status=503, headers={"Retry-After": "60", "Cache-Control": "no-store"})
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def stored(
    request: HttpRequest, key: str, content_type: str, *, etag: str, filename: str, for_visitor: bool
) -> HttpResponseBase:
    """From where they are. Raises StorageError."""
    if storage.is_local():
        return stream(request, key, content_type, etag, filename)
    address = storage.signed_address(
        key,
        content_type=content_type,
        filename=filename,
        method=request.method or "GET",
        for_visitor=for_visitor,
    )
    response = HttpResponseRedirect(address)
    response["Cache-Control"] = f"private, max-age={REDIRECT_SECONDS}"
    return response


def stream(request: HttpRequest, key: str, content_type: str, etag: str, filename: str) -> HttpResponseBase:
    """200, 206, 304 or 416; a film is sought by ranges. Raises StorageError."""
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        return marked(HttpResponseNotModified(), etag)
    file = storage.open_local(key)
    size = file.seek(0, 2)
    try:
        asked = asked_range(wanted(request, etag), size=size)
    except NotSatisfiable:
        file.close()
        return marked(HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"}), etag)
    first, last = asked or (0, size - 1)
    response: HttpResponseBase
    if request.method == "HEAD":
        file.close()
        response = HttpResponse(content_type=content_type)
    else:
        # A long film must not hold one of the few database connections while it plays.
        if not connection.in_atomic_block:
            connection.close()
        # Under ASGI a plain iterator would be read to its end before the first byte is sent.
        reading = read_async if isinstance(request, ASGIRequest) else read
        response = StreamingHttpResponse(reading(file, first, last), content_type=content_type)
        response._resource_closers.append(file.close)  # type: ignore[attr-defined]
    if asked:
        response.status_code = 206
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    response["Content-Length"] = str(last - first + 1)
    if filename:
        response["Content-Disposition"] = attachment(filename)
    return marked(response, etag)


def wanted(request: HttpRequest, etag: str) -> str:
    """The Range header, unless its condition names another version of the file."""
    condition = request.headers.get("If-Range", etag)
    return request.headers.get("Range", "") if condition == etag else ""


def marked(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    """With the headers that every answer about these bytes carries."""
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = f"private, max-age={CACHE_SECONDS}, immutable"
    return response


def read(file: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    """The bytes from `first` to `last`, a chunk at a time."""
    file.seek(first)
    left = last - first + 1
    while left and (chunk := file.read(min(CHUNK_BYTES, left))):
        left -= len(chunk)
        yield chunk


async def read_async(file: BinaryIO, first: int, last: int) -> AsyncIterator[bytes]:
    """The same from an event loop, which no disk may hold up."""
    chunks = read(file, first, last)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
