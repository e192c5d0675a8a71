"""What happened to a prediction, written as a row in the transaction in which it happened, and rung about."""

import asyncio
import logging
import threading
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection, transaction

from accounts.statements import Sql, insert, update
from generation.models import Prediction, PredictionEvent
from generation.outgoing.announcing import announce, heard

log = logging.getLogger(__name__)

# What is asked with each event so that those who listen wake up; where nothing is, they watch SQLite's file.
BELL: Final = {"postgresql": [Sql("pg_notify('palette', '')")], "sqlite": []}


def record(*, prediction: Prediction, name: str, now: datetime, data: dict[str, Any] | None = None) -> PredictionEvent:
    """Add an event to the timeline and wake whoever listens, once the caller's transaction commits."""
    event = enter(prediction=prediction, name=name, now=now, data=data)
    show(event)
    return event


def made(*, prediction: Prediction, name: str, now: datetime, data: dict[str, Any] | None = None) -> PredictionEvent:
    """An event that is not entered yet."""
    return PredictionEvent(
        prediction=prediction, user_id=prediction.user_id, name=name, data=data or {}, created_at=now
    )


def show(event: PredictionEvent) -> None:
    """Have its prediction name it as the newest, where nothing else of the row is written."""
    update(Prediction, {"pk": event.prediction_id}, last_event_id=newest(event))


def newest(event: PredictionEvent) -> Sql:
    """What an event makes of its prediction's `last_event_id`, for `accounts.statements.update`."""
    greatest = "MAX" if connection.vendor == "sqlite" else "GREATEST"
    return Sql(f'{greatest}("last_event_id", %s)', [event.pk])


def enter(
    *,
    prediction: Prediction,
    name: str,
    now: datetime,
    data: dict[str, Any] | None = None,
    after: PredictionEvent | None = None,
) -> PredictionEvent:
    """The same for whoever writes the prediction's row anyway, and `last_event_id` with it.

    One that happened just before and was only `made` is entered `after` it has been, by the same statement.
    """
    event = made(prediction=prediction, name=name, now=now, data=data)
    asked = [*BELL[connection.vendor], heard(name, event.user_id)]
    *_, is_heard = insert(*([after] if after else []), event, asking=asked)
    prediction.last_event_id = event.pk
    if is_heard:
        announce(prediction=prediction, name=name, now=now)
    if settings.REDIS_URL:
        user_id = prediction.user_id
        transaction.on_commit(lambda: _publish(user_id, event.pk))
    return event


def _publish(user_id: int, event_id: int) -> None:
    """Ring the user's sockets. A bell that fails costs a few seconds, never the news: clients ask again."""
    message = {"type": "prediction.changed", "event": event_id}
    asyncio.run_coroutine_threadsafe(_send(f"user-{user_id}", message), _bell_loop())


async def _send(group: str, message: dict[str, Any]) -> None:
    try:
        await asyncio.wait_for(get_channel_layer().group_send(group, message), timeout=5)
    except Exception as error:
        log.warning("could not publish an event: %s", type(error).__name__)


@lru_cache(maxsize=1)
def _bell_loop() -> asyncio.AbstractEventLoop:
    """One loop in a thread of its own per process: publishing never delays the work and keeps one connection."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="event-bell", daemon=True).start()
    return loop
