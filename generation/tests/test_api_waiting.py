"""`Prefer: wait`: the answer comes with the end, holds nothing meanwhile, and never keeps anybody longer than asked."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from accounts.models import ApiToken
from accounts.tokens import revoke
from generation.api.waiting import preferred_seconds
from generation.lifecycle import cancel_prediction
from generation.live import waiting
from generation.live.tests.sockets import cookie_of
from generation.live.waiting import waiting_room
from generation.models import Prediction
from generation.tests.calling import IMAGE, Caller
from generation.tests.making import make_prediction, make_user
from palette.asgi import application

LIMIT_SECONDS = 30.0
LAKE = {"prompt": "a lake at dusk"}


@pytest.fixture
def caller(transactional_db: None) -> Caller:
    return Caller(make_user())


class Call:
    """One request to the real ASGI application, under way: by the caller's token, or by a browser's `cookie`."""

    def __init__(self, caller: Caller, path: str, *, prefer: str, body: Any = None, cookie: str = "") -> None:
        self.body = b"" if body is None else json.dumps(body).encode()
        given = {"Cookie": cookie} if cookie else {"Authorization": f"Bearer {caller.token}"}
        given |= {"Prefer": prefer, "Host": "127.0.0.1"}
        given |= {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        scope = {
            "type": "http",
            "method": "GET" if body is None else "POST",
            "path": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }
        self.communicator: Any = ApplicationCommunicator(application, scope)  # type: ignore[no-untyped-call]

    async def begin(self) -> None:
        """Send it, and see that it waits."""
        before = len(waiting_room())
        await self.communicator.send_input({"type": "http.request", "body": self.body})
        await until(lambda: len(waiting_room()) > before)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body."""
        start = await self.communicator.receive_output(LIMIT_SECONDS)
        body = b""
        while (part := await self.communicator.receive_output(LIMIT_SECONDS)).get("more_body"):
            body += part["body"]
        await self.communicator.wait(LIMIT_SECONDS)
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, json.loads(body + part["body"])


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition of this process."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


def cancel_the_only_one() -> None:
    cancel_prediction(prediction=Prediction.objects.get(), now=timezone.now())


async def predicted(caller: Caller) -> Prediction:
    return await sync_to_async(make_prediction)(user=caller.user, now=timezone.now())


class TestPreferredSeconds:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("wait=5", 5),
            ("wait=600", 60),
            ("wait", 60),
            ("wait=0", 0),
            ('respond-async, WAIT = "7" ; x=1', 7),
            ("", 0),
            ("wait=-1", 0),
            ("wait=1.5", 0),
            ("waiting=5", 0),
            ("wait=" + "9" * 1000, 0),
        ],
    )
    def test_reads(self, header: str, seconds: int) -> None:
        assert preferred_seconds(header) == seconds


