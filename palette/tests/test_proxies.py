"""Who the client is, as told by a proxy that is trusted and by everyone else."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from palette.proxies import TrustedProxies


def client_address(sender: str, forwarded_for: str) -> str:
    """REMOTE_ADDR as a view sees it."""
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    request = RequestFactory().get(
        "/", REMOTE_ADDR=sender, HTTP_X_FORWARDED_FOR=forwarded_for, HTTP_X_FORWARDED_PROTO="https"
    )
    TrustedProxies(view)(request)
    return str(seen[0].META["REMOTE_ADDR"])


class TestTrustedProxies:
    @pytest.fixture(autouse=True)
    def proxies(self, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.0/8", "::1"]

    @pytest.mark.parametrize(
        ("sender", "forwarded_for", "client"),
        [
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.1", "not an address", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("::1", "2001:db8::1", "2001:db8::1"),
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
            ("", "198.51.100.1", ""),
        ],
    )
    def test_name_the_nearest_stranger(self, sender: str, forwarded_for: str, client: str) -> None:
        assert client_address(sender, forwarded_for) == client

    @pytest.mark.parametrize(("sender", "believed"), [("10.0.0.1", True), ("203.0.113.9", False)])
    def test_alone_may_say_that_it_was_https(self, settings: Settings, sender: str, believed: bool) -> None:
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        request = RequestFactory().get("/", REMOTE_ADDR=sender, HTTP_X_FORWARDED_PROTO="https")

        TrustedProxies(lambda request: HttpResponse())(request)

        assert request.is_secure() is believed
