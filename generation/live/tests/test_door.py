"""Who may open a socket, how long it lives, and what may be said on it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websockets
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone
from pytest_django import Settings
from websockets.asyncio.client import ClientConnection, connect

from accounts.models import User
from generation import events
from generation.live import relay
from generation.live.tests.daphne import Daphne
from generation.live.tests.sockets import (
    HOST,
    ORIGIN,
    PATIENCE_SECONDS,
    caught_up,
    cookie_of,
    handshake,
    next_frame,
    opened,
    predict,
)
from generation.tests.making import make_prediction, make_user

pytestmark = pytest.mark.django_db(transaction=True)

ORIGINS = {
    None: False,
    "null": False,
    "": False,
    "https://evil.example": False,
    "http://evil.127.0.0.1:8000": False,
    "http://127.0.0.1": False,
    "http://127.0.0.1:8443": False,
    "http://127.0.0.1:8000.evil.example": False,
    "http://127.0.0.1:8000/": False,
    "http://ada@127.0.0.1:8000": False,
    "file://127.0.0.1:8000": False,
    "http://[": False,
    ORIGIN: True,
}
PRODUCTION_ORIGINS = {
    "https://studio.example": True,
    "http://studio.example": False,
    "https://studio.example:8443": False,
    "https://sub.studio.example": False,
    "https://other.example": True,
}
NOT_UNDERSTOOD = [
    "x",
    "[]",
    "null",
    "{}",
    '{"since": -1}',
    '{"since": true}',
    '{"since": "1"}',
    '{"since": 1e400}',
    '{"since": 99999999999999999999}',
    '{"group": "user-2"}',
    "[" * 1000,
    json.dumps({"since": 1, "more": "x" * 1024}),
]


@pytest.fixture
def ada() -> User:
    return make_user(username="ada")


@pytest.fixture
def cookie(ada: User) -> str:
    return cookie_of(ada)


async def admitted(socket: Any) -> bool:
    """Whether the handshake is accepted; the socket is closed again."""
    accepted, _ = await socket.connect(timeout=PATIENCE_SECONDS)
    if accepted:
        await socket.disconnect()
    return bool(accepted)


async def end_of(socket: Any) -> int:
    """The code that the server closes with."""
    while (message := await socket.receive_output(timeout=PATIENCE_SECONDS))["type"] != "websocket.close":
        pass
    return int(message["code"])


class TestHandshake:
    async def test_is_for_our_own_pages(self, cookie: str) -> None:
        tried = {origin: await admitted(handshake(cookie=cookie, origin=origin)) for origin in ORIGINS}

        assert tried == ORIGINS

    async def test_is_not_for_a_name_that_points_here(self, cookie: str) -> None:
        socket = handshake(cookie=cookie, origin="http://evil.example:8000", host="evil.example:8000")

        assert not await admitted(socket)

    async def test_is_for_https_pages_in_production(self, cookie: str, settings: Settings) -> None:
        settings.PRODUCTION = True
        settings.ALLOWED_HOSTS = ["studio.example"]
        settings.CSRF_TRUSTED_ORIGINS = ["https://other.example"]

        tried = {
            origin: await admitted(handshake(cookie=cookie, origin=origin, host="studio.example"))
            for origin in PRODUCTION_ORIGINS
        }

        assert tried == PRODUCTION_ORIGINS

    async def test_is_not_for_strangers(self) -> None:
        assert not await admitted(handshake())
        assert not await admitted(handshake(cookie="sessionid=made-up"))

    async def test_leads_nowhere_else(self, cookie: str) -> None:
        assert not await admitted(handshake(cookie=cookie, path="/ws/other"))


def log_out(user: User) -> None:
    Session.objects.all().delete()


def change_password(user: User) -> None:
    user.set_password("another one entirely")
    user.save()


def close_account(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def let_session_expire(user: User) -> None:
    Session.objects.update(expire_date=timezone.now())


def delete_account(user: User) -> None:
    user.delete()


ENDS = [log_out, change_password, close_account, let_session_expire, delete_account]


class TestSocket:
    @pytest.mark.parametrize("end", ENDS)
    async def test_ends_with_the_session(
        self, ada: User, end: Callable[[User], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert relay.SESSION_SECONDS <= 25
        monkeypatch.setattr(relay, "SESSION_SECONDS", 0.1)
        socket = await opened(ada)

        await database_sync_to_async(end)(ada)

        assert await end_of(socket) == 4401

    async def test_ends_at_the_next_question_after_logout(self, ada: User) -> None:
        socket = await opened(ada)
        await database_sync_to_async(log_out)(ada)

        await socket.send_json_to({"since": 0})

        assert await end_of(socket) == 4401

    async def test_stays_while_the_session_lasts(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(relay, "SESSION_SECONDS", 0.05)
        socket = await opened(ada)

        await asyncio.sleep(0.3)

        assert await caught_up(socket) == []
        await socket.disconnect()

    async def test_gets_no_card_after_it_was_signed_out(self, ada: User) -> None:
        socket = await opened(ada)
        await database_sync_to_async(log_out)(ada)
        await socket.send_json_to({"since": 0})
        assert await end_of(socket) == 4401

        await predict(ada)

        assert await socket.receive_nothing(timeout=0.3)

    async def test_ends_when_it_does_not_understand(self, ada: User) -> None:
        for text in NOT_UNDERSTOOD:
            socket = await opened(ada)

            await socket.send_to(text_data=text)

            assert await end_of(socket) == 4400, text

    async def test_ends_when_asked_in_bytes(self, ada: User) -> None:
        socket = await opened(ada)

        await socket.send_to(bytes_data=b'{"since": 1}')

        assert await end_of(socket) == 4400

    async def test_ends_when_asked_too_often(self, ada: User) -> None:
        socket = await opened(ada)

        for _ in range(20):
            await socket.send_json_to({"since": 0})

        assert await end_of(socket) == 4400

    async def test_is_one_of_a_bounded_number(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(relay, "MOST_SOCKETS", 2)
        cookie = await database_sync_to_async(cookie_of)(ada)
        sockets = [handshake(cookie=cookie) for _ in range(4)]

        await asyncio.gather(*(socket.connect(timeout=PATIENCE_SECONDS) for socket in sockets))

        refused: list[Any] = []
        while len(refused) < 2:
            refused = [socket for socket in sockets if not await socket.receive_nothing(timeout=0.2)]
        assert [await end_of(socket) for socket in refused] == [4429, 4429]
        kept = [socket for socket in sockets if socket not in refused]
        await kept[0].disconnect()
        await (await opened(ada)).disconnect()
        await kept[1].disconnect()

    async def test_goes_on_while_redis_is_down(self, settings: Settings, ada: User) -> None:
        gone = "redis://127.0.0.1:1"
        settings.REDIS_URL = gone
        settings.CHANNEL_LAYERS = {
            "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [gone]}}
        }
        socket = await opened(ada)

        prediction = await predict(ada)

        assert f'id="prediction-{prediction.number}"' in await next_frame(socket)
        await socket.disconnect()


class TestServer:
    """The same through Daphne, on a real connection."""

    @pytest.fixture
    def web(self) -> Iterator[Daphne]:
        with Daphne() as web:
            yield web

    async def test_lets_in_feeds_bounds_and_signs_out(self, web: Daphne, ada: User, cookie: str) -> None:
        await self.refuses(web, origin="https://evil.example", cookie=cookie)
        await self.refuses(web, origin=web.url, cookie="")

        socket = await self.open(web, cookie)
        assert not socket.protocol.extensions  # compression costs ten times the memory
        await self.feeds(socket, ada)
        await self.hangs_up_on_a_long_message(web, cookie)
        await self.hangs_up_on_many_fragments(web, cookie)
        await self.says_that_it_does_not_understand(web, cookie)

        await database_sync_to_async(log_out)(ada)
        await socket.send('{"since": 0}')
        with pytest.raises(websockets.ConnectionClosed) as closed:
            while True:
                await asyncio.wait_for(socket.recv(), 5)
        assert closed.value.rcvd and closed.value.rcvd.code == 4401

    @staticmethod
    async def open(web: Daphne, cookie: str) -> ClientConnection:
        return await connect(web.socket, origin=web.origin, additional_headers={"Cookie": cookie})

    async def refuses(self, web: Daphne, *, origin: Any, cookie: str) -> None:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(web.socket, origin=origin, additional_headers={"Cookie": cookie})
        assert refused.value.response.status_code == 403

    async def feeds(self, socket: ClientConnection, ada: User) -> None:
        await socket.send('{"since": 0}')
        assert await asyncio.wait_for(socket.recv(), 5) == '{"seen": 0}'

        def happen() -> None:
            prediction = make_prediction(user=ada, now=timezone.now())
            events.record(prediction=prediction, name="progress", now=timezone.now())

        await database_sync_to_async(happen)()

        frame = await asyncio.wait_for(socket.recv(), 5)
        assert isinstance(frame, str) and 'id="prediction-1"' in frame

    async def says_that_it_does_not_understand(self, web: Daphne, cookie: str) -> None:
        socket = await self.open(web, cookie)
        await socket.send("x")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
        assert closed.value.rcvd and closed.value.rcvd.code == 4400

    async def hangs_up_on_a_long_message(self, web: Daphne, cookie: str) -> None:
        socket = await self.open(web, cookie)
        await socket.send('{"since": 0}')
        await socket.recv()
        await socket.send("x" * 1025)
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await asyncio.wait_for(socket.recv(), 5)

    async def hangs_up_on_many_fragments(self, web: Daphne, cookie: str) -> None:
        socket = await self.open(web, cookie)
        with pytest.raises(websockets.ConnectionClosed):
            await socket.send("x" * 512 for _ in range(3))
            while True:
                await asyncio.wait_for(socket.recv(), 5)


def test_hosts_of_the_tests_are_those_of_the_settings() -> None:
    assert HOST.split(":")[0] in settings.ALLOWED_HOSTS
