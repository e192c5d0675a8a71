"""When an unfinished prediction is looked at next."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings

from generation import catalog
from generation.models import Attempt, Prediction
from generation.states import Status

FIRST_LOOK = timedelta(seconds=2)
CANCEL_LOOK = timedelta(seconds=2)


def after_asking(prediction_id: uuid.UUID, *, now: datetime) -> datetime | None:
    """The next look at a prediction as it is in the database now; None when it needs none."""
    prediction = Prediction.objects.get(pk=prediction_id)
    if prediction.status in (Status.STARTING, Status.PROCESSING):
        return _next_look(prediction, prediction.attempts.order_by("-number")[0], now)
    return prediction.due_at


def _next_look(prediction: Prediction, attempt: Attempt, now: datetime) -> datetime:
    """Frequent while it may end any moment, rarer when it is late, and always at the deadline."""
    if prediction.cancel_requested_at:
        return now + CANCEL_LOOK
    usual = timedelta(seconds=catalog.get(prediction.model).usual_seconds)
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
