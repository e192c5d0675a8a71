"""Share links over HTTP: make them for an asset or a collection, see which there are, end them."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.addresses import absolute
from accounts.api.cursor import PageQuery, page
from accounts.api.given import TextField, given
from accounts.api.openapi import answer, operation
from accounts.api.scopes import Scopes
from accounts.moments import moment
from gallery import sharing
from gallery.api.requests import own_asset, owner, refusals
from gallery.models import Asset, Collection, ShareLink

OUTSIDE = {"expires_at": "expiresAt"}


class ShareSerializer(serializers.Serializer[Any]):
    """A way for visitors to one asset or one collection."""

    id = serializers.UUIDField()
    url = serializers.CharField(allow_null=True, help_text="Null where another secret key made it; it opens still.")
    assetId = serializers.UUIDField(allow_null=True)
    collectionId = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField(choices=["open", "expired", "revoked"])
    hasPassword = serializers.BooleanField()
    showPrompt = serializers.BooleanField()
    createdAt = serializers.DateTimeField()
    expiresAt = serializers.DateTimeField()


class SharePageSerializer(serializers.Serializer[Any]):
    """The newest first."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ShareSerializer(many=True)


class NewShare(serializers.Serializer[Any]):
    """Until when, with which password, with or without the prompt."""

    expiresAt = serializers.DateTimeField(help_text="Within a year.")
    password = TextField(
        required=False,
        trim_whitespace=False,
        min_length=sharing.LEAST_PASSWORD,
        max_length=sharing.MOST_PASSWORD,
        write_only=True,
    )
    showPrompt = serializers.BooleanField(required=False, default=False)


MADE = {201: answer("The link.", ShareSerializer)}
EXAMPLES = [OpenApiExample("a fortnight", {"expiresAt": "2027-01-15T00:00:00Z", "showPrompt": True}, request_only=True)]


class Shares(APIView):
    """GET: all links that were made."""

    required_scopes: ClassVar[Scopes] = {"GET": "manage"}

    @operation("listShares", "Your share links", answers={200: SharePageSerializer}, parameters=[PageQuery])
    def get(self, request: Request) -> Response:
        return listed(request, ShareLink.objects.filter(owner=owner(request)))


class OneShare(APIView):
    """DELETE: end a link."""

    required_scopes: ClassVar[Scopes] = {"DELETE": "manage"}

    @operation("revokeShare", "End a share link at once", answers={204: answer("It shows nothing any more.")})
    def delete(self, request: Request, id: UUID) -> Response:
        link = get_object_or_404(ShareLink, owner=owner(request), pk=id)
        sharing.revoke_share_link(owner=owner(request), id=link.pk, now=timezone.now())
        return Response(status=204)


class AssetShares(APIView):
    """GET and POST: the links to one asset."""

    required_scopes: ClassVar[Scopes] = {"GET": "manage", "POST": "manage"}

    @operation("listAssetShares", "The links to an asset", answers={200: SharePageSerializer}, parameters=[PageQuery])
    def get(self, request: Request, id: UUID) -> Response:
        return listed(request, sharing.links_to(own_asset(request, id)))

    @operation("shareAsset", "Share an asset by a link", answers=MADE, request=NewShare, examples=EXAMPLES)
    def post(self, request: Request, id: UUID) -> Response:
        return made(request, own_asset(request, id))


class CollectionShares(APIView):
    """GET and POST: the links to one collection."""

    required_scopes: ClassVar[Scopes] = {"GET": "manage", "POST": "manage"}

    @operation(
        "listCollectionShares", "The links to a collection", answers={200: SharePageSerializer}, parameters=[PageQuery]
    )
    def get(self, request: Request, id: str) -> Response:
        return listed(request, sharing.links_to(get_object_or_404(Collection, owner=owner(request), pk=id)))

    @operation("shareCollection", "Share a collection by a link", answers=MADE, request=NewShare, examples=EXAMPLES)
    def post(self, request: Request, id: str) -> Response:
        return made(request, get_object_or_404(Collection, owner=owner(request), pk=id))


def listed(request: Request, rows: Any) -> Response:
    """A page of links."""
    query = PageQuery.of(request)

    def present(found: Sequence[ShareLink]) -> list[dict[str, Any]]:
        return [shown(link) for link in found]

    return Response(page(request, rows, query, present))


def made(request: Request, to: Asset | Collection) -> Response:
    """A new link."""
    wanted = given(request, NewShare)
    with refusals(OUTSIDE):
        link = sharing.create_share_link(
            owner=owner(request),
            to=to,
            expires_at=wanted["expiresAt"],
            now=timezone.now(),
            password=wanted.get("password", ""),
            show_prompt=wanted["showPrompt"],
        )
    return Response(shown(link), status=201)


def shown(link: ShareLink) -> dict[str, Any]:
    """A link as its owner sees it."""
    token = sharing.token_of(link)
    return {
        "id": str(link.pk),
        "url": absolute(reverse("shared", args=[token])) if token else None,
        "assetId": str(link.asset_id) if link.asset_id else None,
        "collectionId": link.collection_id,
        "state": link.state(timezone.now()),
        "hasPassword": bool(link.password),
        "showPrompt": link.show_prompt,
        "createdAt": moment(link.created_at),
        "expiresAt": moment(link.expires_at),
    }
