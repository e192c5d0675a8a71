"""Every address of the product, as a stranger, as nobody, with a token that may too little, and from a foreign page.

Routes are found in the URL configuration. One that names something by an id has to lie under a prefix that says here
what it is of; one that is open to everybody has to be named here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from accounts.api.scopes import required_scope
from accounts.models import User
from accounts.models.tokens import SCOPES
from accounts.tokens import create_token
from gallery import descriptions, organising, sharing
from gallery.models import Asset, Collection, OwnCategory, Tag
from gallery.tests.making import make_asset
from generation.models import Batch, OutgoingMessage, Prediction, WebhookEndpoint
from generation.models.outgoing import TEST_EVENT
from generation.tests.making import make_prediction, make_user
from palette.openapi import document

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")
UNSAFE = METHODS[1:]
NO_LINK = "x" * 32

# What the first `id` below a prefix is of; the longest prefix counts.
OF = {
    "/predictions/": "prediction",
    "/gallery/": "asset",
    "/assets/": "asset",
    "/gallery/collections/": "collection",
    "/gallery/links/": "share",
    "/settings/tokens/": "token",
    "/settings/webhooks/": "webhook",
    "/api/predictions/": "prediction",
    "/api/batches/": "batch",
    "/api/gallery/assets/": "asset",
    "/api/gallery/collections/": "collection",
    "/api/gallery/tags/": "tag",
    "/api/gallery/categories/": "category",
    "/api/gallery/references/": "reference",
    "/api/gallery/shares/": "share",
    "/api/tokens/": "token",
    "/api/webhooks/": "webhook",
    "/gallery/shelves/": "shelf",
}
# Whoever comes: the way in, links that are themselves the key, machines, and what describes the API.
OPEN = (
    "/accounts/",
    "/s/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/favicon.ico",
    "/theme",
    "/api/schema",
    "/api/docs",
    "/api/webhooks/replicate",
)
# These answer whoever may not see them as if there were none: a file's address may be anywhere, and the styleguide is
# for those who work on the product.
HIDDEN = ("/assets/", "/styleguide")
# No session is looked at there; the provider signs what it sends.
MACHINES = {"/api/webhooks/replicate"}
# A name means the caller's own, so that a stranger may give it: there it is nobody's.
OWN_NAMES = {("/api/gallery/references/{name}", "put")}
# Columns, and what they might be called outside, as somebody would guess who would like to set them.
INNER = dict.fromkeys(
    (
        *("id", "owner", "ownerId", "user", "user_id", "isStaff", "is_staff", "status", "state", "cost", "cost_micros"),
        *("provider", "providerId", "storageKey", "storage_key", "createdAt", "revoked_at", "secret"),
    ),
    "1",
)


@dataclass(frozen=True)
class Route:
    """An address: its path with its arguments in braces, and its view."""

    path: str
    view: Any

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/") and hasattr(self.view, "cls")

    @property
    def is_open(self) -> bool:
        return self.path.startswith(OPEN)

    @property
    def arguments(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def methods(self) -> list[str]:
        """Those that it answers; of pages GET and POST are tried."""
        return [name for name in METHODS if hasattr(self.view.cls, name)] if self.is_api else ["get", "post"]

    def address(self, things: dict[str, dict[str, Any]]) -> str:
        """With `things` in the place of the arguments; KeyError where nobody said what they are of."""
        if not self.arguments:
            return self.path
        kind = max((prefix for prefix in OF if self.path.startswith(prefix)), key=len)
        return self.path.format(**things[OF[kind]])


def routes() -> list[Route]:
    """All, but the admin's own, which has its own tests."""

    def walk(patterns: Any, before: str) -> Iterator[Route]:
        for pattern in patterns:
            path = before + str(pattern.pattern)
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern.url_patterns, path)
            else:
                plain = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", path)
                plain = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", plain)
                yield Route(plain.replace("^", "").removesuffix("$").removesuffix("/?"), pattern.callback)

    return [route for route in walk(get_resolver().url_patterns, "/") if not route.path.startswith("/admin/")]


ROUTES = routes()
API = [route for route in ROUTES if route.is_api]
PAGES = [route for route in ROUTES if not route.is_api and not route.is_open]


@pytest.fixture
def ada(in_files: None) -> User:
    return make_user()


@pytest.fixture
def things(ada: User) -> dict[str, dict[str, Any]]:
    """One of everything that is ada's, by what it is."""
    return make_things(ada)


