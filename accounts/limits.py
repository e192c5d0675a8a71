"""Which limits are in force at a moment, for the site, a user and a token."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery, Sum

from accounts.models import ApiToken, LimitIncrease, User
from accounts.periods import PeriodName, Window, windows

SANDBOX = "sandbox"
ScopeName = Literal["site", "user", "token"]
Unit = Literal["count", "usd"]

# The prefix of a limit's column, and the middle of it.
COLUMN_OF: dict[PeriodName, str] = {"day": "daily", "month": "monthly"}
COLUMN_FOR: dict[Unit, str] = {"count": "count", "usd": "micros"}


@dataclass(frozen=True)
class Limit:
    """One limit of a user's, a count or micro-dollars: what was granted, what is added for a while, the user's own."""

    granted: int | None
    increase: int
    own: int | None

    @property
    def in_force(self) -> int | None:
        """What binds; None: nothing does."""
        allowed = None if self.granted is None else self.granted + self.increase
        return min((limit for limit in (allowed, self.own) if limit is not None), default=None)


@dataclass(frozen=True)
class Guard:
    """One quota row that a reservation has to pass, with the limits in force."""

    owner: ScopeName
    scope: str
    window: Window
    count_limit: int | None
    micros_limit: int | None

    @property
    def key(self) -> tuple[str, str, date]:
        return self.scope, self.window.period, self.window.starts_on


def scope_of(kind: ScopeName, id: object = "", *, provider: str) -> str:
    """The scope's name in the tables; simulated spend has scopes of its own."""
    prefix = f"{SANDBOX}/" if provider == SANDBOX else ""
    return f"{prefix}{kind}:{id}" if id else f"{prefix}{kind}"


def column(period: PeriodName, unit: Unit) -> str:
    """The column of a limit on `User` and `ApiToken`; with `own_` before it, of a user's own."""
    return f"{COLUMN_OF[period]}_{COLUMN_FOR[unit]}_limit"


def user_limits(user_id: int, *, now: datetime) -> dict[tuple[PeriodName, Unit], Limit]:
    """A user's four limits as the database has them at `now`; one SELECT. Raises `User.DoesNotExist`."""
    keys: list[tuple[PeriodName, Unit]] = [(period, unit) for period in COLUMN_OF for unit in COLUMN_FOR]
    names = [name for key in keys for name in (column(*key), f"own_{column(*key)}")]
    rows = User.objects.annotate(**{f"added_{column(*key)}": _added(*key, now=now) for key in keys})
    row = rows.values(*names, *(f"added_{column(*key)}" for key in keys)).get(pk=user_id)
    return {
        key: Limit(row[column(*key)], row[f"added_{column(*key)}"] or 0, row[f"own_{column(*key)}"]) for key in keys
    }


def _added(period: PeriodName, unit: Unit, *, now: datetime) -> Subquery:
    """The sum of the increases of one limit that have not expired."""
    rows = LimitIncrease.objects.filter(user=OuterRef("pk"), period=period, unit=unit, expires_at__gt=now)
    return Subquery(rows.order_by().values("user").annotate(total=Sum("amount")).values("total"))


def guards(*, user: User, provider: str, now: datetime, token_id: UUID | None = None) -> Iterator[Guard]:
    """The rows that one reservation touches, in the order in which it must touch them."""
    for window in windows(now):
        yield Guard("site", scope_of("site", provider=provider), window, *_site_limits(window.period, provider))
    yield from user_guards(user=user, provider=provider, now=now)
    if token_id is not None:
        # Read anew: the limits in force are those of the row, not of an object that a request loaded before.
        token = ApiToken.objects.get(pk=token_id)
        for window in windows(now):
            counts, micros = (getattr(token, column(window.period, unit)) for unit in COLUMN_FOR)
            yield Guard("token", scope_of("token", token_id, provider=provider), window, counts, micros)


def user_guards(*, user: User, provider: str, now: datetime) -> Iterator[Guard]:
    """The user's own rows, day before month."""
    limits = user_limits(user.pk, now=now)
    for window in windows(now):
        counts, micros = (limits[window.period, unit].in_force for unit in COLUMN_FOR)
        yield Guard("user", scope_of("user", user.pk, provider=provider), window, counts, micros)


def _site_limits(period: PeriodName, provider: str) -> tuple[int | None, int | None]:
    """Counts and micro-dollars; what is only simulated binds no site."""
    if provider == SANDBOX:
        return None, None
    name = "DAILY" if period == "day" else "MONTHLY"
    return getattr(settings, f"SITE_{name}_COUNT"), getattr(settings, f"SITE_{name}_USD_MICROS")


def increases_in_force(user: User, *, now: datetime) -> QuerySet[LimitIncrease, Any]:
    """The user's increases that still count, the first to end first."""
    return LimitIncrease.objects.filter(user=user, expires_at__gt=now).order_by("expires_at", "pk")
