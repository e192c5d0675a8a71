"""A web process that is told to end answers what it was asked, takes nothing more, and lets sockets go with 1012."""

import asyncio
import http.client
import socket
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from generation.live.tests.daphne import Daphne
from generation.tests.making import make_user
from generation.tests.running_studio import wait_for
from palette import draining
from palette.draining import SERVICE_RESTART

FORM = b"login=nobody&password=" + b"x" * 64


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_drains_at_sigterm() -> None:
    client = Client()
    client.force_login(make_user())
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    assert get_user_model().objects.exists()
    with Daphne() as web:
        host = urlsplit(web.url).netloc
        upload = http.client.HTTPConnection(host, timeout=30)
        upload.putrequest("POST", "/accounts/login/")
        upload.putheader("Content-Length", str(len(FORM)))
        upload.endheaders(FORM[:30])
        with connect(web.socket, origin=web.origin, additional_headers={"Cookie": cookie}) as page:
            page.send('{"since": 0}')
            page.recv(timeout=30)

            web.process.terminate()

            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    page.recv(timeout=30)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == SERVICE_RESTART
        wait_for(lambda: not listens(host), seconds=30)
        assert web.process.poll() is None  # somebody is still sending

        upload.send(FORM[30:])
        answer = upload.getresponse()

        assert answer.status == 403  # the form lacks its token; what counts is that it was answered
        assert answer.headers["Connection"] == "close"
        assert web.process.wait(timeout=30) == 0


class Server:
    """As Daphne's, with a request whose bytes come after the process was told to end."""

    def __init__(self) -> None:
        self.looks = 0

    @property
    def connections(self) -> dict[object, dict[str, bool]]:
        self.looks += 1
        return {object(): {}} if 2 <= self.looks <= 4 else {}


def test_answers_what_was_taken_at_the_very_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "LOOK_SECONDS", 0.001)
    server = Server()

    asyncio.run(draining.drain(server))

    assert server.looks > 4


def listens(host: str) -> bool:
    name, _, port = host.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((name, int(port))) == 0
