"""How a process learns of another's writes."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from generation import events
from generation.live.changes import AsyncWatch, Watch
from generation.live.tests.sockets import PATIENCE_SECONDS
from generation.models import Prediction
from generation.tests.making import make_prediction
from generation.tests.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)

ON_POSTGRESQL = pytest.mark.skipif(connection.vendor == "sqlite", reason="there is no connection to lose")
# A machine that is busy with other tests may be late a few times, but not always.
TRIES = 10
# Commits one write for each line on its standard input and says when it had.
WRITER = """
import sqlite3, psycopg, sys, time
address = sys.argv[1]
if address.startswith("sqlite"):
    connection = sqlite3.connect(address.removeprefix("sqlite:///"), isolation_level=None, timeout=10)
    statement = "UPDATE accounts_user SET last_frame_number = last_frame_number + 1"
else:
    connection = psycopg.connect(address, autocommit=True)
    statement = "SELECT pg_notify('palette', '')"
for line in sys.stdin:
    connection.execute(statement)
    print(time.time(), flush=True)
"""


class Writer:
    """Another process that writes when it is told to."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", WRITER, database_url()]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def write(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("now\n")
        self.process.stdin.flush()

    def wrote_at(self) -> float:
        assert self.process.stdout
        return float(json.loads(self.process.stdout.readline()))


@pytest.fixture
def prediction() -> Prediction:
    return make_prediction(now=timezone.now())


@pytest.fixture
def writer(prediction: Prediction) -> Iterator[Writer]:
    writer = Writer()
    writer.write()
    writer.wrote_at()
    yield writer
    writer.process.kill()
    writer.process.communicate()


@pytest.fixture
def watch(prediction: Prediction) -> Iterator[Watch]:
    watch = Watch()
    while watch.wait(0.05):
        pass
    yield watch
    watch.close()


def end_listeners() -> None:
    """As when PostgreSQL is restarted."""
    address = database_url()
    with psycopg.connect(address, autocommit=True) as other:
        ours = "application_name = 'palette live' AND datname = current_database()"
        other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")


class TestWatch:
    def test_sees_a_write_of_another_process_within_a_tenth_of_a_second(self, writer: Writer, watch: Watch) -> None:
        while watch.wait(0.05):
            pass

        def delay() -> float:
            writer.write()
            assert watch.wait(PATIENCE_SECONDS)
            return time.time() - writer.wrote_at()

        assert any(median(delay() for _ in range(5)) < 0.1 for _ in range(TRIES))

    def test_sees_an_event_of_this_process(self, prediction: Prediction, watch: Watch) -> None:
        events.record(prediction=prediction, name="progress", now=timezone.now())

        assert watch.wait(PATIENCE_SECONDS)

    def test_says_no_when_nothing_happens(self, watch: Watch) -> None:
        began = time.monotonic()

        assert not watch.wait(0.2)

        assert 0.2 <= time.monotonic() - began < 5

    def test_takes_many_writes_for_one(self, prediction: Prediction, watch: Watch) -> None:
        def is_told_once() -> bool:
            for _ in range(5):
                events.record(prediction=prediction, name="progress", now=timezone.now())
            time.sleep(0.3)
            return watch.wait(PATIENCE_SECONDS) and not watch.wait(0.1)

        assert any(is_told_once() for _ in range(TRIES))

    def test_costs_next_to_nothing_while_nothing_happens(self, watch: Watch) -> None:
        def cost_seconds() -> float:
            began = time.thread_time()
            watch.wait(2)
            return time.thread_time() - began

        assert any(cost_seconds() < 0.04 for _ in range(TRIES))

    def test_lets_the_caller_look_where_it_cannot_watch(self, settings: Settings) -> None:
        blind = Watch()
        blind.close()
        blind._source.postgres = blind._source.version = None

        assert blind.wait(PATIENCE_SECONDS)

    @ON_POSTGRESQL
    def test_comes_back_when_its_connection_is_lost(self, prediction: Prediction, watch: Watch) -> None:
        end_listeners()
        assert watch.wait(PATIENCE_SECONDS)
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while watch.wait(0.2) and time.monotonic() < ends_at:
            pass

        events.record(prediction=prediction, name="progress", now=timezone.now())

        assert watch.wait(PATIENCE_SECONDS)


class TestAsyncWatch:
    async def test_sees_a_write_of_another_process_within_a_tenth_of_a_second(self, writer: Writer) -> None:
        watch = AsyncWatch()
        while await watch.wait(0.05):
            pass

        async def delay() -> float:
            writer.write()
            assert await watch.wait(PATIENCE_SECONDS)
            return time.time() - writer.wrote_at()

        for _ in range(TRIES):
            if median([await delay() for _ in range(5)]) < 0.1:
                break
        else:
            pytest.fail("it never was so quick")
        await watch.close()

    async def test_says_no_when_nothing_happens_and_leaves_the_loop_free(self, prediction: Prediction) -> None:
        watch = AsyncWatch()
        while await watch.wait(0.05):
            pass

        waiting: asyncio.Task[Any] = asyncio.create_task(watch.wait(0.3))
        await asyncio.sleep(0.05)

        assert not waiting.done()
        assert not await waiting
        await watch.close()

    @ON_POSTGRESQL
    async def test_comes_back_when_its_connection_is_lost(self, writer: Writer) -> None:
        watch = AsyncWatch()
        while await watch.wait(0.05):
            pass
        await asyncio.to_thread(end_listeners)
        assert await watch.wait(PATIENCE_SECONDS)
        while await watch.wait(0.2):
            pass

        writer.write()

        assert await watch.wait(PATIENCE_SECONDS)
        await watch.close()
