"""Celery as a carrier of the same steps, for operators who run it already: `celery -A palette worker`.

The row stays the job: a message says only that a lane may have work, whoever gets it claims due rows by their leases as
`manage.py worker` does, and lost or repeated messages change nothing. Beat rings every lane each second:
`celery -A palette beat`. Nothing imports this module unless Celery does.
"""

import logging
import os
import threading
from contextlib import suppress
from typing import Any, Final

from celery import Celery
from kombu import Queue  # type: ignore[attr-defined]  # it is made at run time

from palette.environment import BadSetting, one_sentence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")

with one_sentence():
    import django

    django.setup()
    from django.conf import settings

    if not settings.CELERY_BROKER_URL:
        raise BadSetting("CELERY_BROKER_URL", "", "Celery needs it: redis://…, rediss://…, amqp://… or amqps://…")

from django.db import connection

from gallery.leases import RENEWAL_SECONDS, renew
from generation.work.chores import chores
from generation.work.lanes import LANES, NAMES
from generation.work.loop import CHORES_SECONDS, do

log = logging.getLogger(__name__)

RING_SECONDS: Final = 1.0

app = Celery("palette", broker=settings.CELERY_BROKER_URL, set_as_current=False)
app.conf.update(
    task_queues=[Queue(name) for name in NAMES],  # type: ignore[no-untyped-call]
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    # A ring that nobody has heard for so long is out of date: the next has long been sent.
    beat_schedule={
        name: {
            "task": "palette.work",
            "schedule": CHORES_SECONDS if name == "chores" else RING_SECONDS,
            "args": [name],
            "options": {"queue": name, "expires": 5 * (CHORES_SECONDS if name == "chores" else RING_SECONDS)},
        }
        for name in NAMES
    },
)


@app.task(name="palette.work")  # type: ignore[untyped-decorator]
def work(name: str) -> int:
    """Do what is due in one lane, row after row; returns how many rows. More of them are another message's."""
    if name == "chores":
        chores()
        return 1
    (lane,) = (lane for lane in LANES if lane.name == name)
    done = 0
    while done < lane.concurrency and (rows := lane.claim(1)):
        with Renewing(rows[0]):
            do(lane, rows[0])
        done += 1
    if done == lane.concurrency:
        work.apply_async([name], queue=name, expires=5 * RING_SECONDS)
    return done


class Renewing:
    """Prolongs a row's lease while its step takes, as the loop's own thread does."""

    def __init__(self, row: Any) -> None:
        self.row = row
        self.over = threading.Event()

    def __enter__(self) -> None:
        threading.Thread(target=self._renew, daemon=True).start()

    def __exit__(self, *error: object) -> None:
        self.over.set()

    def _renew(self) -> None:
        while not self.over.wait(RENEWAL_SECONDS):
            try:
                renew(self.row)
            except Exception as error:
                log.warning("a lease could not be renewed: %s", type(error).__name__)
            with suppress(Exception):
                connection.close()
