"""Tags, collections and categories over HTTP: list, make, rename, merge, remove. Each by the rules of the pages."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.cursor import NamePageQuery, page_by_name
from accounts.api.given import TextField, given
from accounts.api.openapi import Decorator, answer, operation
from accounts.api.problems import Problem, invalid
from accounts.api.scopes import Scopes
from gallery import organising, renaming
from gallery.api.requests import owner, refusals
from gallery.descriptions import BUILT_IN, add_category
from gallery.models import Asset, Collection, OwnCategory, Tag
from gallery.renaming import Moved, Named
from gallery.shelves import COUNTED, names_with_counts


class NameSerializer(serializers.Serializer[Any]):
    """A tag, a collection, or a category of your own."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    count = serializers.IntegerField(help_text="On how many assets it is; 100 stands for that many and more.")


class NamePageSerializer(serializers.Serializer[Any]):
    """In the order of the names."""

    next = serializers.CharField(allow_null=True, help_text="The address of the next page.")
    previous = serializers.CharField(allow_null=True, help_text="Always null: names are read forward.")
    results = NameSerializer(many=True)


class CategoryPageSerializer(NamePageSerializer):
    """Your own, and those that everybody has."""

    builtIn = serializers.ListField(child=serializers.CharField())


class MovedSerializer(serializers.Serializer[Any]):
    """What was changed."""

    changed = serializers.IntegerField(help_text="How many assets.")
    finished = serializers.BooleanField(help_text="False while more are left: send it again, a rename with `merge`.")


class NewName(serializers.Serializer[Any]):
    """What to call it."""

    name = TextField(max_length=60)


class Rename(NewName):
    """What to call it from now on."""

    merge = serializers.BooleanField(
        required=False, default=False, help_text="Where the name is taken, give its bearer the assets."
    )


NAME_EXAMPLE = OpenApiExample("a name", {"name": "Night shoot"}, request_only=True)
GIVEN, CHANGED = answer("The name as it is kept.", NameSerializer), answer("What was changed.", MovedSerializer)
QUERY = [NamePageQuery]


def renames(id: str, what: str) -> Decorator:
    """The description of a PATCH."""
    return operation(
        id, f"Rename {what}", answers={200: CHANGED}, refusals=(409,), request=Rename, examples=[NAME_EXAMPLE]
    )


def removes(id: str, what: str) -> Decorator:
    """The description of a DELETE; the assets stay."""
    return operation(id, f"Remove {what} from its assets", answers={200: CHANGED})


class Shelves(APIView):
    """All of one kind."""

    required_scopes: ClassVar[Scopes] = {"GET": "read", "POST": "manage"}
    model: ClassVar[type[Named]]

    def listed(self, request: Request) -> dict[str, Any]:
        """A page by name."""
        query = NamePageQuery.of(request)

        def fetch(after: str, most: int) -> list[dict[str, Any]]:
            found = names_with_counts(owner=owner(request), model=self.model, after=after, most=most)
            return [{"id": item.id, "name": item.name, "count": item.count} for item in found]

        return page_by_name(request, fetch, query)


class Tags(Shelves):
    """GET: the tags. They are made by giving them."""

    model = Tag

    @operation("listTags", "Your tags by name", answers={200: NamePageSerializer}, parameters=QUERY)
    def get(self, request: Request) -> Response:
        return Response(self.listed(request))


