"""When an unfinished prediction is looked at next."""

import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

from accounts.statements import Sql, read
from gallery.leases import hand_back
from generation import catalog
from generation.models import Attempt, Prediction
from generation.providers.base import OverBudget, RateLimited
from generation.states import OPEN_AT_PROVIDER

FIRST_LOOK = timedelta(seconds=2)
CANCEL_LOOK = timedelta(seconds=2)
# Over so many seconds those come back who were sent away until the same moment.
SPREAD_SECONDS = 2.0
DUE_AT: Any = Prediction._meta.get_field("due_at")
OPEN = ", ".join(["%s"] * len(OPEN_AT_PROVIDER))
SOON_IF_CANCELING = f'CASE WHEN "status" IN ({OPEN}) AND "cancel_requested_at" IS NOT NULL THEN %s ELSE %s END'


def after_asking(prediction_id: uuid.UUID, *, now: datetime) -> datetime | None:
    """The next look at a prediction as it is in the database now; None when it needs none."""
    newest = read(Attempt, {"prediction": prediction_id}, order_by="-number", limit=1, joined="prediction")
    attempt: Attempt = newest[0]
    prediction = attempt.prediction
    if prediction.status in OPEN_AT_PROVIDER and prediction.submitted_at:
        return _next_look(prediction, attempt, now)
    return prediction.due_at


def after_pause(error: RateLimited | OverBudget, *, now: datetime) -> datetime:
    """When to ask again after the provider, or our own budget, had no room for a call."""
    until = error.until if isinstance(error, OverBudget) else now + timedelta(seconds=error.retry_after or 10)
    return until + timedelta(seconds=secrets.SystemRandom().uniform(0, SPREAD_SECONDS))


def hand_back_asked(prediction: Prediction, *, due_at: datetime | None) -> None:
    """Hand the lease back; a cancel asked for since the row was read is not kept waiting until `due_at`."""
    soon = timezone.now() + CANCEL_LOOK
    if due_at is None or due_at <= soon:
        hand_back(prediction, due_at=due_at)
        return
    database = connections[DEFAULT_DB_ALIAS]
    moments = [DUE_AT.get_db_prep_save(moment, database) for moment in (soon, due_at)]
    hand_back(prediction, due_at=Sql(SOON_IF_CANCELING, [*OPEN_AT_PROVIDER, *moments]))


def usual_seconds(model: str) -> float:
    """How long the model usually takes; half a minute for one that has left the catalog."""
    try:
        return catalog.get(model).usual_seconds
    except catalog.UnknownModel:
        return 30.0


def _next_look(prediction: Prediction, attempt: Attempt, now: datetime) -> datetime:
    """Frequent while it may end any moment, rarer when it is late, and always at the deadline."""
    if prediction.cancel_requested_at:
        return now + CANCEL_LOOK
    usual = timedelta(seconds=usual_seconds(prediction.model))
    since = now - (attempt.submitted_at or now)
    if settings.WEBHOOK_ORIGIN and since < usual:
        pause = usual - since
    elif since < 2 * usual:
        pause = min(max(since * 0.3, FIRST_LOOK), timedelta(seconds=5))
    else:
        pause = min(max(since * 0.3, timedelta(seconds=5)), timedelta(seconds=30))
    deadline = attempt.deadline_at
    if deadline and now < deadline:
        return min(now + pause, deadline + timedelta(seconds=1))
    return now + pause
