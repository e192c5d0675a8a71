"""Which limits are in force at a moment, for the site, a user and a token."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db.models import CharField, Exists, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Cast, Concat

from accounts.models import ApiToken, LimitIncrease, QuotaPeriod, User
from accounts.periods import PeriodName, Window, month_of, windows
from accounts.prepared import Prepared

SANDBOX = "sandbox"
ScopeName = Literal["site", "user", "token"]
Unit = Literal["count", "usd"]

# The prefix of a limit's column, and the middle of it.
COLUMN_OF: dict[PeriodName, str] = {"day": "daily", "month": "monthly"}
COLUMN_FOR: dict[Unit, str] = {"count": "count", "usd": "micros"}
SETTING_FOR: dict[Unit, str] = {"count": "count", "usd": "usd_micros"}
KEYS: list[tuple[PeriodName, Unit]] = [(period, unit) for period in COLUMN_OF for unit in COLUMN_FOR]
Limits = dict[tuple[PeriodName, Unit], int | None]


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
    """A user's four limits as the database has them at `now`. Raises `User.DoesNotExist`.

    One SELECT, and another for one who has an increase: most have none, and to sum them up costs as much as all else.
    """
    return _with_increases(_limits_found(user_id, None, now), user_id, now)


def _with_increases(row: dict[str, Any], user_id: int, now: datetime) -> dict[tuple[PeriodName, Unit], Limit]:
    added: Counter[tuple[str, str]] = Counter()
    if row["more"]:
        increases = LimitIncrease.objects.filter(user=user_id, expires_at__gt=now)
        for period, unit, amount in increases.values_list("period", "unit", "amount"):
            added[period, unit] += amount
    return _limits_of(row | {f"added_{column(*key)}": added[key] for key in KEYS})


def with_limits(
    *also: str, user_id: int, now: datetime, api_tokens: UUID | None = None, **computed: Any
) -> QuerySet[User, dict[str, Any]]:
    """What `guards` reads of a user's limits and of those of one token of theirs, beside other columns of the row."""
    of_token = {"api_tokens": api_tokens} if api_tokens else {}
    names = [name for key in KEYS for name in (column(*key), f"own_{column(*key)}")]
    more = Exists(LimitIncrease.objects.filter(user=OuterRef("pk"), expires_at__gt=now))
    token = {f"token_{column(*key)}": F(f"api_tokens__{column(*key)}") for key in KEYS if of_token}
    users = User.objects.filter(pk=user_id, **of_token)
    rows: QuerySet[User, dict[str, Any]] = users.values(*also, *names, more=more, **token, **computed)
    return rows


LIMITS_OF = Prepared(with_limits, user_id=int, now=datetime)
LIMITS_OF_BOTH = Prepared(with_limits, user_id=int, api_tokens=UUID, now=datetime)


def _rows(users: QuerySet[User], now: datetime) -> QuerySet[User, dict[str, Any]]:
    """What `_limits_of` reads, of each of `users`."""
    names = [name for key in KEYS for name in (column(*key), f"own_{column(*key)}")]
    added = {f"added_{column(*key)}": _added(*key, now=now) for key in KEYS}
    rows: QuerySet[User, dict[str, Any]] = users.annotate(**added).values("pk", *names, *added)
    return rows


def _limits_of(row: dict[str, Any]) -> dict[tuple[PeriodName, Unit], Limit]:
    names = {key: column(*key) for key in KEYS}
    return {key: Limit(row[name], row[f"added_{name}"] or 0, row[f"own_{name}"]) for key, name in names.items()}


def _added(period: PeriodName, unit: Unit, *, now: datetime) -> Subquery:
    """The sum of the increases of one limit that have not expired."""
    rows = LimitIncrease.objects.filter(user=OuterRef("pk"), period=period, unit=unit, expires_at__gt=now)
    return Subquery(rows.order_by().values("user").annotate(total=Sum("amount")).values("total"))


