"""What `manage.py check` and a starting worker say of the address that the provider is given."""

import signal
import socket
import threading
import time
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import Alert
from generation import checks
from generation.management.commands import worker
from generation.tests.wire import Wire, raw, says, silent
from generation.webhooks import reach
from generation.work.loop import Loop


def ids(*, deploy: bool = False) -> set[str]:
    """The ids of our own warnings."""
    found = run_checks(include_deployment_checks=deploy)
    return {message.id for message in found if message.id and message.id.startswith("generation.")}


class TestScheme:
    @pytest.mark.parametrize(
        ("public_url", "token", "provider_url", "warned"),
        [
            ("http://127.0.0.1:8000", "r8_x", "https://api.replicate.com", True),
            ("https://studio.example.com", "r8_x", "https://api.replicate.com", False),
            ("", "r8_x", "https://api.replicate.com", False),
            ("http://127.0.0.1:8000", "r8_x", "http://127.0.0.1:8765", False),
            ("http://127.0.0.1:8000", "", "http://127.0.0.1:8765", False),
        ],
    )
    def test_is_https_for_the_real_provider(
        self, settings: Settings, public_url: str, token: str, provider_url: str, warned: bool
    ) -> None:
        settings.PUBLIC_URL, settings.REPLICATE_API_TOKEN, settings.PROVIDER_URL = public_url, token, provider_url

        assert ids() == ({"generation.W001"} if warned else set())


class TestKnock:
    def test_is_answered_by_our_own_door(self, live_server: LiveServer, settings: Settings) -> None:
        settings.PUBLIC_URL, settings.REPLICATE_WEBHOOK_SECRETS = live_server.url, ["whsec_" + "A" * 32]

        assert reach.knock() == reach.Answer(400)

    @pytest.mark.parametrize(
        ("location", "leads_to"),
        [
            ("https://www.example.com/api/webhooks/replicate", "https://www.example.com"),
            ("https://user:secret@www.example.com:8443/x", "https://www.example.com:8443"),
            ("//www.example.com/", "http://www.example.com"),
            ("", ""),
            ("https://[nonsense", ""),
        ],
    )
    def test_hears_where_a_redirect_leads_and_does_not_follow(
        self, settings: Settings, location: str, leads_to: str
    ) -> None:
        with Wire([says(301, location=location)]) as server:
            settings.PUBLIC_URL = server.url

            assert reach.knock() == reach.Answer(301, leads_to)

        (asked,) = server.requests
        assert (asked.method, asked.path) == ("POST", "/api/webhooks/replicate")
        assert "webhook-signature" not in asked.headers

    def test_reads_no_body(self, settings: Settings) -> None:
        def endless(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)

        with Wire([endless]) as server:
            settings.PUBLIC_URL = server.url

            assert reach.knock().status == 400

    @pytest.mark.parametrize("behaviour", [raw(b""), raw(b"nonsense\r\n\r\n"), silent], ids=["empty", "odd", "silent"])
    def test_of_whom_nothing_sensible_comes_is_unanswered(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, behaviour: Callable[[socket.socket], None]
    ) -> None:
        monkeypatch.setattr(reach, "SECONDS", 0.5)
        begun = time.monotonic()
        with Wire([behaviour]) as server:
            settings.PUBLIC_URL = server.url

            assert reach.knock() == reach.Answer()

        assert time.monotonic() - begun < 15

    def test_waits_for_no_resolver(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.PUBLIC_URL = "https://studio.example.com"
        answered = threading.Event()
        monkeypatch.setattr(reach, "SECONDS", 0.3)

        def resolve(*_: object, **__: object) -> list[object]:
            answered.wait(30)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        begun = time.monotonic()

        assert reach.knock() == reach.Answer()

        assert time.monotonic() - begun < 15
        answered.set()


class TestDeployment:
    @pytest.mark.parametrize(
        ("status", "warned"), [(301, True), (308, True), (400, False), (503, False), (404, False), (0, False)]
    )
    def test_warns_of_redirects_alone(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, status: int, warned: bool
    ) -> None:
        settings.PUBLIC_URL = "https://studio.example.com"
        monkeypatch.setattr(reach, "knock", lambda: reach.Answer(status))

        assert ("generation.W002" in ids(deploy=True)) is warned
        assert "generation.W002" not in ids()

    @pytest.mark.parametrize(
        ("leads_to", "hint"),
        [
            ("https://www.example.com", "Set PUBLIC_URL to https://www.example.com, where it leads to."),
            ("https://studio.example.com", "Let what stands in front"),
            ("", "Let what stands in front"),
        ],
    )
    def test_hints_at_the_way_out(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, leads_to: str, hint: str
    ) -> None:
        settings.PUBLIC_URL = "https://studio.example.com"
        monkeypatch.setattr(reach, "knock", lambda: reach.Answer(301, leads_to))

        (warning,) = checks.webhooks_arrive(None)

        assert (warning.hint or "").startswith(hint)

    def test_asks_nobody_without_an_address(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.PUBLIC_URL = ""
        monkeypatch.setattr(reach, "knock", lambda: 1 / 0)

        assert checks.webhooks_arrive(None) == []
        checks.note_whether_webhooks_arrive()


@pytest.mark.django_db
class TestWorkerAtItsStart:
    def answer(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, *answer: Any) -> None:
        settings.PUBLIC_URL = "https://studio.example.com"
        monkeypatch.setattr(reach, "knock", lambda: reach.Answer(*answer))
        checks.note_whether_webhooks_arrive()

    def test_tells_of_a_redirect_until_it_is_gone(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer(settings, monkeypatch, 301, "https://www.example.com")
        alert = Alert.objects.get()
        assert alert.name == "webhook_redirected"
        assert "https://www.example.com" in alert.detail

        self.answer(settings, monkeypatch, 0)
        assert Alert.objects.get().over_at is None

        self.answer(settings, monkeypatch, 400)
        assert Alert.objects.get().over_at

    def test_does_not_wait_for_the_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answered, asked = threading.Event(), threading.Event()

        def slow() -> None:
            asked.set()
            answered.wait(60)

        monkeypatch.setattr(worker, "note_whether_webhooks_arrive", slow)
        monkeypatch.setattr(Loop, "run", lambda _: asked.wait(30))
        monkeypatch.setattr(signal, "signal", lambda *_: None)

        call_command("worker", stdout=StringIO())

        assert asked.is_set() and not answered.is_set()
        answered.set()
