"""The next frame number, and how many may wait for a slot, in all and of one user, before more are refused."""

import math
from typing import Any

from django.conf import settings
from django.db.models import Exists, F
from django.utils.translation import gettext

from accounts.models import User
from generation.catalog.base import ModelSpec
from generation.models import Prediction
from generation.states import Status


class QueueFull(Exception):
    """Too many wait already: `scope` is `user` or `site`, `limit` how many of it may. Nothing was created."""

    def __init__(self, *, scope: str, limit: int, retry_after_seconds: int) -> None:
        why = (
            gettext("%(limit)s of your requests are waiting already, and no more may.")
            if scope == "user"
            else gettext("The queue is full: %(limit)s requests are waiting.")
        )
        advice = gettext("Nothing was made and nothing was charged; please try again when some have started.")
        self.sentence = f"{why % {'limit': f'{limit:,}'}} {advice}"
        super().__init__(self.sentence)
        self.scope = scope
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds


def next_number(*, user: User, spec: ModelSpec) -> int:
    """The owner's next frame number; the row stays locked until the transaction ends, so none is given twice.

    Raises `QueueFull`, which is exact after the reservation: its rows let one request of the site in at a time.
    """
    User.objects.filter(pk=user.pk).update(last_frame_number=F("last_frame_number") + 1)
    waiting = Prediction.objects.order_by().filter(status=Status.QUEUED, submitted_at=None, provider=settings.PROVIDER)
    own = waiting.filter(user=user)
    limits = {"user": (own, settings.MAX_QUEUED_PER_USER), "site": (waiting, settings.MAX_QUEUED)}
    full = {f"{scope}_full": Exists(rows[limit - 1 : limit]) for scope, (rows, limit) in limits.items()}
    row: Any = User.objects.values("last_frame_number", **full).get(pk=user.pk)
    for scope, (_, limit) in limits.items():
        if row[f"{scope}_full"]:
            # By then a run of this model's has ended, and with it the wait of the next in line.
            raise QueueFull(scope=scope, limit=limit, retry_after_seconds=max(1, math.ceil(spec.usual_seconds)))
    return int(row["last_frame_number"])
