"""What a body may set is what is offered, and nothing else that the rows behind it have."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone

from accounts.models import ApiToken, User
from gallery import organising
from gallery.models import Asset, Collection, OwnCategory, ReferenceVersion, ShareLink, Tag
from gallery.tests.making import make_asset
from generation.models import Prediction, WebhookEndpoint
from generation.tests.calling import Caller
from generation.tests.making import BANANA, make_user
from palette.openapi import document

pytestmark = pytest.mark.django_db
LATER = (timezone.now() + timedelta(days=3)).isoformat()
PICTURE = {"prompt": "a lake", "model": BANANA}
FILM = {"prompt": "waves", "duration": 5, "resolution": "480p"}
# Each operation that takes JSON: a body that it accepts ("<asset>" stands for an asset's id) and whose rows it writes.
BODIES: dict[str, tuple[dict[str, Any], type[Model]]] = {
    "createImage": (PICTURE, Prediction),
    "createVideo": (FILM, Prediction),
    "createBatch": ({"items": [PICTURE, FILM]}, Prediction),
    "estimate": (PICTURE, Prediction),
    "updateAsset": ({"title": "The lake"}, Asset),
    "organiseAssets": ({"assets": ["<asset>"], "addTags": ["lake"]}, Asset),
    "trashAssets": ({"assets": ["<asset>"]}, Asset),
    "restoreAssets": ({"assets": ["<asset>"]}, Asset),
    "downloadAssets": ({"assets": ["<asset>"]}, Asset),
    "createCollection": ({"name": "Night shoot"}, Collection),
    "createCategory": ({"name": "Exteriors"}, OwnCategory),
    "renameTag": ({"name": "water"}, Tag),
    "renameCollection": ({"name": "Day shoot"}, Collection),
    "renameCategory": ({"name": "Interiors"}, OwnCategory),
    "pointReference": ({"assetId": "<asset>"}, ReferenceVersion),
    "shareAsset": ({"expiresAt": LATER}, ShareLink),
    "shareCollection": ({"expiresAt": LATER}, ShareLink),
    "createWebhook": ({"url": "https://hooks.example.com/a"}, WebhookEndpoint),
    "changeWebhook": ({"description": "b"}, WebhookEndpoint),
    "createToken": ({"name": "ci", "scopes": ["read"]}, ApiToken),
}


def with_json() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Every operation that takes a JSON object: its method, path, and schema."""
    found = {}
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            content = described.get("requestBody", {}).get("content", {}).get("application/json")
            if content:
                name = content["schema"].get("$ref", "").rpartition("/")[2]
                schema = document()["components"]["schemas"].get(name, content["schema"])
                found[described["operationId"]] = (method, path, schema)
    return found


OPERATIONS = with_json()


def camel(name: str) -> str:
    """As it would be called outside."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def fields_of(model: type[Model]) -> set[str]:
    """Every name under which a row's columns and relations might be given."""
    own = {field.name for field in model._meta.get_fields()} | {field.attname for field in model._meta.concrete_fields}
    return own | {camel(name) for name in own}


@pytest.fixture
def ada(in_files: None) -> Caller:
    return Caller(make_user())


@pytest.fixture
def things(ada: Caller) -> dict[str, Any]:
    """What stands for `{id}` and `{name}`, by the word in the path before it."""
    asset, now = make_asset(owner=ada.user), timezone.now()
    change = organising.Change(add_tags=["dusk"], collect="Old shoot")
    organising.organise_assets(owner=ada.user, ids=[asset.pk], change=change, now=now)
    return {
        "assets": asset.pk,
        "collections": Collection.objects.get(owner=ada.user).pk,
        "tags": Tag.objects.get(owner=ada.user).pk,
        "categories": OwnCategory.objects.create(owner=ada.user, name="Old").pk,
        "references": "hero",
        "webhooks": WebhookEndpoint.objects.create(
            user=ada.user, url="https://hooks.example.com/", secret="s", created_at=now
        ).pk,
    }


def send(ada: Caller, id: str, things: dict[str, Any], more: dict[str, Any]) -> Any:
    """The operation's own body with more in it."""
    method, path, _ = OPERATIONS[id]
    before, _, rest = path.partition("/{")
    address = f"{before}/{things[before.rpartition('/')[2]]}{rest.partition('}')[2]}" if rest else path
    given, asset = BODIES[id][0], str(things["assets"])
    body = {
        name: [asset] if value == ["<asset>"] else asset if value == "<asset>" else value
        for name, value in given.items()
    }
    return getattr(ada.client, method)(address, body | more, content_type="application/json", headers=ada.headers({}))


def rows(user: User) -> list[Any]:
    """All that might be written."""
    models: list[type[Model]] = [
        Asset,
        Collection,
        OwnCategory,
        Tag,
        ReferenceVersion,
        ShareLink,
        Prediction,
        WebhookEndpoint,
    ]
    return [list(model._default_manager.order_by("pk").values()) for model in models] + [
        list(User.objects.filter(pk=user.pk).values()),
        ApiToken.objects.count(),
    ]


class TestBodies:
    def test_are_all_tried(self) -> None:
        assert OPERATIONS.keys() == BODIES.keys()

    @pytest.mark.parametrize("id", BODIES)
    def test_are_refused_whole_for_a_member_that_is_not_offered(
        self, ada: Caller, things: dict[str, Any], id: str
    ) -> None:
        foreign = sorted(fields_of(BODIES[id][1]) - OPERATIONS[id][2]["properties"].keys())
        before = rows(ada.user)

        told = {
            name: send(ada, id, things, {name: value}).status_code for name, value in dict.fromkeys(foreign, 1).items()
        }
        together = send(ada, id, things, dict.fromkeys(foreign, "1"))

        assert foreign
        assert {name: status for name, status in told.items() if status not in (400, 422)} == {}
        assert {error["field"] for error in together.json()["errors"]} <= set(foreign)
        assert rows(ada.user) == before

    @pytest.mark.parametrize("id", BODIES)
    def test_are_accepted_as_they_are_offered(self, ada: Caller, things: dict[str, Any], id: str) -> None:
        assert send(ada, id, things, {}).status_code in (200, 201)
