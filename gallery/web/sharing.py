"""Where an owner makes links to an asset or a collection, sees which are open, and ends them."""

from datetime import datetime, time, timedelta
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.addresses import absolute
from gallery import sharing
from gallery.descriptions import InvalidDetails
from gallery.models import Asset, Collection, ShareLink
from gallery.web.requests import Request, next_page

USUAL_DAYS = 14
MOST_SHOWN = 50


class ShareForm(forms.Form):
    """Until when, with which password, with or without the prompt."""

    expires_at = forms.DateField()
    password = forms.CharField(required=False, strip=False, max_length=sharing.MOST_PASSWORD)
    show_prompt = forms.BooleanField(required=False)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def share_asset(request: Request, id: UUID) -> HttpResponse:
    """The links to one asset."""
    asset = get_object_or_404(Asset.objects.for_owner(request.user).kept(), pk=id)
    return _links(request, asset, back=reverse("asset_detail", args=[id]))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def share_collection(request: Request, id: int) -> HttpResponse:
    """The links to one collection."""
    collection = get_object_or_404(Collection, owner=request.user, pk=id)
    return _links(request, collection, back=f"{reverse('gallery')}?{urlencode({'collection': collection.name})}")


@login_required
@require_POST
def revoke(request: Request, id: UUID) -> HttpResponse:
    """End a link; what it showed is gone with the next request."""
    link = get_object_or_404(ShareLink, owner=request.user, pk=id)
    if sharing.revoke_share_link(owner=request.user, id=link.pk, now=timezone.now()):
        messages.success(request, gettext("The link is revoked. It shows nothing any more."))
    return redirect(next_page(request) or "gallery")


def _links(request: Request, to: Asset | Collection, *, back: str) -> HttpResponse:
    form = ShareForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            _create(request, form, to)
        except InvalidDetails as error:
            for name, sentence in error.errors.items():
                form.add_error(name, sentence)
        else:
            messages.success(request, gettext("The link is ready to be copied."))
            return redirect(request.path)
    now = timezone.now()
    context = {
        "to": to,
        "asset": to if isinstance(to, Asset) else None,
        "back": back,
        "form": form,
        "links": [_shown(request, link, now) for link in sharing.links_to(to)[:MOST_SHOWN]],
        "usual": timezone.localdate(now) + timedelta(days=USUAL_DAYS),
        "first": timezone.localdate(now) + timedelta(days=1),
        "last": timezone.localdate(now + sharing.LONGEST),
    }
    return render(request, "gallery/share_links.html", context, status=422 if form.errors else 200)


def _create(request: Request, form: ShareForm, to: Asset | Collection) -> None:
    given = form.cleaned_data
    # At the beginning of that day, so that the last day that may be chosen is within the year.
    expires_at = timezone.make_aware(datetime.combine(given["expires_at"], time()))
    sharing.create_share_link(
        owner=request.user,
        to=to,
        expires_at=expires_at,
        password=given["password"],
        show_prompt=given["show_prompt"],
        now=timezone.now(),
    )


def _shown(request: Request, link: ShareLink, now: datetime) -> dict[str, object]:
    token = sharing.token_of(link)
    address = absolute(reverse("shared", args=[token]), request=request) if token else ""
    return {"row": link, "state": link.state(now), "address": address}
