"""In production every answer carries the headers that guard it: each route and status, whoever asks and however."""

import re
from html.parser import HTMLParser
from typing import Any, Final

import pytest
from django.apps import apps
from django.test import Client
from pytest_django import Settings

from accounts.models import CacheRow, User
from accounts.tests.overseeing import make_administrator
from palette.tests.test_environment import PRODUCTION, read_settings
from palette.tests.test_environment import surroundings as surroundings
from palette.tests.test_every_route import NO_LINK, OF, ROUTES, Route, ada, things

pytestmark = pytest.mark.django_db
HOST: Final = "studio.example.com"
__all__ = ["ada", "surroundings", "things"]
# What differs in production, taken over from there.
GUARDS: Final = re.compile(r"SECURE_|SESSION_COOKIE_|CSRF_COOKIE_|CONTENT_SECURITY_|ALLOWED_HOSTS|PUBLIC_URL|X_FRAME_")
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
}
# Only these: `theme` says dark or light and is nobody's.
COOKIES: Final = {"__Host-sessionid", "__Host-csrftoken", "theme"}
ADMIN: Final = (
    "",
    "health/",
    "accounts/user/",
    "accounts/user/1/change/",
    "generation/prediction/",
    "nothing/",
    "login/",
)
# What says so when a service or a secret is not there.
UNREADY: Final = ("/readyz", "/api/webhooks/replicate")
# Machines and libraries whose page is not ours; their answers carry the headers all the same.
WITH_SCRIPTS: Final = ("/api/docs",)


@pytest.fixture
def production(settings: Settings, surroundings: pytest.MonkeyPatch) -> None:
    """What browsers meet in production, in these tests' database."""
    for name, value in read_settings(surroundings, PRODUCTION).items():
        if GUARDS.match(name) and name.isupper():
            setattr(settings, name, value)


