"""What is done with many assets in one call: tag, categorise, collect, star, trash, restore, fetch as a ZIP."""

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.given import IdField, TextField, given
from accounts.api.openapi import answer, operation
from accounts.api.problems import Problem, invalid
from accounts.api.scopes import Scopes
from accounts.moments import moment
from gallery import trash
from gallery.api.requests import owner, refusals
from gallery.models import Asset, AssetQuerySet, Collection
from gallery.organising import MOST_AT_ONCE, Change, organise_assets
from gallery.web.downloads import zipped
from gallery.zips import MOST_IN_ZIP

ID = "0198c0de-5f1a-7c3e-9d42-6f1b2a3c4d5e"
# Names outside, and those of `Change`.
INSIDE = {"addTags": "add_tags", "removeTags": "remove_tags"}
ZIP = {(200, "application/zip"): answer("The originals, streamed.", bytes)}


class Selection(serializers.Serializer[Any]):
    """Assets of yours; others are passed over."""

    assets = serializers.ListField(child=IdField(), min_length=1, max_length=MOST_AT_ONCE)


class Organise(Selection):
    """What is to be done with each; what is left out stays as it is."""

    addTags = serializers.ListField(child=TextField(max_length=60), required=False, max_length=30)
    removeTags = serializers.ListField(child=TextField(max_length=60), required=False, max_length=30)
    category = TextField(required=False, allow_blank=True, max_length=40)
    favourite = serializers.BooleanField(required=False)
    collect = TextField(required=False, max_length=60, help_text="A collection's name; a new one is made.")
    uncollect = TextField(required=False, max_length=60, help_text="A collection's name.")


class ZipSelection(Selection):
    """Assets of yours; others are passed over."""

    assets = serializers.ListField(child=IdField(), min_length=1, max_length=MOST_IN_ZIP)


class Restore(serializers.Serializer[Any]):
    """Assets, or the moment at which some were put aside together."""

    assets = serializers.ListField(child=IdField(), required=False, max_length=MOST_AT_ONCE)
    trashedAt = serializers.DateTimeField(required=False)


class ChangedSerializer(serializers.Serializer[Any]):
    """How many it were."""

    changed = serializers.IntegerField()


class TrashedSerializer(ChangedSerializer):
    """And the moment by which they can be restored together."""

    trashedAt = serializers.DateTimeField()


class OrganiseView(APIView):
    """POST: change many at once."""

    required_scopes: ClassVar[Scopes] = {"POST": "manage"}

    @operation(
        "organiseAssets",
        "Tag, categorise, collect or star many at once, all or none",
        answers={200: ChangedSerializer},
        request=Organise,
        examples=[
            OpenApiExample(
                "tag and collect", {"assets": [ID], "addTags": ["lake"], "collect": "Night shoot"}, request_only=True
            )
        ],
    )
    def post(self, request: Request) -> Response:
        wanted = given(request, Organise)
        ids = wanted.pop("assets")
        change = Change(**{INSIDE.get(name, name): value for name, value in wanted.items()})
        with refusals({"tags": "addTags", "collection": "collect"}):
            done = organise_assets(owner=owner(request), ids=ids, change=change, now=timezone.now())
        return Response({"changed": len(done.ids)})


class TrashView(APIView):
    """POST: put many aside."""

    required_scopes: ClassVar[Scopes] = {"POST": "manage"}

    @operation(
        "trashAssets",
        "Put many in the trash",
        answers={200: TrashedSerializer},
        request=Selection,
        examples=[OpenApiExample("one", {"assets": [ID]}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        now = timezone.now()
        count = trash.trash_assets(owner=owner(request), ids=given(request, Selection)["assets"], now=now)
        return Response({"changed": count, "trashedAt": moment(now)})


class RestoreView(APIView):
    """POST: take many out of the trash."""

    required_scopes: ClassVar[Scopes] = {"POST": "manage"}

    @operation(
        "restoreAssets",
        "Take assets out of the trash",
        answers={200: ChangedSerializer},
        request=Restore,
        examples=[OpenApiExample("one", {"assets": [ID]}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        wanted = given(request, Restore)
        count = trash.restore_assets(
            owner=owner(request), ids=wanted.get("assets", []), trashed_at=wanted.get("trashedAt")
        )
        return Response({"changed": count})


class AnyAccept(BaseContentNegotiation):
    """A ZIP is a ZIP, whatever is asked for; refusals are JSON."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return next((parser for parser in parsers if request.content_type == parser.media_type), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class DownloadView(APIView):
    """POST: the originals of a selection."""

    required_scopes: ClassVar[Scopes] = {"POST": "read"}
    content_negotiation_class = AnyAccept

    @operation(
        "downloadAssets",
        "The originals of a selection as a ZIP",
        answers=ZIP,
        request=ZipSelection,
        examples=[OpenApiExample("one", {"assets": [ID]}, request_only=True)],
    )
    def post(self, request: Request) -> HttpResponseBase:
        ids = given(request, ZipSelection)["assets"]
        return zip_of(request, Asset.objects.for_owner(owner(request)).kept().filter(pk__in=ids), "frames")


class CollectionDownloadView(APIView):
    """GET: the originals of a collection."""

    required_scopes: ClassVar[Scopes] = {"GET": "read"}
    content_negotiation_class = AnyAccept

    @operation("downloadCollection", "The originals of a collection as a ZIP", answers=ZIP, refusals=(409, 422))
    def get(self, request: Request, id: str) -> HttpResponseBase:
        collection = get_object_or_404(Collection, owner=owner(request), pk=id)
        rows = Asset.objects.for_owner(owner(request)).kept().filter(collections=collection)
        if rows[: MOST_IN_ZIP + 1].count() > MOST_IN_ZIP:
            raise Problem(
                status=409, code="too_many", detail=f"At most {MOST_IN_ZIP} go into one ZIP. Ask for a selection."
            )
        return zip_of(request, rows, collection.name)


def zip_of(request: Request, rows: AssetQuerySet, name: str) -> HttpResponseBase:
    """The ZIP; 422 where there is nothing to put into it."""
    assets = list(rows.prefetch_related("tags")[:MOST_IN_ZIP])
    if not assets:
        raise invalid({"assets": "None of these is yours, or there are none."})
    return zipped(request._request, assets, name)
