"""Sockets as the tests open them, and what there is to receive on them."""

import asyncio
import json
from typing import Any

from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import User
from generation import events
from generation.models import Prediction
from generation.tests.making import make_prediction
from palette.asgi import application

HOST = "127.0.0.1:8000"
ORIGIN = f"http://{HOST}"
# Long enough for a machine that is busy with other tests; whatever comes is taken at once.
PATIENCE_SECONDS = 30.0


def cookie_of(user: User) -> str:
    """The Cookie header of a browser in which `user` has signed in."""
    client = Client()
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def handshake(*, cookie: str = "", origin: str | None = ORIGIN, host: str = HOST, path: str = "/ws/studio") -> Any:
    """A socket that is about to be opened through the product's own door."""
    headers = [(b"host", host.encode()), (b"cookie", cookie.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    return WebsocketCommunicator(application, path, headers=headers)


async def opened(user: User) -> Any:
    """An open socket of `user`, whose relay has begun."""
    socket = handshake(cookie=await database_sync_to_async(cookie_of)(user))
    accepted, _ = await socket.connect(timeout=PATIENCE_SECONDS)
    assert accepted
    await caught_up(socket)
    return socket


async def caught_up(socket: Any, since: int = 0) -> list[str]:
    """The cards that the server answers `since` with."""
    await socket.send_json_to({"since": since})
    frames = []
    while not (text := await socket.receive_from(timeout=PATIENCE_SECONDS)).startswith("{"):
        frames.append(text)
    assert set(json.loads(text)) == {"seen"}
    return frames


async def next_frame(socket: Any, *, seconds: float = PATIENCE_SECONDS) -> str:
    """The next card."""
    text: str = await socket.receive_from(timeout=seconds)
    return text


async def is_quiet(socket: Any, *, seconds: float = 0.4) -> bool:
    """Whether nothing comes."""
    await asyncio.sleep(seconds)
    return bool(await socket.receive_nothing(timeout=0.05))


@database_sync_to_async
def predict(user: User) -> Prediction:
    """A new prediction of `user`'s, with its first event."""
    return make_prediction(user=user, now=timezone.now())


@database_sync_to_async
def tell(prediction: Prediction, name: str = "progress") -> int:
    """Something happens to `prediction`; the event's id."""
    return int(events.record(prediction=prediction, name=name, now=timezone.now()).pk)
