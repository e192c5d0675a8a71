"""Cards over the socket: to whom, when, and never twice too old."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from statistics import median
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from generation import events
from generation.live import feed
from generation.live.feed import Cursor, missed
from generation.live.tests.sockets import caught_up, is_quiet, next_frame, opened, predict, tell
from generation.models import Prediction, PredictionEvent
from generation.states import Status
from generation.tests.making import make_prediction, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada() -> User:
    return make_user(username="ada")


@pytest.fixture
def grace() -> User:
    return make_user(username="grace")


@pytest.fixture
async def socket(ada: User) -> AsyncIterator[Any]:
    """Ada's page."""
    socket = await opened(ada)
    yield socket
    await socket.disconnect()


def event_of(frame: str) -> int:
    found = re.search(r'data-event="(\d+)"', frame)
    assert found
    return int(found[1])


class TestFeed:
    async def test_sends_the_card_of_a_new_prediction(self, socket: Any, ada: User) -> None:
        prediction = await predict(ada)

        frame = await next_frame(socket)

        assert f'id="prediction-{prediction.number}"' in frame
        assert 'hx-swap-oob="true"' in frame and 'data-state="queued"' in frame

    async def test_sends_a_change_within_a_tenth_of_a_second(self, socket: Any, ada: User) -> None:
        prediction = await predict(ada)
        await next_frame(socket)
        loop = asyncio.get_running_loop()
        delays: list[float] = []

        while len(delays) < 50 and (len(delays) < 5 or median(delays[-5:]) > 0.25):
            await asyncio.sleep(0.2)
            event = await tell(prediction)
            began = loop.time()
            assert event_of(await next_frame(socket)) == event
            delays.append(loop.time() - began)

        assert median(delays[-5:]) <= 0.25

    async def test_never_sends_what_belongs_to_another(self, socket: Any, grace: User) -> None:
        await predict(grace)

        assert await is_quiet(socket)
        assert await caught_up(socket) == []

    async def test_sends_to_every_page_of_the_owner(self, socket: Any, ada: User) -> None:
        second = await opened(ada)

        await predict(ada)

        assert await next_frame(socket) == await next_frame(second)
        await second.disconnect()

    async def test_shows_many_events_of_one_prediction_together(self, socket: Any, ada: User) -> None:
        prediction = await predict(ada)
        await next_frame(socket)
        for _ in range(10):
            last = await tell(prediction)

        frames = [await next_frame(socket)]
        while event_of(frames[-1]) < last:
            frames.append(await next_frame(socket))

        assert len(frames) < 10

    async def test_goes_on_when_one_card_cannot_be_drawn(
        self, socket: Any, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bad = await predict(ada)
        await next_frame(socket)
        draw = feed.rendered

        def refuse(rows: Any, *, now: Any) -> Any:
            if any(row.pk == bad.pk for row in rows):
                raise ValueError("no such shape")
            return draw(rows, now=now)

        monkeypatch.setattr(feed, "rendered", refuse)
        await tell(bad)
        good = await predict(ada)

        assert f'id="prediction-{good.number}"' in await next_frame(socket)

    async def test_ends_with_the_last_socket(self, ada: User) -> None:
        first, second = await opened(ada), await opened(ada)
        running = {task.get_name() for task in asyncio.all_tasks()}
        assert "live-relay" in running

        await first.disconnect()
        await second.disconnect()
        await asyncio.sleep(0.1)

        assert "live-relay" not in {task.get_name() for task in asyncio.all_tasks()}


class TestReturn:
    """What a page gets that was away."""

    async def test_brings_what_happened_meanwhile(self, ada: User) -> None:
        socket = await opened(ada)
        prediction = await predict(ada)
        seen = event_of(await next_frame(socket))
        await socket.disconnect()
        event = await tell(prediction)

        socket = await opened(ada)

        assert [event_of(frame) for frame in await caught_up(socket, seen)] == [event]
        await socket.disconnect()

    def test_brings_everything_unfinished_however_old(self, ada: User) -> None:
        now = timezone.now()
        old = make_prediction(user=ada, now=now - timedelta(hours=2))

        frames = missed(user_id=ada.pk, since=old.last_event_id, now=now)

        assert [event_of(frame.html) for frame in frames] == [old.last_event_id]

    def test_brings_what_ended_since_then_less_a_minute(self, ada: User) -> None:
        now = timezone.now()
        ended = [make_prediction(user=ada, now=now - timedelta(minutes=age)) for age in (9, 6, 5, 4)]
        Prediction.objects.update(status=Status.FAILED, due_at=None)
        since = ended[2].last_event_id

        frames = missed(user_id=ada.pk, since=since, now=now)

        assert [frame.event for frame in frames] == [one.last_event_id for one in ended[1:]]

    def test_takes_no_event_of_another_for_its_own(self, ada: User, grace: User) -> None:
        now = timezone.now()
        hers = make_prediction(user=grace, now=now - timedelta(hours=3))
        mine = make_prediction(user=ada, now=now - timedelta(hours=2))
        Prediction.objects.filter(pk=mine.pk).update(status=Status.FAILED, due_at=None)

        assert missed(user_id=ada.pk, since=hers.last_event_id, now=now) == []


class TestCursor:
    def test_hands_out_each_event_once(self, ada: User) -> None:
        now = timezone.now()
        cursor = Cursor.at_end(now=now)
        prediction = make_prediction(user=ada, now=now)

        assert cursor.read(now=now) == [prediction.pk]
        assert cursor.read(now=now) == []

    def test_takes_what_exists_at_the_start_for_old(self, ada: User) -> None:
        make_prediction(user=ada, now=timezone.now() - timedelta(hours=1))
        make_prediction(user=ada, now=timezone.now())

        assert Cursor.at_end(now=timezone.now()).read(now=timezone.now()) == []

    def test_hands_out_an_id_that_becomes_visible_late(self, ada: User) -> None:
        now = timezone.now()
        late, prompt = (make_prediction(user=ada, now=now) for _ in range(2))
        row = PredictionEvent.objects.get(pk=late.last_event_id)
        row.delete()
        cursor = Cursor.at_end(now=now - timedelta(hours=1))
        assert cursor.last == prompt.last_event_id
        PredictionEvent.objects.create(
            pk=late.last_event_id, prediction=late, user_id=ada.pk, name="queued", created_at=now
        )

        assert cursor.read(now=now - timedelta(minutes=59, seconds=30)) == [late.pk]

    def test_gives_up_a_gap_after_a_minute(self, ada: User) -> None:
        now = timezone.now()
        cursor = Cursor(last=0)
        prediction = make_prediction(user=ada, now=now)
        PredictionEvent.objects.create(pk=5000, prediction=prediction, user_id=ada.pk, name="x", created_at=now)
        cursor.read(now=now)
        assert 0 < len(cursor.gaps) <= 1000

        later = cursor.read(now=now + timedelta(seconds=61))

        assert (later, cursor.gaps) == ([], {})


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer: ids are visible in order")
async def test_two_transactions_that_commit_in_reverse_both_reach_the_page(ada: User, socket: Any) -> None:
    first, second = await predict(ada), await predict(ada)
    while f'id="prediction-{second.number}"' not in await next_frame(socket):
        pass
    drawn, commit = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def held_open() -> int:
        try:
            with transaction.atomic():
                event = events.record(prediction=first, name="progress", now=timezone.now())
                loop.call_soon_threadsafe(drawn.set)
                asyncio.run_coroutine_threadsafe(commit.wait(), loop).result(timeout=60)
                return event.pk
        finally:
            connection.close()

    held = loop.run_in_executor(None, held_open)
    await drawn.wait()
    later = await tell(second)
    assert event_of(await next_frame(socket)) == later
    commit.set()

    earlier = await held

    assert earlier < later
    assert event_of(await next_frame(socket)) == earlier
