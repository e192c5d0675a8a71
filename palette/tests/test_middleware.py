"""Middleware changes threads only where it waits, and the provider's door stands before what pages need."""

import threading
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import reverse

from palette.middleware import Messages, Sessions, Unthreaded


class Noting(Unthreaded):
    """Notes in which threads its halves run."""

    waits = False

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.threads: list[str] = []

    def waits_before(self, request: HttpRequest) -> bool:
        return self.waits

    def waits_after(self, request: HttpRequest, response: Any) -> bool:
        return self.waits

    def process_request(self, request: HttpRequest) -> None:
        self.threads.append(threading.current_thread().name)

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        self.threads.append(threading.current_thread().name)
        return response


async def respond(request: HttpRequest) -> HttpResponse:
    return HttpResponse("well")


@pytest.mark.parametrize("waits", [False, True])
async def test_halves_run_in_a_thread_of_their_own_if_they_wait(waits: bool) -> None:
    noting: Any = Noting(respond)
    noting.waits = waits

    answer = await noting(HttpRequest())

    assert answer.content == b"well"
    assert [name == threading.current_thread().name for name in noting.threads] == [not waits] * 2


def test_a_session_waits_when_it_is_to_be_saved() -> None:
    request, middleware = HttpRequest(), Sessions(respond)
    request.session = SessionStore()
    assert not middleware.waits_after(request, HttpResponse())

    request.session["seen"] = True

    assert middleware.waits_after(request, HttpResponse())


def test_messages_wait_when_there_are_any() -> None:
    request, middleware = HttpRequest(), Messages(respond)
    request.session = SessionStore()
    middleware.process_request(request)
    assert not middleware.waits_after(request, HttpResponse())

    request._messages.add(20, "Kept.")  # type: ignore[attr-defined]  # what `messages.success` does

    assert middleware.waits_after(request, HttpResponse())


@pytest.mark.django_db(transaction=True)
async def test_a_form_is_held_against_its_token_under_asgi_too() -> None:
    client = AsyncClient(enforce_csrf_checks=True)

    answer = await client.post(reverse("account_login"), {"login": "ines", "password": "correct horse"})

    assert answer.status_code == 403


@pytest.mark.django_db
def test_the_providers_door_has_the_headers_of_all_others() -> None:
    page, door = Client().get("/healthz"), Client().post("/api/webhooks/replicate", b"{}", "application/json")

    assert door.status_code in (400, 503)
    for name in ("Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "X-Request-ID"):
        assert name in page.headers
        assert name in door.headers
    assert door.headers["Cache-Control"] == "no-store"


def test_the_policy_is_the_settings() -> None:
    policy = Client().get("/healthz").headers["Content-Security-Policy"]

    for directive, sources in settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].items():
        assert f"{directive} {' '.join(sources)}" in policy


@pytest.mark.django_db
def test_the_providers_door_is_at_our_host_alone() -> None:
    answer = Client().post("/api/webhooks/replicate", b"{}", "application/json", headers={"Host": "evil.example"})

    assert answer.status_code == 400