def guards(
    *,
    user: User,
    provider: str,
    now: datetime,
    token_id: UUID | None = None,
    found: dict[str, Any] | None = None,
) -> Iterator[Guard]:
    """The rows that one reservation touches, in the order in which it must touch them.

    `found` is the row of `with_limits` that was just read. Raises `ApiToken.DoesNotExist` and `User.DoesNotExist`.
    """
    # Read anew: the limits in force are those of the rows, not of objects that a request loaded before.
    found = found or _limits_found(user.pk, token_id, now)
    yield from _site_guards(provider=provider, now=now)
    of_user = _in_force(_with_increases(found, user.pk, now))
    yield from _guards("user", user.pk, of_user, provider=provider, now=now)
    if token_id:
        of_token: Limits = {key: found[f"token_{column(*key)}"] for key in KEYS}
        yield from _guards("token", token_id, of_token, provider=provider, now=now)


def _limits_found(user_id: int, token_id: UUID | None, now: datetime) -> dict[str, Any]:
    if token_id is None:
        rows = LIMITS_OF(user_id=user_id, now=now)
    else:
        rows = LIMITS_OF_BOTH(user_id=user_id, api_tokens=token_id, now=now)
    if not rows:
        raise ApiToken.DoesNotExist if token_id else User.DoesNotExist
    return rows[0]


def user_guards(*, user: User, provider: str, now: datetime) -> Iterator[Guard]:
    """The user's own rows, day before month."""
    return _guards("user", user.pk, _in_force(user_limits(user.pk, now=now)), provider=provider, now=now)


def every_guard(*, provider: str, now: datetime) -> Iterator[Guard]:
    """The rows of the site, of the users who have spent this month, and of the tokens that have limits.

    Only of those who may spend more: accounts that are open, tokens that are not taken back.
    """
    yield from _site_guards(provider=provider, now=now)
    scope = Concat(Value(scope_of("user", provider=provider) + ":"), Cast(OuterRef("pk"), CharField()))
    month = QuotaPeriod.objects.filter(scope=scope, period="month", starts_on=month_of(now).starts_on)
    for row in _rows(User.objects.filter(Exists(month), is_active=True), now):
        yield from _guards("user", row["pk"], _in_force(_limits_of(row)), provider=provider, now=now)
    unlimited = {column(*key): None for key in KEYS}
    for token in ApiToken.objects.filter(revoked_at=None, user__is_active=True).exclude(**unlimited):
        yield from token_guards(token, provider=provider, now=now)


def _in_force(limits: dict[tuple[PeriodName, Unit], Limit]) -> Limits:
    return {key: limit.in_force for key, limit in limits.items()}


def token_guards(token: ApiToken, *, provider: str, now: datetime) -> Iterator[Guard]:
    """The token's own rows, day before month."""
    limits: Limits = {key: getattr(token, column(*key)) for key in KEYS}
    return _guards("token", token.pk, limits, provider=provider, now=now)


def _site_guards(*, provider: str, now: datetime) -> Iterator[Guard]:
    """What is only simulated binds no site."""
    names = {key: f"SITE_{COLUMN_OF[key[0]]}_{SETTING_FOR[key[1]]}".upper() for key in KEYS}
    limits: Limits = {key: None if provider == SANDBOX else getattr(settings, name) for key, name in names.items()}
    return _guards("site", "", limits, provider=provider, now=now)


def _guards(owner: ScopeName, id: object, limits: Limits, *, provider: str, now: datetime) -> Iterator[Guard]:
    scope = scope_of(owner, id, provider=provider)
    for window in windows(now):
        yield Guard(owner, scope, window, limits[window.period, "count"], limits[window.period, "usd"])


def increases_in_force(user: User, *, now: datetime) -> QuerySet[LimitIncrease, Any]:
    """The user's increases that still count, the first to end first."""
    return LimitIncrease.objects.filter(user=user, expires_at__gt=now).order_by("expires_at", "pk")
