"""Reference names over HTTP: which asset each means now and meant before, and to which it is moved."""

from typing import Any, ClassVar

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.cursor import NamePageQuery, page_by_name
from accounts.api.given import IdField, given
from accounts.api.openapi import answer, operation
from accounts.api.problems import invalid
from accounts.api.scopes import Scopes
from accounts.moments import moment
from gallery.api.requests import owner, refusals
from gallery.descriptions import update_asset
from gallery.models import Asset, ReferenceVersion

MOST_VERSIONS = 100
ID = "0198c0de-5f1a-7c3e-9d42-6f1b2a3c4d5e"


class ReferenceSerializer(serializers.Serializer[Any]):
    """A name and the asset that it means now."""

    name = serializers.CharField(help_text="Without the @.")
    assetId = serializers.UUIDField()


class ReferencePageSerializer(serializers.Serializer[Any]):
    """In the order of the names."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True, help_text="Always null: names are read forward.")
    results = ReferenceSerializer(many=True)


class ReferenceVersionSerializer(serializers.Serializer[Any]):
    """What the name meant from a moment on."""

    version = serializers.IntegerField()
    assetId = serializers.UUIDField(allow_null=True, help_text="Null where the asset was deleted for good.")
    createdAt = serializers.DateTimeField()


class OneReferenceSerializer(ReferenceSerializer):
    """With its newest hundred versions, the newest first."""

    versions = ReferenceVersionSerializer(many=True)


class Pointing(serializers.Serializer[Any]):
    """What the name is to mean."""

    assetId = IdField()


class References(APIView):
    """GET: the names that mean something now."""

    required_scopes: ClassVar[Scopes] = {"GET": "read"}

    @operation(
        "listReferences",
        "Your reference names",
        answers={200: ReferencePageSerializer},
        parameters=[NamePageQuery],
    )
    def get(self, request: Request) -> Response:
        query = NamePageQuery.of(request)

        def fetch(after: str, most: int) -> list[dict[str, Any]]:
            rows = Asset.objects.for_owner(owner(request)).kept().filter(reference_name__gt=after)
            return [shown(asset) for asset in rows.order_by("reference_name")[:most]]

        return Response(page_by_name(request, fetch, query))


class OneReference(APIView):
    """GET, PUT and DELETE of one name."""

    required_scopes: ClassVar[Scopes] = {"GET": "read", "PUT": "manage", "DELETE": "manage"}

    @operation("getReference", "Look at a reference name", answers={200: OneReferenceSerializer})
    def get(self, request: Request, name: str) -> Response:
        return Response(whole(meant(request, name)))

    @operation(
        "pointReference",
        "Let a reference name mean an asset from now on",
        answers={200: answer("It means it now; other names of the asset do not.", OneReferenceSerializer)},
        request=Pointing,
        examples=[OpenApiExample("an asset", {"assetId": ID}, request_only=True)],
    )
    def put(self, request: Request, name: str) -> Response:
        wanted = given(request, Pointing)["assetId"]
        asset = Asset.objects.for_owner(owner(request)).kept().filter(pk=wanted).first()
        if asset is None:
            raise invalid({"assetId": "This is no asset of yours."})
        with refusals({"reference_name": "name"}):
            update_asset(asset=asset, changes={"reference_name": name}, now=timezone.now(), moving=True)
        return Response(whole(asset))

    @operation("removeReference", "Take a reference name off its asset", answers={204: answer("It means nothing now.")})
    def delete(self, request: Request, name: str) -> Response:
        with refusals({"reference_name": "name"}):
            update_asset(asset=meant(request, name), changes={"reference_name": ""}, now=timezone.now())
        return Response(status=204)


def meant(request: Request, name: str) -> Asset:
    """The caller's asset of that name; raises 404."""
    asset = Asset.objects.for_owner(owner(request)).kept().filter(reference_name=name).first() if name else None
    if asset is None:
        raise Http404
    return asset


def shown(asset: Asset) -> dict[str, Any]:
    """A name and what it means."""
    return {"name": asset.reference_name, "assetId": str(asset.pk)}


def whole(asset: Asset) -> dict[str, Any]:
    """The same with its versions."""
    versions = ReferenceVersion.objects.filter(owner_id=asset.owner_id, name=asset.reference_name)
    return shown(asset) | {
        "versions": [
            {
                "version": row.version,
                "assetId": str(row.asset_id) if row.asset_id else None,
                "createdAt": moment(row.created_at),
            }
            for row in versions.order_by("-version")[:MOST_VERSIONS]
        ]
    }
