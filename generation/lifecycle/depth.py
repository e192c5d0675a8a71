"""The next frame number, and how many may wait for a slot, in all and of one user, before more are refused."""

import math
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from accounts.models import User
from accounts.statements import bound_cursor
from generation.catalog.base import ModelSpec

OWN_WAIT = """EXISTS (SELECT 1 FROM "generation_prediction" WHERE "status" = 'queued' AND "submitted_at" IS NULL
    AND "provider" = %s AND "user_id" = %s LIMIT 1 OFFSET %s)"""
ALL_WAIT = OWN_WAIT.replace(' AND "user_id" = %s', "")
NEXT_NUMBER = f"""UPDATE "accounts_user" SET "last_frame_number" = "last_frame_number" + 1 WHERE "id" = %s
    RETURNING "last_frame_number", {OWN_WAIT}, {ALL_WAIT}"""  # noqa: S608 (constants)  # nosec B608


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
    limits = {"user": settings.MAX_QUEUED_PER_USER, "site": settings.MAX_QUEUED}
    params: list[Any] = [user.pk, settings.PROVIDER, user.pk, limits["user"] - 1, settings.PROVIDER, limits["site"] - 1]
    with bound_cursor() as cursor:
        cursor.execute(NEXT_NUMBER, params)
        number, *full = cursor.fetchone()
    for (scope, limit), is_full in zip(limits.items(), full, strict=True):
        if is_full:
            # By then a run of this model's has ended, and with it the wait of the next in line.
            raise QueueFull(scope=scope, limit=limit, retry_after_seconds=max(1, math.ceil(spec.usual_seconds)))
    return int(number)
