"""A web process that is told to end answers what it was asked, takes nothing more, and lets sockets go with 1012."""

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


def listens(host: str) -> bool:
    name, _, port = host.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((name, int(port))) == 0
