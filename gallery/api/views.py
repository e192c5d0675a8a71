"""Assets over HTTP: list, upload, read, describe, trash."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db.models import prefetch_related_objects
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.bodies import JSONObjectParser
from accounts.api.cursor import Cursor, PageQuery, page_of
from accounts.api.openapi import JSON, answer, header, operation
from accounts.api.problems import Problem, invalid, unavailable
from accounts.api.scopes import Scopes
from accounts.models import User
from gallery import library, trash
from gallery.api.presentation import OUTSIDE, WRITABLE, shown
from gallery.api.shapes import CHANGE_EXAMPLE, CHANGES, UPLOAD, AssetPageSerializer, AssetSerializer
from gallery.descriptions import InvalidDetails, update_asset
from gallery.files import UnusableFile
from gallery.models import Asset
from gallery.search import LONGEST_QUERY, Wanted, find_assets
from gallery.storage import StorageError

STORE_RETRY_SECONDS = 30


class AssetQuery(PageQuery):
    """The filters of the list."""

    q = serializers.CharField(required=False, max_length=LONGEST_QUERY)
    kind = serializers.ChoiceField(required=False, choices=Asset.Kind.choices)
    origin = serializers.ChoiceField(required=False, choices=Asset.Origin.choices)
    model = serializers.CharField(required=False, max_length=128)
    tag = serializers.CharField(required=False, max_length=60)
    category = serializers.CharField(required=False, max_length=40)
    collection = serializers.CharField(required=False, max_length=60)
    favourite = serializers.BooleanField(required=False, allow_null=True, default=None)


class AssetListView(APIView):
    """GET: the newest assets. POST: an upload."""

    # Whoever asks for pictures brings references along.
    required_scopes: ClassVar[Scopes] = {"GET": "read", "POST": "generate"}

    def get_parsers(self) -> list[Any]:
        return [MultiPartParser()]

    @operation("listAssets", "Your gallery, newest first", answers={200: AssetPageSerializer}, parameters=[AssetQuery])
    def get(self, request: Request) -> Response:
        query = AssetQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        user, wanted = owner(request), Wanted.of(query.validated_data)

        def fetch(cursor: Cursor | None, newer: bool, most: int) -> list[Asset]:
            return find_assets(owner=user, wanted=wanted, cursor=cursor, oldest=newer, most=most)

        return Response(page_of(request, fetch, query.validated_data, present))

    @operation(
        "uploadAsset",
        "Bring a picture",
        answers={201: answer("It is kept.", AssetSerializer)},
        refusals=(429,),
        request={"multipart/form-data": UPLOAD},
        parameters=[header("Location", "Where it can be looked at.", on=[201], required=True)],
    )
    def post(self, request: Request) -> Response:
        file = request.FILES.get("file")
        if not isinstance(file, UploadedFile) or file.file is None:
            raise invalid({"file": "Send the picture as the part named file."})
        if misplaced := set(request.FILES) & {"title", "tags", "category", "referenceName"}:
            raise invalid(dict.fromkeys(sorted(misplaced), "Text is expected here, not a file."))
        given = request.POST
        try:
            asset = library.upload_asset(
                owner=owner(request),
                file=file.file,
                name=file.name or "",
                now=timezone.now(),
                title=given.get("title", ""),
                tags=[word for part in given.getlist("tags") for word in part.split(",")],
                category=given.get("category", ""),
                reference_name=given.get("referenceName", ""),
            )
        except UnusableFile as error:
            status = {"too_large": 413, "quota_full": 413, "too_many": 429}.get(error.code, 422)
            raise Problem(status=status, code=error.code, errors=[("file", error.sentence)]) from error
        except InvalidDetails as error:
            raise outside(error) from error
        except StorageError as error:
            raise unavailable(retry_after_seconds=STORE_RETRY_SECONDS) from error
        return Response(shown(asset), status=201, headers={"Location": f"/api/gallery/assets/{asset.pk}"})


class AssetDetailView(APIView):
    """GET, PATCH and DELETE (which moves to the trash) of one asset."""

    required_scopes: ClassVar[Scopes] = {"GET": "read", "PATCH": "manage", "DELETE": "manage"}
    parser_classes = (JSONObjectParser,)

    @operation("getAsset", "Look at an asset", answers={200: AssetSerializer})
    def get(self, request: Request, id: UUID) -> Response:
        return Response(shown(own_asset(request, id)))

    @operation(
        "updateAsset",
        "Say something about an asset",
        answers={200: AssetSerializer},
        request={JSON: CHANGES},
        examples=[CHANGE_EXAMPLE],
    )
    def patch(self, request: Request, id: UUID) -> Response:
        asset = own_asset(request, id)
        given: Any = request.data
        if unknown := sorted(set(given) - set(WRITABLE)):
            raise Problem(status=400, errors=[(name, "This cannot be changed.") for name in unknown])
        try:
            changes = {WRITABLE[name]: value for name, value in given.items()}
            update_asset(asset=asset, changes=changes, now=timezone.now())
        except InvalidDetails as error:
            raise outside(error) from error
        return Response(shown(own_asset(request, id)))

    @operation("trashAsset", "Put an asset in the trash", answers={204: answer("It is in the trash.")})
    def delete(self, request: Request, id: UUID) -> Response:
        trash.trash_asset(asset=own_asset(request, id), now=timezone.now())
        return Response(status=204)


def owner(request: Request) -> User:
    """The caller; permissions have seen to it that there is one."""
    assert isinstance(request.user, User)
    return request.user


def own_asset(request: Request, id: UUID) -> Asset:
    """The caller's asset; 404 for another's and for what is in the trash."""
    return get_object_or_404(Asset.objects.for_owner(owner(request)).kept().prefetch_related("tags"), pk=id)


def present(assets: Sequence[Asset]) -> list[dict[str, Any]]:
    """A page of them."""
    prefetch_related_objects(assets, "tags")
    return [shown(asset) for asset in assets]


def outside(error: InvalidDetails) -> Problem:
    """422 under the names that the caller used."""
    return invalid({OUTSIDE.get(name, name): sentence for name, sentence in error.errors.items()})
