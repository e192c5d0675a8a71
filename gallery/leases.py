"""The row is the job: due, leased by one worker at a time, fenced by a token.

A lease is 30 seconds by the database's clock. Its holder renews it while working and writes back under its
token, so a worker that was believed dead and wakes again writes to no row.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

LEASE = timedelta(seconds=30)
# A row whose work has died this often without handing the lease back is left to an administrator.
MOST_CLAIMS = 5


class Leased(models.Model):
    """A row that somebody has to attend to at `due_at`. `claims` counts leases taken and not handed back."""

    due_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    claims = models.PositiveSmallIntegerField(default=0)
    quarantined_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


def free(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """The rows of `queryset` that are due and held by nobody."""
    return queryset.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), due_at__lte=Now(), quarantined_at=None)


def claim(queryset: models.QuerySet[Any], *, limit: int = 1) -> list[Any]:
    """Lease up to `limit` due rows, most overdue first, and return them as they are now."""
    token = uuid.uuid4()
    with transaction.atomic():
        candidates = free(queryset).order_by("due_at").select_for_update(skip_locked=True, of=("self",))
        ids = list(candidates.values_list("pk", flat=True)[:limit])
        if not ids:
            return []
        model = queryset.model
        free(model._default_manager.filter(pk__in=ids)).update(
            lease_token=token, lease_until=Now() + LEASE, claims=F("claims") + 1
        )
    return list(model._default_manager.filter(pk__in=ids, lease_token=token))


def renew(row: Leased) -> bool:
    """Prolong the lease of `row`; False when it belongs to somebody else by now."""
    held = type(row)._default_manager.filter(pk=row.pk, lease_token=row.lease_token, lease_until__gt=Now())
    return held.update(lease_until=Now() + LEASE) == 1


def hand_back(row: Leased, *, due_at: datetime | None, **changes: Any) -> bool:
    """Write `changes` under the lease's token and end the lease; False when it was lost."""
    held = type(row)._default_manager.filter(pk=row.pk, lease_token=row.lease_token)
    return held.update(due_at=due_at, lease_until=None, lease_token=None, claims=0, **changes) == 1


def hand_back_all(rows: Iterable[Leased]) -> None:
    """End the leases of rows that were not worked on; they stay due."""
    for row in rows:
        hand_back(row, due_at=row.due_at)


def quarantine_poisoned(model: type[Leased], *, now: datetime) -> int:
    """Set aside rows whose work has died `MOST_CLAIMS` times; returns how many."""
    poisoned = free(model._default_manager.filter(claims__gte=MOST_CLAIMS))
    return poisoned.update(quarantined_at=now, lease_until=None, lease_token=None)


RENEWAL_SECONDS: float = LEASE.total_seconds() / 3
