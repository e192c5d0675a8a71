"""F65: Celery carries the work and its worker is killed; another goes on before three quarters of a minute are over."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from gallery.models import Asset
from generation.models import Output, Prediction, WebhookDelivery
from generation.tests.torture import oracle
from generation.tests.torture.scene import Scene, within
from generation.tests.torture.surroundings import Process
from generation.tests.torture.test_kill_points import DOUBTFUL, PLACES, plain, unhurried
from generation.work.lanes import NAMES
from palette.tests.test_celery import NEEDS_REDIS, running_redis

pytestmark = pytest.mark.django_db(transaction=True)
MOST_SECONDS: Final = 45
STEPS: Final = {place: orphans for place, (act, orphans) in PLACES.items() if act in {plain, unhurried}}
# The last file is entered there and its prediction concluded: nobody holds anything.
UNHELD: Final = {"store.entered"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A Redis of the test's own."""
    with running_redis(tmp_path) as redis:
        yield f"redis://127.0.0.1:{redis.port}/0"


def celery(scene: Scene, broker: str, *words: str, **more: str) -> Process:
    """`celery -A palette` with these words."""
    named = scene.environment | {"PUBLIC_URL": scene.web.url, "CELERY_BROKER_URL": broker} | more
    process = Process("celery", scene.folder, named, "-m", "celery", "-A", "palette", *words)
    scene.held.enter_context(process)
    scene.processes.append(process)
    return process


def leases() -> set[tuple[str, Any]]:
    """Who works at what, by the token of each lease."""
    return {
        (model.__name__, token)
        for model in (Prediction, Output, Asset, WebhookDelivery)
        for token in model._default_manager.exclude(lease_token=None).values_list("lease_token", flat=True)
    }


def nothing_waits() -> bool:
    """Whether everything that was asked for has its end."""
    return not Prediction.objects.unfinished().exists()


@NEEDS_REDIS
@pytest.mark.row("F65")
@pytest.mark.parametrize("place", STEPS)
def test_is_followed_by_another_within_45_seconds(scene: Scene, broker: str, place: str, tmp_path: Path) -> None:
    worker = ("worker", "--pool", "solo", "--queues", ",".join(NAMES))
    celery(scene, broker, "beat", "--schedule", str(tmp_path / "beat"))
    dying = celery(scene, broker, *worker, FAULT=f"{place}:kill")
    if PLACES[place][0] is unhurried:
        scene.sandbox.add_fault({"seconds": {"run": 2}})
    scene.ask()
    dying.wait(60)
    held, began = leases(), time.monotonic()

    with within(MOST_SECONDS):
        celery(scene, broker, *worker)
        gone_on = nothing_waits if place in UNHELD else lambda: not held & leases()
        scene.wait(gone_on, seconds=2 * MOST_SECONDS)

    scene.note(f"{place}: {time.monotonic() - began:.0f} s")
    assert bool(held) is (place not in UNHELD)
    if place not in DOUBTFUL:
        scene.wait(lambda: not scene.unsettled(), meanwhile=scene.make_due)
        scene.note(oracle.check(scene, orphans=STEPS[place], scratch=2))
