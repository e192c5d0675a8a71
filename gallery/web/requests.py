"""What the gallery's views share: who asks, for which asset, and where to go afterwards."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from gallery.models import Asset


class Request(HttpRequest):
    """Signed in, and passed by django-htmx."""

    user: User
    htmx: HtmxDetails


def own(request: Request, id: UUID) -> Asset:
    """The asset of whoever asks; 404 for another's."""
    return get_object_or_404(Asset.objects.for_owner(request.user), pk=id)


def back(request: Request, asset: Asset) -> HttpResponse:
    """To the page that the form names, if it is one of ours, else to the asset."""
    return redirect(next_page(request) or reverse("asset_detail", args=[asset.pk]))


def next_page(request: Request) -> str:
    """The page that the form names, if it is one of ours."""
    given = request.POST.get("next", "")
    return given if given.startswith("/") and url_has_allowed_host_and_scheme(given, allowed_hosts=None) else ""


def as_uuid(text: str | None) -> UUID | None:
    """None for what is none."""
    try:
        return UUID(text or "")
    except ValueError:
        return None
