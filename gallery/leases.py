"""The row is the job: due, leased by one worker at a time, fenced by a token.

A lease is 30 seconds by the database's clock. Its holder renews it while working and writes back under its
token, so a worker that was believed dead and wakes again writes to no row.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.statements import update

LEASE = timedelta(seconds=30)
# By the database's clock.
NOW = Now()
LEASED_UNTIL = NOW + LEASE
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
    candidates = free(queryset).order_by(*order_by).values_list("pk", flat=True)
    if limit < 1:
        return []
    if not connection.features.has_select_for_update_skip_locked:
        # SQLite has one lock for everything, which a look must not take: of two who have chosen the same row, the
        # guarded UPDATE lets one have it.
        return _leased(queryset, list(candidates[:limit]))
    # Looked at first without a transaction: a lane that finds nothing is to cost next to nothing.
    if not candidates.exists():
        return []
    with transaction.atomic():
        # Passing over what others are just claiming.
        return _leased(queryset, list(candidates.select_for_update(skip_locked=True, of=("self",))[:limit]))


def _leased(queryset: models.QuerySet[Any], ids: list[Any]) -> list[Any]:
    """Those of the rows `ids` that could be leased, in that order."""
    return sorted(claim_chosen(queryset, ids), key=lambda row: ids.index(row.pk)) if ids else []


def claim_chosen(queryset: models.QuerySet[Any], ids: list[Any]) -> list[Any]:
    """Lease those of the rows `ids` that are still in `queryset`, due and free; the others are somebody else's.

    Unless the rows are locked, `queryset` names columns of its own table alone: with another table Django asks in a
    subquery, and PostgreSQL asks that no second time of a row that it had to wait for.
    """
    token = uuid.uuid4()
    chosen = free(queryset.filter(pk__in=ids))
    if not chosen.update(lease_token=token, lease_until=LEASED_UNTIL, claims=F("claims") + 1):
        return []
    rows = queryset.model._default_manager
    return list(rows.filter(pk__in=ids, lease_token=token).order_by("due_at"))


def renew(row: Leased) -> bool:
    """Prolong the lease of `row`; False when it belongs to somebody else by now."""
    return renew_where(row, {})


def renew_where(row: Leased, where: Mapping[str, Any], **changes: Any) -> bool:
    """The same if the row is as `where` says (see `accounts.statements`); writes `changes`."""
    held = {"pk": row.pk, "lease_token": row.lease_token, "lease_until": NOW, **where}
    return update(type(row), held, lease_until=LEASED_UNTIL, **changes) == 1


def hand_back(row: Leased, *, due_at: Any, **changes: Any) -> bool:
    """Write `changes` under the lease's token and end the lease; False when it was lost."""
    held = {"pk": row.pk, "lease_token": row.lease_token}
    return update(type(row), held, due_at=due_at, lease_until=None, lease_token=None, claims=0, **changes) == 1


def drop_after_crash(row: Leased, *, due_at: datetime) -> None:
    """End the lease of work that raised, but go on counting, so that a poisonous row is set aside in the end."""
    held = {"pk": row.pk, "lease_token": row.lease_token}
    update(type(row), held, due_at=due_at, lease_until=None, lease_token=None)


def quarantine_poisoned(model: type[Leased], *, now: datetime) -> int:
    """Set aside rows whose work has died `MOST_CLAIMS` times; returns how many."""
    poisoned = _idle(model._default_manager.filter(claims__gte=MOST_CLAIMS))
    return poisoned.update(quarantined_at=now, lease_until=None, lease_token=None)


RENEWAL_SECONDS: float = LEASE.total_seconds() / 3
