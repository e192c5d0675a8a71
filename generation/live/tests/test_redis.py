"""Redis rings the bell, and is missed by nobody for long when it dies."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.layers import channel_layers
from pytest_django import Settings

from accounts.models import User
from generation.live import relay
from generation.live.tests.redis_server import RedisServer
from generation.live.tests.sockets import PATIENCE_SECONDS, next_frame, opened, predict, tell
from generation.tests.making import make_user

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no Redis on this machine"),
]


@pytest.fixture
def look_seconds() -> float:
    """What the bell does not bring comes so late that a test can tell."""
    return 2.0


@pytest.fixture
def redis(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, look_seconds: float
) -> Iterator[RedisServer]:
    """The product's Redis."""
    monkeypatch.setattr(relay, "LOOK_SECONDS_BESIDE_REDIS", look_seconds)
    redis = RedisServer(tmp_path)
    redis.start()
    settings.REDIS_URL = redis.url
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [settings.REDIS_URL]},
        }
    }
    yield redis
    redis.kill()


@pytest.fixture
async def socket(redis: RedisServer) -> AsyncIterator[Any]:
    socket = await opened(await asyncio.to_thread(make_user))
    yield socket
    await socket.disconnect()
    await channel_layers["default"].flush()


@pytest.mark.parametrize("look_seconds", [10 * PATIENCE_SECONDS])
async def test_rings_for_each_event(socket: Any) -> None:
    prediction = await predict(await asyncio.to_thread(User.objects.get))
    await next_frame(socket)
    await asyncio.sleep(0.2)

    for _ in range(3):
        event = await tell(prediction)

        assert f'data-event="{event}"' in await next_frame(socket, seconds=PATIENCE_SECONDS)


async def test_is_replaced_by_looking_while_it_is_dead_and_rings_again_when_it_is_back(
    socket: Any, redis: RedisServer
) -> None:
    prediction = await predict(await asyncio.to_thread(User.objects.get))
    await next_frame(socket)

    redis.kill()
    event = await tell(prediction)
    assert f'data-event="{event}"' in await next_frame(socket, seconds=PATIENCE_SECONDS)
    redis.start()

    ends_at = time.monotonic() + 60
    while True:
        event = await tell(prediction)
        began = time.monotonic()
        assert f'data-event="{event}"' in await next_frame(socket, seconds=PATIENCE_SECONDS)
        if time.monotonic() - began < 0.5:
            break
        assert time.monotonic() < ends_at
