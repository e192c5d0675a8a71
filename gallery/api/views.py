"""Assets over HTTP: list, upload, read, describe, trash."""

from collections.abc import Sequence
from typing import IO, Any, ClassVar
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db.models import prefetch_related_objects
from django.utils import timezone
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.bodies import JSONObjectParser
from accounts.api.conditional import ETAG, UNCHANGED, conditional
from accounts.api.cursor import Cursor, PageQuery, page_of
from accounts.api.openapi import JSON, answer, header, operation
from accounts.api.problems import Problem, invalid, unavailable
from accounts.api.rates import rate_headers, told
from accounts.api.scopes import Scopes
from gallery import library, trash
from gallery.api.presentation import OUTSIDE, WRITABLE, shown
from gallery.api.requests import own_asset, owner, refusals
from gallery.api.shapes import CHANGE_EXAMPLE, CHANGES, UPLOAD, AssetPageSerializer, AssetSerializer
from gallery.descriptions import update_asset
from gallery.files import UnusableFile
from gallery.models import Asset
from gallery.search import LONGEST_QUERY, Wanted, find_assets, meant_instead
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
    tagged = serializers.BooleanField(required=False, allow_null=True, default=None)
    since = serializers.DateField(required=False, help_text="The first day, in the studio's time zone.")
    until = serializers.DateField(required=False, help_text="The last day.")
    trash = serializers.BooleanField(required=False, default=False, help_text="What is in the trash instead.")


class AssetListView(APIView):
    """GET: the newest assets. POST: an upload."""

    # Whoever asks for pictures brings references along.
    required_scopes: ClassVar[Scopes] = {"GET": "read", "POST": "generate"}

    def get_parsers(self) -> list[Any]:
        return [MultiPartParser()]

    @operation("listAssets", "Your gallery, newest first", answers={200: AssetPageSerializer}, parameters=[AssetQuery])
    def get(self, request: Request) -> Response:
        query = AssetQuery.of(request)
        user, wanted = owner(request), Wanted.of(query)

        def fetch(cursor: Cursor | None, newer: bool, most: int) -> list[Asset]:
            return find_assets(owner=user, wanted=wanted, cursor=cursor, oldest=newer, most=most)

        found = page_of(request, fetch, query, present)
        nothing = wanted.q and not found["results"] and "cursor" not in query
        if nothing and (instead := meant_instead(owner=user, wanted=wanted)):
            found["search"] = {"meantInstead": instead}
        return Response(found)

    @operation(
        "uploadAsset",
        "Bring a picture",
        answers={201: answer("It is kept.", AssetSerializer)},
        refusals=(429,),
        request={"multipart/form-data": UPLOAD},
        parameters=[header("Location", "Where it can be looked at.", on=[201], required=True), *told(201)],
    )
    def post(self, request: Request) -> Response:
        file = request.FILES.get("file")
        if not isinstance(file, UploadedFile) or file.file is None:
            raise invalid({"file": "Send the picture as the part named file."})
        if misplaced := set(request.FILES) & {"title", "tags", "category", "referenceName"}:
            raise invalid(dict.fromkeys(sorted(misplaced), "Text is expected here, not a file."))
        try:
            with refusals(OUTSIDE):
                asset = upload(request, file.file, file.name or "")
        except UnusableFile as error:
            status = {"too_large": 413, "quota_full": 413, "too_many": 429}.get(error.code, 422)
            headers = upload_rate(0) | {"Retry-After": "60"} if status == 429 else {}
            raise Problem(status=status, code=error.code, errors=[("file", error.sentence)], headers=headers) from error
        except StorageError as error:
            raise unavailable(retry_after_seconds=STORE_RETRY_SECONDS) from error
        left = library.uploads_left(owner=owner(request), now=timezone.now())
        where = {"Location": f"/api/gallery/assets/{asset.pk}"}
        return Response(shown(asset), status=201, headers=where | upload_rate(left))


class AssetDetailView(APIView):
    """GET, PATCH and DELETE (which moves to the trash) of one asset."""

    required_scopes: ClassVar[Scopes] = {"GET": "read", "PATCH": "manage", "DELETE": "manage"}
    parser_classes = (JSONObjectParser,)

    @operation("getAsset", "Look at an asset", answers={200: AssetSerializer} | UNCHANGED, parameters=ETAG)
    def get(self, request: Request, id: UUID) -> Response:
        return conditional(request, shown(own_asset(request, id)))

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
        with refusals(OUTSIDE):
            changes = {WRITABLE[name]: value for name, value in given.items()}
            update_asset(asset=asset, changes=changes, now=timezone.now())
        return Response(shown(own_asset(request, id)))

    @operation("trashAsset", "Put an asset in the trash", answers={204: answer("It is in the trash.")})
    def delete(self, request: Request, id: UUID) -> Response:
        trash.trash_asset(asset=own_asset(request, id), now=timezone.now())
        return Response(status=204)


def upload(request: Request, file: IO[bytes], name: str) -> Asset:
    """Keep what came as a form's parts. Raises UnusableFile, InvalidDetails and StorageError."""
    given = request.POST
    return library.upload_asset(
        owner=owner(request),
        file=file,
        name=name,
        now=timezone.now(),
        title=given.get("title", ""),
        tags=[word for part in given.getlist("tags") for word in part.split(",")],
        category=given.get("category", ""),
        reference_name=given.get("referenceName", ""),
    )


def upload_rate(left: int) -> dict[str, str]:
    """How many more uploads the running minute allows."""
    return rate_headers(limit=library.UPLOADS_PER_MINUTE, remaining=left, reset_seconds=60)


def present(assets: Sequence[Asset]) -> list[dict[str, Any]]:
    """A page of them."""
    prefetch_related_objects(assets, "tags")
    return [shown(asset) for asset in assets]
