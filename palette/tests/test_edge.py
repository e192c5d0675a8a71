"""What holds for every request and answer, whichever view it is for."""

import gzip
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from pytest_django import Settings

from accounts.models import ApiToken, User
from accounts.tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(client: Client) -> User:
    """An administrator, signed in."""
    user = make_user("root", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


class TestNoNul:
    @pytest.mark.parametrize(
        "address",
        [
            "/gallery/?q=%00",
            "/usage/?model=%00",
            "/admin/generation/prediction/?status__exact=%00",
            "/admin/accounts/user/?q=a%00",
            "/admin/accounts/user/%00/change/",
        ],
    )
    def test_comes_in_by_an_address(self, client: Client, root: User, address: str) -> None:
        assert client.get(address).status_code == 400

    @pytest.mark.parametrize(
        ("address", "status"),
        [
            ("/api/predictions?cursor=%00", 422),
            ("/api/predictions/%00", 404),
            ("/api/gallery/assets?q=%00", 422),
            ("/api/usage?x=%00", 200),
        ],
    )
    def test_is_no_fault_in_the_api(self, client: Client, root: User, address: str, status: int) -> None:
        assert client.get(address).status_code == status

    @pytest.mark.parametrize(
        ("address", "form"),
        [
            ("/generate", {"prompt": "a\0b"}),
            ("/generate", {"prompt": "a", "model": "a\0b"}),
            ("/generate", {"prompt": "a", "idempotency_key": "\0"}),
            ("/estimate", {"prompt": "a\0b"}),
            ("/theme", {"theme": "\0", "next": "/\0"}),
            ("/settings/", {"name": "a\0b", "email": "a\0@example.org", "theme": "\0"}),
            ("/settings/tokens/", {"name": "a\0b", "days": "\0"}),
            ("/accounts/login/", {"login": "a\0b", "password": "\0"}),
            ("/accounts/signup/", {"username": "a\0", "email": "a@example.org", "password1": "\0", "password2": "\0"}),
        ],
    )
    def test_is_no_fault_in_a_form(self, client: Client, root: User, address: str, form: dict[str, str]) -> None:
        assert client.post(address, form).status_code < 500
        client.logout()
        assert client.post(address, form).status_code < 500
        assert not User.objects.exclude(pk=root.pk).exists()


class TestAdmin:
    def test_leads_to_no_pages_of_objects(self, client: Client, root: User) -> None:
        kind = ContentType.objects.get_for_model(ApiToken)

        assert client.get(f"/admin/r/{kind.pk}/1/").status_code == 404


class TestHeaders:
    def test_frame_no_file(self, client: Client) -> None:
        assert_unframed(client.get("/static/favicon.svg"), 200)

    def test_frame_no_refusal(self, client: Client) -> None:
        assert_unframed(client.get("/", headers={"host": "evil.example"}), 400)

    def test_frame_no_way_to_https(self, client: Client, settings: Settings) -> None:
        settings.SECURE_SSL_REDIRECT = True

        assert_unframed(client.get("/gallery/"), 301)
        assert_unframed(client.get("/", headers={"host": "evil.example"}), 400)

    @pytest.mark.parametrize(
        ("address", "rule"),
        [
            ("/", "private, no-cache"),
            ("/gallery/", "private, no-cache"),
            ("/nothing", "private, no-cache"),
            ("/admin/", "no-store"),
            ("/settings/", "no-store"),
            ("/api/predictions", "no-store"),
            ("/api/nothing", "no-store"),
            ("/static/favicon.svg", "public"),
            ("/healthz", "no-store"),
        ],
    )
    def test_say_who_may_keep_it(self, client: Client, root: User, address: str, rule: str) -> None:
        assert rule in client.get(address)["Cache-Control"]


def assert_unframed(response: Any, status: int) -> None:
    """`response` has that status, and says to browsers that no page may show it inside of itself."""
    assert response.status_code == status
    assert response["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


class TestCompressed:
    def test_pages_are(self, client: Client) -> None:
        plain = client.get("/accounts/signup/")
        packed = client.get("/accounts/signup/", headers={"accept-encoding": "br, gzip"})

        assert "Content-Encoding" not in plain.headers
        assert packed["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in packed["Vary"] and "Accept-Encoding" in plain["Vary"]
        assert b"<main" in gzip.decompress(packed.content)
        assert len(packed.content) < len(plain.content) / 2

    def test_other_answers_are_as_they_are(self, client: Client, root: User) -> None:
        sheet = client.get("/usage/ledger.csv", headers={"accept-encoding": "gzip"})

        assert sheet.status_code == 200 and "Content-Encoding" not in sheet.headers
