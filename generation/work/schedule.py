"""When an unfinished prediction is looked at next."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from accounts.statements import Sql
from gallery.leases import hand_back
from generation import catalog
from generation.models import Attempt, Prediction
from generation.providers.base import OverBudget, RateLimited
from generation.states import OPEN_AT_PROVIDER, Status

FIRST_LOOK = timedelta(seconds=2)
CANCEL_LOOK = timedelta(seconds=2)
# Over so many seconds those come back who were sent away until the same moment.
SPREAD_SECONDS = 2.0
DUE_AT: Any = Prediction._meta.get_field("due_at")
OPEN = ", ".join(["%s"] * len(OPEN_AT_PROVIDER))
# What has ended, or waits to be sent again, has a time of its own.
IF_STILL_OPEN = f"""
    CASE WHEN "status" NOT IN ({OPEN}) OR ("status" = '{Status.QUEUED}' AND "submitted_at" IS NULL) THEN "due_at"
    WHEN "cancel_requested_at" IS NOT NULL THEN %s ELSE %s END
"""


def after_pause(error: RateLimited | OverBudget, *, now: datetime) -> datetime:
    """When to ask again after the provider, or our own budget, had no room for a call."""
    until = error.until if isinstance(error, OverBudget) else now + timedelta(seconds=error.retry_after or 10)
    return until + timedelta(seconds=secrets.SystemRandom().uniform(0, SPREAD_SECONDS))


def hand_back_asked(prediction: Prediction, *, look_at: datetime, now: datetime) -> None:
    """Hand the lease of what the provider was asked about back, to be looked at again if it is still open there.

    A cancel asked for since the row was read is not kept waiting until then.
    """
    database, soon = connections[DEFAULT_DB_ALIAS], min(look_at, now + CANCEL_LOOK)
    moments = [DUE_AT.get_db_prep_save(moment, database) for moment in (soon, look_at)]
    hand_back(prediction, due_at=Sql(IF_STILL_OPEN, [*OPEN_AT_PROVIDER, *moments]))


def next_look_asked(attempt: Attempt, *, now: datetime) -> datetime:
    """The same as one moment, for whoever holds the locked row of an attempt's prediction that is open there."""
    look_at = next_look(attempt, model=attempt.prediction.model, now=now)
    return min(look_at, now + CANCEL_LOOK) if attempt.prediction.cancel_requested_at else look_at


def usual_seconds(model: str) -> float:
    """How long the model usually takes; half a minute for one that has left the catalog."""
    try:
        return catalog.get(model).usual_seconds
    except catalog.UnknownModel:
        return 30.0


def next_look(attempt: Attempt, *, model: str, now: datetime) -> datetime:
    """At what the provider has: often while it may end any moment, rarer when it is late, always at the deadline."""
    usual = timedelta(seconds=usual_seconds(model))
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
