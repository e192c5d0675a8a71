"""The row is the job: due, leased by one worker at a time, fenced by a token.

A lease is 30 seconds by the database's clock. Its holder renews it while working and writes back under its
token, so a worker that was believed dead and wakes again writes to no row.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import connection, models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.prepared import condition_of, sql_of
from accounts.statements import Sql, bound_cursor, update, updated, updated_in_order

LEASE = timedelta(seconds=30)
FRESH_SECONDS = 1.0
# By the database's clock.
NOW = Now()
LEASED_UNTIL = NOW + LEASE
ONE_MORE = F("claims") + 1
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


class Claims:
    """Leases the due ones of `rows`, the first by `order_by`; its statements are put together once.

    `rows` is asked once, so it says nothing of a moment: it compares with the database's `Now()`.
    """

    def __init__(self, rows: Callable[[], models.QuerySet[Any]], order_by: Sequence[Any] = ("due_at",)) -> None:
        self._rows, self._order_by = rows, order_by

    def take(self, limit: int = 1) -> list[Any]:
        """Lease up to `limit` of them, and return them as they are now, in their order."""
        if limit < 1:
            return []
        if not connection.features.has_select_for_update_skip_locked:
            # SQLite has one lock for everything, which a look must not take: of two who have chosen the same row, the
            # guarded UPDATE lets one have it.
            return self.chosen(self._candidates_now(limit))
        # Passing over what others are just claiming.
        locked = f"FOR NO KEY UPDATE OF {connection.ops.quote_name(self._model._meta.db_table)} SKIP LOCKED"
        keys = Sql(f"{self._candidates.sql} LIMIT {int(limit)} {locked}", self._candidates.params)
        return updated_in_order(self._model, keys, **self._lease())

    def chosen(self, ids: Sequence[Any]) -> list[Any]:
        """Lease those of the rows `ids` that are still among them, due and free; the others are somebody else's.

        `rows` must name columns of its own table alone: with another table Django asks in a subquery, and PostgreSQL
        asks that no second time of a row that it had to wait for.
        """
        if not ids:
            return []
        leased = updated(self._model, {"pk": tuple(ids)}, also=self._still_free, **self._lease())
        return sorted(leased, key=lambda row: ids.index(row.pk))

    def _candidates_now(self, limit: int) -> list[Any]:
        with bound_cursor() as cursor:
            cursor.execute(f"{self._candidates.sql} LIMIT {int(limit)}", self._candidates.params)
            found = [key for (key,) in cursor.fetchall()]
        return [self._model._meta.pk.to_python(key) for key in found]

    def _lease(self) -> dict[str, Any]:
        return {"lease_token": uuid.uuid4(), "lease_until": LEASED_UNTIL, "claims": ONE_MORE}

    @cached_property
    def _model(self) -> Any:
        return self._rows().model

    @cached_property
    def _candidates(self) -> Sql:
        return sql_of(free(self._rows()).order_by(*self._order_by).values_list("pk", flat=True))

    @cached_property
    def _still_free(self) -> Sql:
        return condition_of(free(self._rows()))


def claim(queryset: models.QuerySet[Any], *, limit: int = 1, order_by: Sequence[Any] = ("due_at",)) -> list[Any]:
    """Lease up to `limit` due rows of `queryset` once."""
    return Claims(lambda: queryset, order_by).take(limit)


def renew(row: Leased) -> bool:
    """Prolong the lease of `row`; False when it belongs to somebody else by now."""
    return renew_where(row, {})


def renew_where(row: Leased, where: Mapping[str, Any], *, also: Sql | None = None, **changes: Any) -> bool:
    """The same if the row is as `where` and `also` say (see `accounts.statements`); writes `changes`."""
    held = {"pk": row.pk, "lease_token": row.lease_token, "lease_until": NOW, **where}
    return update(type(row), held, also=also, lease_until=LEASED_UNTIL, **changes) == 1


def boot_seconds() -> float | None:
    """By a clock that goes on while this process, or its machine, sleeps; None where there is none (macOS)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else None


def is_fresh(leased_at: float | None) -> bool:
    """Whether what was leased or renewed after that moment of `boot_seconds` is held without asking: no lease ends so
    soon, and nobody takes one that has not ended."""
    now = boot_seconds()
    return leased_at is not None and now is not None and now - leased_at < FRESH_SECONDS


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