class Suspect(HTMLParser):
    """What a page must not have if its policy is to hold: inline scripts, styles and handlers, and `javascript:`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and "src" not in given and given.get("type") not in {"application/json", "text/template"}:
            self.found.append("an inline script")
        self.found += [f"{name} of {tag}" for name in given if name.startswith("on") or name == "style"]
        self.found += [
            f"{name}={value}" for name, value in attrs if (value or "").strip().lower().startswith("javascript:")
        ]


def problems(response: Any, address: str) -> list[str]:
    """What is missing from, or wrong with, an answer."""
    wrong = [f"{name}: {response.get(name)}" for name, value in HEADERS.items() if response.get(name) != value]
    if response.get("Referrer-Policy") not in {"same-origin", "no-referrer"}:
        wrong.append(f"Referrer-Policy: {response.get('Referrer-Policy')}")
    policy = response.get("Content-Security-Policy", "")
    if "default-src 'none'" not in policy or ("frame-ancestors 'none'" not in policy and "sandbox" not in policy):
        wrong.append(f"policy: {policy}")
    if re.search(r"unsafe-|nonce-|\*|https?:(?!//)", policy):
        wrong.append(f"policy: {policy}")
    if "Cache-Control" not in response and not address.startswith("/static/"):
        wrong.append("says nothing to caches")
    for name, cookie in response.cookies.items():
        whole = cookie["secure"] and cookie["samesite"] == "Lax" and cookie["path"] == "/" and not cookie["domain"]
        hidden = cookie["httponly"] or name in {"__Host-csrftoken", "theme"}
        if name not in COOKIES or not (whole and hidden):
            wrong.append(f"cookie: {cookie.OutputString()}")
    if response.status_code >= 500 and address not in UNREADY:
        wrong.append(f"status {response.status_code}")
    if response.get("Content-Type", "").startswith("text/html") and not address.startswith(WITH_SCRIPTS):
        suspect = Suspect()
        suspect.feed(response.content.decode())
        wrong += suspect.found
    return [f"{response.request['REQUEST_METHOD']} {address} {response.status_code}: {line}" for line in wrong]


def is_known(route: Route) -> bool:
    """Whether somebody has said what its arguments name; the walk over all routes finds those of which nobody has."""
    return not route.arguments or route.is_open or any(route.path.startswith(prefix) for prefix in OF)


def filled(route: Route, things: dict[str, dict[str, Any]]) -> str:
    """The route's address, of something of ada's where it names anything."""
    given = {"token": NO_LINK, "key": "k", "uidb36": "u"} | things["asset"]
    return route.path.format(**given) if route.is_open else route.address(things)


def ask_all(client: Client, addresses: list[str], methods: tuple[str, ...] = ("GET", "POST")) -> list[str]:
    """Everything wrong with what `client` is answered."""
    return [
        line
        for address in addresses
        for method in methods
        for line in problems(client.generic(method, address, secure=True, headers={"host": HOST}), address)
    ]


@pytest.mark.usefixtures("production")
class TestEveryAnswer:
    @pytest.fixture
    def addresses(self, things: dict[str, dict[str, Any]]) -> list[str]:
        """All but the page that signs out, which would end the walk, and the admin's."""
        own = [filled(route, things) for route in ROUTES if "logout" not in route.path and is_known(route)]
        return [*own, "/nothing", "/static/favicon.svg", "/%2e%2e/"]

    def test_to_nobody_is_guarded(self, addresses: list[str]) -> None:
        client = Client(raise_request_exception=False, enforce_csrf_checks=True)

        assert ask_all(client, addresses) == []

    def test_to_a_creator_is_guarded(self, addresses: list[str], ada: User) -> None:
        client = Client(raise_request_exception=False, enforce_csrf_checks=True)
        client.force_login(ada)

        assert ask_all(client, addresses) == []

    def test_to_an_administrator_and_strange_methods_is_guarded(self, settings: Settings) -> None:
        addresses = [*(f"/{settings.ADMIN_PATH}{path}" for path in ADMIN), "/", "/api/predictions", "/healthz"]
        client = Client(raise_request_exception=False, enforce_csrf_checks=True)
        client.force_login(make_administrator())

        assert ask_all(client, addresses, ("GET", "HEAD", "POST", "PUT", "PROPFIND")) == []

    def test_by_plain_http_is_a_way_to_https_or_says_nothing(self, addresses: list[str]) -> None:
        client = Client(raise_request_exception=False)
        told = {address: client.get(address, headers={"host": HOST}) for address in addresses}

        plain = {address for address, response in told.items() if response.status_code != 301}

        assert plain == {"/healthz", "/readyz", "/metrics", "/api/webhooks/replicate"}
        assert all(told[address]["X-Content-Type-Options"] == "nosniff" for address in told)

    def test_to_a_strange_host_is_guarded(self) -> None:
        response = Client().get("/", secure=True, headers={"host": "evil.example"})

        assert response.status_code == 400
        assert problems(response, "/") == []


@pytest.mark.usefixtures("production")
class TestSigningIn:
    def test_gives_cookies_that_no_script_and_no_plain_line_can_take(self, ada: User) -> None:
        client = Client()
        form = {"login": ada.username, "password": "correct horse battery"}

        response = client.post("/accounts/login/", form, secure=True, headers={"host": HOST})

        assert (response.status_code, response["Location"]) == (302, "/")
        assert {"__Host-sessionid", "__Host-csrftoken"} <= response.cookies.keys()
        assert response.cookies["__Host-sessionid"]["httponly"]
        assert problems(response, "/accounts/login/") == []


class TestLooking:
    def test_changes_nothing(self, things: dict[str, dict[str, Any]], ada: User) -> None:
        client = Client(raise_request_exception=False)
        client.force_login(ada)
        models = [model for model in apps.get_models() if model is not CacheRow and model._meta.app_label != "sessions"]
        before = {model: sorted(map(repr, model._default_manager.values_list())) for model in models}

        for route in filter(is_known, ROUTES):
            client.get(filled(route, things))

        for model in models:
            assert sorted(map(repr, model._default_manager.values_list())) == before[model], model
