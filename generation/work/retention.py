"""What is not kept for ever: every few minutes the oldest goes, a batch at a time, so that nobody waits for a lock.

How long each kind is kept is an operator's to say (`KEEP_…_DAYS`). Money, predictions, assets and what administrators
have done are not pruned.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import BudgetNotice, CacheRow
from generation.models import Prediction, PredictionEvent, WebhookDelivery
from generation.states import TERMINAL

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 300
BATCH: Final = 500
# Of each kind in one go; a longer tail waits for the next.
MOST_BATCHES: Final = 20


@dataclass(frozen=True)
class Kind:
    """Rows past their time, oldest first, and what is done with a batch of them."""

    name: str
    old: Callable[[datetime], QuerySet[Any]]
    end: Callable[[QuerySet[Any]], int] = lambda rows: rows.delete()[0]


def _before(days: int, now: datetime) -> datetime:
    return now - timedelta(days=days)


def _deliveries(now: datetime) -> QuerySet[WebhookDelivery]:
    """Applied ones; a repeat that comes later still would be applied again, which changes nothing."""
    before = _before(settings.KEEP_DELIVERIES_DAYS, now)
    return WebhookDelivery.objects.filter(received_at__lt=before, due_at=None).order_by("received_at")


def _events(now: datetime) -> QuerySet[PredictionEvent]:
    """Pages and sockets look back a minute, administrators at a timeline."""
    before = _before(settings.KEEP_EVENTS_DAYS, now)
    return PredictionEvent.objects.filter(created_at__lt=before).order_by("created_at")


def _keyed(now: datetime) -> QuerySet[Prediction]:
    """Predictions whose idempotency key has had its time; they themselves stay."""
    rows = Prediction.objects.filter(idempotency_key__isnull=False, status__in=TERMINAL)
    return rows.filter(created_at__lt=_before(settings.KEEP_KEYS_DAYS, now)).order_by("created_at")


def _notices(now: datetime) -> QuerySet[BudgetNotice]:
    """Of periods that are long over, so that none is told twice."""
    return BudgetNotice.objects.filter(created_at__lt=_before(settings.KEEP_NOTICES_DAYS, now)).order_by("pk")


def _sessions(now: datetime) -> QuerySet[Session]:
    """What signs nobody in any more."""
    return Session.objects.filter(expire_date__lt=now).order_by("expire_date")


def _sign_ins(now: datetime) -> QuerySet[UserSession]:
    """What is listed of a session that is gone."""
    there = Session.objects.filter(session_key=OuterRef("session_key"))
    rows: QuerySet[UserSession] = UserSession.objects.filter(~Exists(there)).order_by("pk")
    return rows


def _cached(now: datetime) -> QuerySet[CacheRow]:
    return CacheRow.objects.filter(expires_at__lt=now).order_by("expires_at")


KINDS: Final = (
    Kind("deliveries", _deliveries),
    Kind("events", _events),
    Kind("idempotency keys", _keyed, lambda rows: rows.update(idempotency_key=None, request_digest="")),
    Kind("notices", _notices),
    Kind("sessions", _sessions),
    Kind("sign-ins", _sign_ins),
    Kind("cached values", _cached),
)


def prune(*, now: datetime) -> None:
    """One process, every few minutes; a cache that is lost makes it sooner, and nothing worse."""
    if not cache.add("retention", True, timeout=EVERY_SECONDS):
        return
    for kind in KINDS:
        if ended := prune_kind(kind, now=now):
            log.info("%s %s were pruned", ended, kind.name)


def prune_kind(kind: Kind, *, now: datetime) -> int:
    """Batch after batch, each a transaction of its own; returns how many rows."""
    ended = 0
    for _ in range(MOST_BATCHES):
        rows = kind.old(now)
        batch = list(rows.values_list("pk", flat=True)[:BATCH])
        ended += kind.end(rows.model._default_manager.filter(pk__in=batch)) if batch else 0
        if len(batch) < BATCH:
            break
    return ended