class Collections(Shelves):
    """GET: the collections. POST: make one."""

    model = Collection

    @operation("listCollections", "Your collections by name", answers={200: NamePageSerializer}, parameters=QUERY)
    def get(self, request: Request) -> Response:
        return Response(self.listed(request))

    @operation(
        "createCollection",
        "Make a collection, or find the one of this name",
        answers={201: GIVEN},
        request=NewName,
        examples=[NAME_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        wanted = given(request, NewName)["name"]
        with refusals({"collection": "name"}):
            name = organising.collection_name(wanted)
            if not name:
                raise invalid({"name": "A collection needs a name."})
            made = organising.own_collection(owner=owner(request), name=name, now=timezone.now())
        return Response(shown(made), status=201)


class Categories(Shelves):
    """GET: the categories. POST: make one."""

    model = OwnCategory

    @operation("listCategories", "Categories by name", answers={200: CategoryPageSerializer}, parameters=QUERY)
    def get(self, request: Request) -> Response:
        return Response(self.listed(request) | {"builtIn": list(BUILT_IN)})

    @operation(
        "createCategory",
        "Make a category of your own, or find the one of this name",
        answers={201: GIVEN},
        refusals=(409,),
        request=NewName,
        examples=[NAME_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        wanted = given(request, NewName)["name"]
        with refusals({"category": "name"}):
            name = add_category(owner_id=owner(request).pk, name=wanted)
        if name in BUILT_IN:
            raise Problem(status=409, code="name_taken", detail=f"Everybody has the category {name}.")
        return Response(shown(OwnCategory.objects.get(owner=owner(request), name=name)), status=201)


class Shelf(APIView):
    """One of them."""

    required_scopes: ClassVar[Scopes] = {"GET": "read", "PATCH": "manage", "DELETE": "manage"}
    model: ClassVar[type[Named]]

    def own(self, request: Request, id: str) -> Named:
        """The caller's; 404 for another's."""
        rows: QuerySet[Any] = self.model._default_manager.filter(owner=owner(request))
        row: Named = get_object_or_404(rows, pk=id)
        return row

    def rename(self, request: Request, id: str) -> Response:
        """The new name, and the assets of its bearer where two are merged."""
        row, wanted = self.own(request, id), given(request, Rename)
        with refusals():
            moved = renaming.rename(row=row, name=wanted["name"], now=timezone.now(), merging=wanted["merge"])
        return Response(told(moved))

    def remove(self, request: Request, id: str) -> Response:
        """The assets stay."""
        return Response(told(renaming.remove(row=self.own(request, id))))


class OneTag(Shelf):
    """PATCH and DELETE of a tag."""

    model = Tag

    @renames("renameTag", "a tag")
    def patch(self, request: Request, id: str) -> Response:
        return self.rename(request, id)

    @removes("removeTag", "a tag")
    def delete(self, request: Request, id: str) -> Response:
        return self.remove(request, id)


class OneCollection(Shelf):
    """GET, PATCH and DELETE of a collection."""

    model = Collection

    @operation("getCollection", "Look at a collection", answers={200: NameSerializer})
    def get(self, request: Request, id: str) -> Response:
        return Response(shown(get_object_or_404(Collection, owner=owner(request), pk=id)))

    @renames("renameCollection", "a collection")
    def patch(self, request: Request, id: str) -> Response:
        return self.rename(request, id)

    @removes("removeCollection", "a collection")
    def delete(self, request: Request, id: str) -> Response:
        return self.remove(request, id)


class OneCategory(Shelf):
    """PATCH and DELETE of a category of one's own."""

    model = OwnCategory

    @renames("renameCategory", "a category of your own")
    def patch(self, request: Request, id: str) -> Response:
        return self.rename(request, id)

    @removes("removeCategory", "a category of your own")
    def delete(self, request: Request, id: str) -> Response:
        return self.remove(request, id)


def shown(row: Collection | OwnCategory) -> dict[str, Any]:
    """A name with its count, which ends where that of the lists does."""
    kept: QuerySet[Any] = (
        row.items.filter(kept=True)
        if isinstance(row, Collection)
        else Asset.objects.filter(owner=row.owner_id, category=row.name).kept()
    )
    return {"id": row.pk, "name": row.name, "count": kept[:COUNTED].count()}


def told(moved: Moved) -> dict[str, Any]:
    """What a rename or a removal has changed."""
    return {"changed": moved.assets, "finished": moved.finished}