class TestStatus:
    async def test_answers_with_the_end(self, caller: Caller) -> None:
        prediction = await predicted(caller)
        call = Call(caller, f"/api/predictions/{prediction.pk}", prefer="wait=60")
        await call.begin()

        await sync_to_async(cancel_the_only_one)()

        status, headers, body = await call.answer()
        assert (status, body["status"], headers["preference-applied"]) == (200, "canceled", "wait=60")
        assert len(waiting_room()) == 0

    async def test_answers_as_it_is_when_the_time_is_over(self, caller: Caller) -> None:
        prediction = await predicted(caller)
        call = Call(caller, f"/api/predictions/{prediction.pk}", prefer="wait=1")
        await call.begin()

        status, headers, body = await call.answer()

        assert (status, body["status"], headers["preference-applied"]) == (200, "starting", "wait=1")

    async def test_finds_the_end_without_a_bell(self, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        async def deaf(self: Any, seconds: float) -> bool:
            await asyncio.sleep(0.05)
            return False

        monkeypatch.setattr("generation.live.changes.AsyncWatch.wait", deaf)
        monkeypatch.setattr("generation.live.bell.LayerBell.wait", deaf)
        prediction = await predicted(caller)
        call = Call(caller, f"/api/predictions/{prediction.pk}", prefer="wait=60")
        await call.begin()

        await sync_to_async(cancel_the_only_one)()

        assert (await call.answer())[2]["status"] == "canceled"

    def test_does_not_wait_for_what_has_ended(self, caller: Caller) -> None:
        prediction = make_prediction(user=caller.user, now=timezone.now())
        cancel_the_only_one()

        response = caller.get(f"/api/predictions/{prediction.pk}", Prefer="wait=60")

        assert response["Preference-Applied"] == "wait=60"

    def test_does_not_wait_for_another_s(self, caller: Caller) -> None:
        prediction = make_prediction(user=make_user(username="bob"), now=timezone.now())

        response = caller.get(f"/api/predictions/{prediction.pk}", Prefer="wait=60")

        assert response.status_code == 404
        assert "Preference-Applied" not in response

    async def test_ends_with_its_token(self, caller: Caller) -> None:
        prediction = await predicted(caller)
        call = Call(caller, f"/api/predictions/{prediction.pk}", prefer="wait=60")
        await call.begin()

        await sync_to_async(revoke)(caller.token_row, now=timezone.now())

        assert (await call.answer())[0] == 401

    async def test_ends_with_its_session(self, caller: Caller) -> None:
        prediction = await predicted(caller)
        cookie = await sync_to_async(cookie_of)(caller.user)
        call = Call(caller, f"/api/predictions/{prediction.pk}", prefer="wait=60", cookie=cookie)
        await call.begin()

        await sync_to_async(Session.objects.all().delete)()

        assert (await call.answer())[0] == 401

    async def test_ends_with_its_connection(self, caller: Caller) -> None:
        prediction = await predicted(caller)
        call = Call(caller, f"/api/predictions/{prediction.pk}", prefer="wait=60")
        await call.begin()

        await call.communicator.send_input({"type": "http.disconnect"})

        await until(lambda: len(waiting_room()) == 0)
        await call.communicator.wait(LIMIT_SECONDS)

    async def test_leaves_nobody_looking_where_its_cancel_is_swallowed(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        swallowed = asyncio.Event()

        async def wait(self: Any, seconds: float) -> bool:
            try:
                await asyncio.sleep(0.05 if swallowed.is_set() else seconds)
            except asyncio.CancelledError:
                swallowed.set()
            return False

        monkeypatch.setattr("generation.live.waiting.AsyncWatch.wait", wait)
        monkeypatch.setattr("generation.live.waiting.LayerBell.wait", wait)
        prediction = await predicted(caller)
        call = Call(caller, f"/api/predictions/{prediction.pk}", prefer="wait=60")
        await call.begin()
        [looking] = [task for task in asyncio.all_tasks() if task.get_name() == "waiting-room"]
        # It has begun to wait.
        await asyncio.sleep(0.2)

        await call.communicator.send_input({"type": "http.disconnect"})

        await until(lambda: swallowed.is_set() and looking.done())

    @pytest.mark.parametrize("limit", ["MOST_WAITERS", "MOST_IN_ALL"])
    async def test_lets_only_so_many_wait(self, caller: Caller, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
        monkeypatch.setattr(waiting, limit, 1)
        prediction = await predicted(caller)
        path = f"/api/predictions/{prediction.pk}"
        first, second = (Call(caller, path, prefer="wait=60") for _ in range(2))
        await first.begin()

        await second.communicator.send_input({"type": "http.request", "body": b""})
        status, headers, body = await second.answer()

        assert (status, body["status"]) == (200, "starting")
        assert "preference-applied" not in headers
        await sync_to_async(cancel_the_only_one)()
        assert (await first.answer())[2]["status"] == "canceled"


class TestCreation:
    async def test_answers_the_prediction_at_its_end(self, caller: Caller) -> None:
        call = Call(caller, IMAGE, prefer="wait=60", body=LAKE)
        await call.begin()

        await sync_to_async(cancel_the_only_one)()

        status, headers, body = await call.answer()
        assert (status, body["status"], body["stage"]) == (201, "canceled", "canceled")
        assert body["predictionId"] == body["id"]
        assert headers["location"] == f"/api/predictions/{body['id']}"
        assert headers["preference-applied"] == "wait=60"

    async def test_tells_nothing_more_to_a_revoked_token(self, caller: Caller) -> None:
        call = Call(caller, IMAGE, prefer="wait=60", body=LAKE)
        await call.begin()

        await sync_to_async(ApiToken.objects.all().update)(revoked_at=timezone.now())

        status, _, body = await call.answer()
        assert status == 201
        assert body.keys() == {"predictionId", "status", "estimatedCost", "warnings"}

    def test_refuses_at_once(self, caller: Caller) -> None:
        response = caller.post(IMAGE, {}, Prefer="wait=60")

        assert response.status_code == 422
        assert "Preference-Applied" not in response


class TestThreads:
    async def test_are_not_held(self, caller: Caller) -> None:
        prediction = await predicted(caller)
        path = f"/api/predictions/{prediction.pk}"
        calls = [Call(caller, path, prefer="wait=60") for _ in range(10)]
        await calls[0].begin()
        before = threading.active_count()

        for call in calls[1:]:
            await call.begin()

        await until(lambda: threading.active_count() <= before)
        assert len(waiting_room()) == len(calls)
        await sync_to_async(cancel_the_only_one)()
        assert {(await call.answer())[2]["status"] for call in calls} == {"canceled"}


class TestConnections:
    async def test_are_not_held(self, caller: Caller) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite's connections are files")
        prediction = await predicted(caller)
        held, listening = held_connections(), await sync_to_async(listeners)()
        calls = [Call(caller, f"/api/predictions/{prediction.pk}", prefer="wait=60") for _ in range(15)]
        for call in calls:
            await call.begin()

        # A look that is under way ends; one connection beside the pool may listen, for all.
        await until(lambda: held_connections() <= held)
        assert await sync_to_async(listeners)() <= listening + 1
        assert len(waiting_room()) == len(calls)
        await sync_to_async(cancel_the_only_one)()
        assert {(await call.answer())[2]["status"] for call in calls} == {"canceled"}


def held_connections() -> int:
    """Those somebody has taken out of this process's pool; how many lie idle in it depends on the rush before."""
    pool: Any = connection.pool  # type: ignore[attr-defined]
    stats = pool.get_stats()
    return int(stats["pool_size"] - stats["pool_available"])


def listeners() -> int:
    """Connections to the test's database on which somebody waits for its bell."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'palette live'"
        )
        return int(cursor.fetchone()[0])
