"""The same steps, carried by Celery: the row decides, whoever brings the message."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from django.utils import timezone

from generation.live.tests.redis_server import RedisServer
from generation.models import Attempt, Prediction
from generation.sandbox.running import RunningSandbox
from generation.tests.making import make_prediction
from generation.tests.processes import ROOT, environment
from generation.tests.running_studio import wait_for
from generation.work.lanes import NAMES

SECONDS = 60.0
NEEDS_REDIS = pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no Redis on this machine")


@contextmanager
def worker(broker: str, folder: Path, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`celery -A palette worker` for all lanes, which takes each step in its own process."""
    command = [sys.executable, "-m", "celery", "-A", "palette", "worker", "--pool", "solo", "--queues", ",".join(NAMES)]
    with (folder / "celery.log").open("ab") as log:
        surroundings = environment(CELERY_BROKER_URL=broker, **more)
        process = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """A broker of the test's own."""
    redis = RedisServer(folder)
    redis.start()
    try:
        yield redis
    finally:
        redis.kill()


@NEEDS_REDIS
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_work_goes_on_after_a_worker_was_killed_in_a_step(sandbox: RunningSandbox, tmp_path: Path) -> None:
    prediction = make_prediction(now=timezone.now())
    with running_redis(tmp_path) as redis:
        broker = f"redis://127.0.0.1:{redis.port}/0"
        client = Celery(broker=broker)

        def ring(*lanes: str) -> None:
            for lane in lanes:
                client.send_task("palette.work", args=[lane], queue=lane, expires=SECONDS)

        ring("submit")
        with worker(broker, tmp_path, FAULT="submit.before_mark:kill") as dying:
            assert dying.wait(timeout=SECONDS) != 0
        prediction.refresh_from_db()
        assert prediction.lease_token is not None
        assert not Attempt.objects.filter(submitted_at__isnull=False).exists()
        # Half a minute later.
        Prediction.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

        def ended() -> bool:
            ring("submit", "refresh", "deliver", "store")
            return Prediction.objects.filter(status="succeeded").exists()

        with worker(broker, tmp_path):
            wait_for(ended, seconds=SECONDS, what=(tmp_path / "celery.log").read_text)

    assert len(sandbox.log("create")) == 1


def run(*words: str, **more: str) -> str:
    """What a Python of the product's says, of its output and its errors."""
    surroundings = {**os.environ, "DJANGO_SETTINGS_MODULE": "palette.settings", **more}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=surroundings, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_rings_every_lane_and_takes_one_message_at_a_time(tmp_path: Path) -> None:
    asked = (
        "from palette.celery import app; c = app.conf; print(sorted(e['args'][0] for e in c.beat_schedule.values()),"
        " sorted(q.name for q in c.task_queues), c.task_acks_late, c.worker_prefetch_multiplier, c.accept_content)"
    )

    said = run("-c", asked, CELERY_BROKER_URL="redis://127.0.0.1:9/0", DATA_DIR=str(tmp_path))

    lanes = sorted(NAMES)
    assert said.strip() == f"{lanes} {lanes} True 1 ['json']"


def test_is_needed_by_nothing_without_its_setting(tmp_path: Path) -> None:
    asked = "import sys, palette.asgi, generation.work.loop; print('celery' in sys.modules, 'kombu' in sys.modules)"
    assert run("-c", asked, DATA_DIR=str(tmp_path)).strip() == "False False"

    said = run("-c", "import palette.celery", DATA_DIR=str(tmp_path))

    assert "Directors Palette cannot start: CELERY_BROKER_URL is not set" in said
    assert "Traceback" not in said
