"""Threads of requests are kept for those that come after them."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from generation.live.waiting import let_thread_go
from palette import threads
from palette.threads import Hand, InKeptThreads


async def nothing(*_: Any) -> Any:
    """Neither heard nor said."""


async def answered(app: InKeptThreads) -> None:
    await app({"type": "http"}, nothing, nothing)


def serving(*views: Any) -> InKeptThreads:
    """An application that does each of these in a thread, one after the other."""

    async def app(*_: Any) -> None:
        for view in views:
            await sync_to_async(view)()

    return InKeptThreads(app)


async def idle(app: InKeptThreads, count: int) -> list[Hand]:
    """Those that are free, once there are so many."""
    while len(app.idle) != count:
        await asyncio.sleep(0.01)
    return list(app.idle)


class TestThread:
    async def test_is_the_same_throughout_a_request_and_for_the_next(self) -> None:
        used: list[int] = []
        app = serving(*[lambda: used.append(threading.get_ident())] * 2)

        await answered(app)
        await idle(app, 1)
        await answered(app)

        assert len(used) == 4
        assert set(used) == {used[0]} != {threading.get_ident()}

    async def test_is_shared_by_no_two_at_once(self) -> None:
        together = threading.Barrier(3)
        app = serving(lambda: together.wait(10))

        await asyncio.wait_for(asyncio.gather(*(answered(app) for _ in range(3))), 20)

        await idle(app, 3)

    async def test_of_a_request_that_was_cut_off_comes_back_when_its_view_is_done(self) -> None:
        begun, over = threading.Event(), threading.Event()

        def view() -> None:
            begun.set()
            over.wait(10)

        app = serving(view)
        request = asyncio.create_task(answered(app))
        await asyncio.to_thread(begun.wait, 10)
        request.cancel()
        await asyncio.sleep(0.05)
        request.cancel()
        await asyncio.sleep(0.05)
        assert not app.idle

        over.set()
        with pytest.raises(asyncio.CancelledError):
            await request
        await idle(app, 1)

    async def test_that_was_sent_away_does_not_come_back(self) -> None:
        used: list[int] = []

        async def waiting(*given: Any) -> None:
            await sync_to_async(used.append)(1)
            let_thread_go()
            await sync_to_async(used.append)(2)

        app = InKeptThreads(waiting)
        await answered(app)
        await answered(app)

        assert used == [1, 2, 1, 2]
        assert not app.idle

    @pytest.mark.django_db(transaction=True)
    async def test_keeps_no_connection_open(self) -> None:
        def ask() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")

        app = serving(ask)
        await answered(app)
        [hand] = await idle(app, 1)

        assert await asyncio.wrap_future(hand.submit(lambda: connection.connection)) is None

    async def test_of_a_crowd_few_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(threads, "MOST_IDLE", 1)
        together = threading.Barrier(2)
        app = serving(lambda: together.wait(10))

        await asyncio.gather(answered(app), answered(app))

        await idle(app, 1)

    async def test_comes_back_from_a_view_that_fails(self) -> None:
        app = serving(lambda: 1 // 0)

        with pytest.raises(ZeroDivisionError):
            await answered(app)

        await idle(app, 1)