def make_things(ada: User) -> dict[str, dict[str, Any]]:
    """Rows and files, by the words of `OF`."""
    now = timezone.now()
    asset: Asset = make_asset(owner=ada)
    # The original stands for what is made from it, so that each of its addresses has something to show.
    key = asset.storage_key
    made = {"thumbnail_key": key, "thumbnails": {"320": key}, "poster_key": key, "preview_key": key}
    Asset.objects.filter(pk=asset.pk).update(**made)
    changes = {"tags": ["lake"], "reference_name": "lake-blue"}
    descriptions.update_asset(asset=asset, changes=changes, now=now)
    descriptions.add_category(owner_id=ada.pk, name="Exteriors")
    change = organising.Change(collect="Night shoot")
    organising.organise_assets(owner=ada, ids=[asset.pk], change=change, now=now)
    link = sharing.create_share_link(owner=ada, to=asset, expires_at=now + timedelta(days=1), now=now)
    token, _ = create_token(user=ada, name="ci", expires_at=None, now=now)
    tag = Tag.objects.get(owner=ada)
    webhook = WebhookEndpoint.objects.create(user=ada, url="https://hooks.example.com/", secret="s", created_at=now)
    message = OutgoingMessage.objects.create(
        endpoint=webhook, event=TEST_EVENT, created_at=now, requested_at=now, due_at=now
    )
    return {
        "prediction": {"id": make_prediction(user=ada, now=now).pk},
        "batch": {"id": Batch.objects.create(user=ada, created_at=now).pk},
        "asset": {"id": asset.pk, "width": 320},
        "collection": {"id": Collection.objects.get(owner=ada).pk},
        "tag": {"id": tag.pk},
        "category": {"id": OwnCategory.objects.get(owner=ada).pk},
        "reference": {"name": "lake-blue"},
        "share": {"id": link.pk},
        "token": {"id": token.pk},
        "shelf": {"kind": "tag", "id": tag.pk},
        "webhook": {"id": webhook.pk, "delivery": message.pk},
    }


@pytest.fixture
def rui() -> Client:
    """A stranger's browser, signed in; forms are let through without their token."""
    client = Client(raise_request_exception=False)
    client.force_login(make_user(username="rui"))
    return client


def call(client: Client, method: str, address: str, **headers: str) -> Any:
    """One request, with an empty JSON object where a body belongs."""
    body = {} if method in ("get", "delete") else {"data": "{}", "content_type": "application/json"}
    return getattr(client, method)(address, headers=headers, **body)


def bearer(user: User, scopes: tuple[str, ...]) -> dict[str, str]:
    """The header of a token with these scopes."""
    _, token = create_token(user=user, name="ci", expires_at=None, now=timezone.now(), scopes=scopes)
    return {"Authorization": f"Bearer {token}"}


def rows() -> list[Any]:
    """All that is somebody's and might be changed."""
    models: list[type[Model]] = [
        Asset,
        Collection,
        Tag,
        OwnCategory,
        Prediction,
        Batch,
        WebhookEndpoint,
        OutgoingMessage,
    ]
    return [list(model._default_manager.order_by("pk").values()) for model in models]


class TestTable:
    def test_says_of_every_route_with_an_id_what_it_is_of(self) -> None:
        unknown = [
            route.path
            for route in ROUTES
            if route.arguments and not route.is_open and not any(route.path.startswith(prefix) for prefix in OF)
        ]

        assert unknown == []

    def test_names_no_prefix_that_is_gone(self) -> None:
        assert [prefix for prefix in (*OF, *OPEN) if not any(r.path.startswith(prefix) for r in ROUTES)] == []

    def test_finds_them(self) -> None:
        assert len(API) >= 30
        assert len(PAGES) >= 30


class TestOwner:
    """Without this a stranger might find nothing because nothing is there."""

    @pytest.mark.parametrize("route", [route for route in [*API, *PAGES] if route.arguments], ids=lambda r: r.path)
    def test_finds_each(self, things: dict[str, dict[str, Any]], ada: User, route: Route) -> None:
        client = Client(raise_request_exception=False)
        client.force_login(ada)

        told = {method: call(client, method, route.address(things)).status_code for method in route.methods}

        assert set(told.values()) - {404, 405}, told


