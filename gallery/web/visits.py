"""What a visitor with a share link sees: one asset or a collection, its files, and first perhaps a password."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST, require_safe

from accounts.api.cursor import Cursor
from gallery import sharing
from gallery.models import Asset, ShareLink
from gallery.naming import file_name
from gallery.web.browsing import Frames, read_cursor
from gallery.web.downloads import zipped
from gallery.web.files import serve, serve_derivative, unlisted
from gallery.zips import MOST_IN_ZIP, told_to_visitors

FRAMES = 40
COOKIE = "share"
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, ShareLink, P], HttpResponseBase]


def by_link(view: View[P]) -> Callable[..., HttpResponseBase]:
    """The view for who has the token, and the password where one is asked for. One and the same 404 for all others."""

    @wraps(view)
    def guarded(request: HttpRequest, token: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            link = sharing.opened(token=token, now=timezone.now())
            if not link.password or sharing.lets_in(link=link, given=request.COOKIES.get(COOKIE, "")):
                return unlisted(view(request, link, *args, **kwargs))
            if kwargs:  # a file, or a page within
                raise sharing.NoSuchLink
            return unlisted(_door(request, token))
        except (sharing.NoSuchLink, Http404):
            return unlisted(render(request, "gallery/share_gone.html", status=404))

    return guarded


def _door(request: HttpRequest, token: str, *, error: str = "", status: int = 200) -> HttpResponse:
    """The form that asks for the password."""
    context = {"token": token, "errors": [error] if error else []}
    response = render(request, "gallery/share_password.html", context, status=status)
    # With "no-referrer" a browser would send the form with "Origin: null", which no CSRF check lets pass.
    response["Referrer-Policy"] = "same-origin"
    return response


@require_safe
@by_link
def shared(request: HttpRequest, link: ShareLink) -> HttpResponse:
    """What the link leads to."""
    if link.asset_id:
        return _page(request, link, _token(request), sharing.shared_asset(link=link, id=link.asset_id))
    return _collection(request, link)


def _collection(request: HttpRequest, link: ShareLink, *, error: str = "", status: int = 200) -> HttpResponse:
    token = _token(request)
    found = sharing.shared_assets(link=link, cursor=read_cursor(request.GET), most=FRAMES + 1)
    older = f"?cursor={Cursor.beside(found[FRAMES - 1])}" if len(found) > FRAMES else ""
    sheet = Frames([_served(asset, token) for asset in found[:FRAMES]], older)
    context = {"link": link, "token": token, "frames": sheet, "errors": [error] if error else []}
    return render(request, "gallery/share_collection.html", context, status=status)


@require_GET
@by_link
def shared_zip(request: HttpRequest, link: ShareLink) -> HttpResponseBase:
    """The originals of a collection; a sentence where there are none, too many, or where it was asked for too often."""
    if link.collection is None:
        raise Http404
    try:
        assets = sharing.zipped_assets(link=link, most=MOST_IN_ZIP + 1, now=timezone.now())
    except sharing.TooManyZips:
        minutes = int(sharing.ZIPS_WITHIN.total_seconds() // 60)
        sentence = gettext("This was downloaded often just now. Wait %(minutes)s minutes, then try again.")
        refused = _collection(request, link, error=sentence % {"minutes": minutes}, status=429)
        refused["Retry-After"] = str(minutes * 60)
        return refused
    if not assets:
        return _collection(request, link, error=gettext("There is nothing to download."), status=422)
    if len(assets) > MOST_IN_ZIP:
        sentence = gettext("At most %(most)s frames go into one ZIP; these are more. Download them one by one.")
        return _collection(request, link, error=sentence % {"most": MOST_IN_ZIP}, status=422)
    return zipped(request, assets, link.collection.name, told=told_to_visitors)


@require_safe
@by_link
def shared_frame(request: HttpRequest, link: ShareLink, *, id: UUID) -> HttpResponse:
    """One asset of a collection, large."""
    return _page(request, link, _token(request), sharing.shared_asset(link=link, id=id))


def _page(request: HttpRequest, link: ShareLink, token: str, asset: Asset) -> HttpResponse:
    return render(request, "gallery/share_asset.html", {"link": link, "token": token, "asset": _served(asset, token)})


@require_safe
@by_link
def shared_file(
    request: HttpRequest, link: ShareLink, *, id: UUID, what: str, width: int | None = None
) -> HttpResponseBase:
    """The original or what was derived of it, under the link's own address."""
    asset = sharing.shared_asset(link=link, id=id)
    match what:
        case "file":
            if asset.missing_at:
                raise Http404
            name = file_name(asset) if request.GET.get("download") else ""
            etag = f'"{asset.sha256}"'
            return serve(request, asset.storage_key, asset.content_type, etag=etag, filename=name, for_visitor=True)
        case "preview":
            return serve_derivative(request, asset.preview_key, content_type="video/mp4", for_visitor=True)
        case "poster":
            return serve_derivative(request, asset.poster_key, for_visitor=True)
    key = asset.thumbnail_key if width is None else asset.thumbnails.get(str(width), "")
    return serve_derivative(request, key, for_visitor=True)


@require_POST
def unlock(request: HttpRequest, token: str) -> HttpResponseBase:
    """Try a password; who knows it gets a cookie for this link alone."""
    now = timezone.now()
    try:
        link = sharing.opened(token=token, now=now)
        given = sharing.try_password(link=link, password=request.POST.get("password", ""), now=now)
    except sharing.NoSuchLink:
        return unlisted(render(request, "gallery/share_gone.html", status=404))
    except sharing.WrongPassword:
        return unlisted(_door(request, token, error=gettext("That is not the password."), status=422))
    except sharing.TooManyTries:
        minutes = int(sharing.TRIES_WITHIN.total_seconds() // 60)
        sentence = gettext("Too many passwords were tried. Wait %(minutes)s minutes, then try again.")
        refused = _door(request, token, error=sentence % {"minutes": minutes}, status=429)
        refused["Retry-After"] = str(minutes * 60)
        return unlisted(refused)
    response = redirect("shared", token=token)
    response.set_cookie(
        COOKIE,
        given,
        max_age=sharing.PASS_FOR,
        path=reverse("shared", args=[token]),
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
    return unlisted(response)


def _token(request: HttpRequest) -> str:
    assert request.resolver_match is not None
    return str(request.resolver_match.kwargs["token"])


def _served(asset: Asset, token: str) -> Asset:
    """The asset with its files under the link's address."""
    asset.address = f"/s/{token}/assets/{asset.pk}"
    return asset
