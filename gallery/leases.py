"""The row is the job: due, leased by one worker at a time, fenced by a token.

A lease is 30 seconds by the database's clock. Its holder renews it while working and writes back under its
token, so a worker that was believed dead and wakes again writes to no row.
"""

import uuid
from collections.abc import Sequence
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
    """The rows of `queryset` that are due, held by nobody, and have not killed too many workers."""
    return _idle(queryset).filter(claims__lt=MOST_CLAIMS)


def _idle(queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
    return queryset.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), due_at__lte=Now(), quarantined_at=None)


def claim(queryset: models.QuerySet[Any], *, limit: int = 1, order_by: Sequence[Any] = ("due_at",)) -> list[Any]:
    """Lease up to `limit` due rows, the first by `order_by`, and return them as they are now, in that order."""
    candidates = free(queryset).order_by(*order_by)
    # Looked at first without a lock: an idle loop must not take SQLite's only write lock.
    if limit < 1 or not candidates.exists():
        return []
    with transaction.atomic():
        locked = candidates.select_for_update(skip_locked=True, of=("self",))
        ids = list(locked.values_list("pk", flat=True)[:limit])
        return sorted(claim_chosen(queryset.model, ids), key=lambda row: ids.index(row.pk))


def claim_chosen(model: type[Leased], ids: list[Any]) -> list[Any]:
    """Lease those of the rows `ids` that are still due and free; the others are somebody else's."""
    token = uuid.uuid4()
    rows = model._default_manager
    free(rows.filter(pk__in=ids)).update(lease_token=token, lease_until=Now() + LEASE, claims=F("claims") + 1)
    return list(rows.filter(pk__in=ids, lease_token=token).order_by("due_at"))


def renew(row: Leased) -> bool:
    """Prolong the lease of `row`; False when it belongs to somebody else by now."""
    held = type(row)._default_manager.filter(pk=row.pk, lease_token=row.lease_token, lease_until__gt=Now())
    return held.update(lease_until=Now() + LEASE) == 1


def hand_back(row: Leased, *, due_at: Any, **changes: Any) -> bool:
    """Write `changes` under the lease's token and end the lease; False when it was lost."""
    held = type(row)._default_manager.filter(pk=row.pk, lease_token=row.lease_token)
    return held.update(due_at=due_at, lease_until=None, lease_token=None, claims=0, **changes) == 1


def drop_after_crash(row: Leased, *, due_at: datetime) -> None:
    """End the lease of work that raised, but go on counting, so that a poisonous row is set aside in the end."""
    held = type(row)._default_manager.filter(pk=row.pk, lease_token=row.lease_token)
    held.update(due_at=due_at, lease_until=None, lease_token=None)


def quarantine_poisoned(model: type[Leased], *, now: datetime) -> int:
    """Set aside rows whose work has died `MOST_CLAIMS` times; returns how many."""
    poisoned = _idle(model._default_manager.filter(claims__gte=MOST_CLAIMS))
    return poisoned.update(quarantined_at=now, lease_until=None, lease_token=None)


RENEWAL_SECONDS: float = LEASE.total_seconds() / 3