class TestStranger:
    def test_finds_nothing_that_is_another_s(self, things: dict[str, dict[str, Any]], rui: Client) -> None:
        found = []
        for route in [route for route in [*API, *PAGES] if route.arguments]:
            told = {method: call(rui, method, route.address(things)).status_code for method in route.methods}
            found += [
                (method, route.path, status)
                for method, status in told.items()
                if status not in (404, 405) and (route.path, method) not in OWN_NAMES
            ]
            assert 404 in told.values(), route.path

        assert found == []

    def test_leaves_everything_as_it_was(self, things: dict[str, dict[str, Any]], rui: Client, ada: User) -> None:
        before = rows()

        for route in [route for route in [*API, *PAGES] if route.arguments]:
            for method in route.methods:
                call(rui, method, route.address(things))

        assert rows() == before
        assert ada.api_tokens.filter(revoked_at=None).count() == 1
        assert ada.share_links.filter(revoked_at=None).count() == 1

    def test_has_no_way_in_without_the_right_link(self, things: dict[str, dict[str, Any]], rui: Client) -> None:
        shared = [route for route in ROUTES if route.path.startswith("/s/")]

        told = {
            route.path: {
                call(rui, method, route.path.format(token=NO_LINK, **things["asset"])).status_code
                for method in ("get", "post")
            }
            for route in shared
        }

        assert shared
        assert all(statuses <= {404, 405} and 404 in statuses for statuses in told.values()), told


class TestNobody:
    def test_is_told_by_the_api_to_sign_in(self, things: dict[str, dict[str, Any]]) -> None:
        client = Client(raise_request_exception=False)

        told = [
            (method, route.path, response.status_code)
            for route in API
            for method in route.methods
            if (response := call(client, method, route.address(things))).status_code != 401
            or response["Content-Type"] != "application/problem+json"
            or not response["WWW-Authenticate"].startswith("Bearer")
        ]

        assert told == []

    def test_is_led_by_pages_to_the_door(self, things: dict[str, dict[str, Any]]) -> None:
        client = Client(raise_request_exception=False)
        told = []
        for route in PAGES:
            for method in route.methods:
                response = call(client, method, route.address(things))
                led = response.status_code == 302 and response["Location"].startswith("/accounts/login/")
                hidden = response.status_code == 404 and route.path.startswith(HIDDEN)
                if not led and not hidden and response.status_code != 405:
                    told.append((method, route.path, response.status_code))

        assert told == []


class TestToken:
    def test_needs_the_scope_of_each_call(self, things: dict[str, dict[str, Any]], ada: User) -> None:
        client = Client(raise_request_exception=False)
        without = {scope: bearer(ada, tuple(other for other in SCOPES if other != scope)) for scope in SCOPES}
        told = []
        for route in API:
            for method in route.methods:
                scope = required_scope(route.view.cls, method.upper())
                assert scope, (method, route.path)
                response = call(client, method, route.address(things), **without[scope])
                if response.status_code != 403 or response.json()["requiredScope"] != scope:
                    told.append((method, route.path, response.status_code))

        assert told == []


class TestMembers:
    """What a body may hold is what its operation takes: nobody sets the rest by guessing how it is called inside."""

    def test_that_are_not_taken_are_named_and_change_nothing(
        self, things: dict[str, dict[str, Any]], ada: User
    ) -> None:
        client, before, told = Client(raise_request_exception=False), rows(), []
        headers = bearer(ada, SCOPES)
        taking = [
            (route, method)
            for route in API
            for method, described in document()["paths"].get(route.path, {}).items()
            if "application/json" in described.get("requestBody", {}).get("content", {})
        ]

        for route, method in taking:
            body = json.dumps(INNER)
            response = client.generic(method.upper(), route.address(things), body, "application/json", headers=headers)
            named = {error["field"] for error in response.json().get("errors", [])}
            if response.status_code not in (400, 422) or not named >= INNER.keys():
                told.append((method, route.path, response.status_code, sorted(named)))

        assert len(taking) >= 15
        assert told == []
        assert rows() == before


class TestForeignPage:
    def test_changes_nothing_with_a_session_alone(self, things: dict[str, dict[str, Any]], ada: User) -> None:
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        client.force_login(ada)
        described = [(route, [name for name in route.methods if name in UNSAFE]) for route in API]
        forms = [(route, ["post"]) for route in ROUTES if not route.is_api and route.path not in MACHINES]
        told = []
        for route, methods in [*described, *forms]:
            for method in methods:
                given = {"token": NO_LINK, "key": "k", "uidb36": "u"} | things["asset"]
                address = route.path.format(**given) if route.is_open else route.address(things)
                status = call(client, method, address).status_code
                if status != 403:
                    told.append((method, route.path, status))

        assert told == []
