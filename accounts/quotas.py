"""Who may still spend what: reservations, settlements and the counters that guard them.

Every amount is in integer micro-dollars. A reservation is one guarded UPDATE of all quota rows that it touches. They
are locked in the order site, user, token, and day before month, so that two of them never wait for each other in a
circle. The ledger is append-only and is the truth; the counters are its cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext, gettext_noop

from accounts import sums
from accounts.limits import SANDBOX, Guard, ScopeName, Unit, guards, scope_of, token_guards, user_guards
from accounts.models import ApiToken, LedgerEntry, QuotaPeriod, User
from accounts.money import amount
from accounts.periods import Window, a_period, day_of, in_words
from accounts.recount import recompute
from accounts.statements import Sql, bound_cursor, insert, insert_like, insert_new, read

__all__ = [
    "SANDBOX",
    "Meter",
    "NoOutcome",
    "NoReservation",
    "PeriodUsage",
    "QuotaExceeded",
    "Usage",
    "correct",
    "outlook",
    "recompute",
    "relabel",
    "release",
    "reserve",
    "scope_of",
    "settle",
    "token_usage",
    "transfer",
    "usage",
]


PERIODS = '"accounts_quotaperiod"'
REFERENCE: Any = LedgerEntry._meta.get_field("reference")
HELD_MICROS = '(SELECT "amount_micros" FROM "accounts_ledgerentry" WHERE "reference" = %s AND "kind" = %s)'
# Scope, period and the first day of it: what names a row.
Key = tuple[str, str, date]
REFUSALS: dict[ScopeName, str] = {
    "site": gettext_noop("This site's limit of %(amount)s %(a_period)s does not allow this; it resets on %(moment)s."),
    "user": gettext_noop("Your limit of %(amount)s %(a_period)s does not allow this; it resets on %(moment)s."),
    "token": gettext_noop(
        "This token's limit of %(amount)s %(a_period)s does not allow this; it resets on %(moment)s."
    ),
}


class QuotaExceeded(Exception):
    """A limit does not allow this reservation: `limit` is a count or micro-dollars, as `unit` says."""

    def __init__(self, *, scope: ScopeName, unit: Unit, limit: int, window: Window) -> None:
        self.scope, self.unit, self.limit = scope, unit, limit
        self.period = window.period
        self.resets_at = window.resets_at
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        said = {"amount": amount(self.unit, self.limit), "a_period": a_period(self.period)}
        return gettext(REFUSALS[self.scope]) % (said | {"moment": in_words(self.resets_at)})


class NoReservation(LookupError):
    """Nothing was ever reserved under this reference."""


class NoOutcome(ValueError):
    """A correction was asked for before the reservation had its end."""


@dataclass(frozen=True)
class Meter:
    """What is used of one limit, in counts or micro-dollars; a limit of None does not bind."""

    limit: int | None
    settled: int
    reserved: int

    @property
    def remaining(self) -> int | None:
        """What a reservation may still take, never below zero; None: no limit."""
        return None if self.limit is None else max(0, self.limit - self.settled - self.reserved)


@dataclass(frozen=True)
class PeriodUsage:
    """Generations and micro-dollars of one day or month."""

    count: Meter
    usd: Meter
    resets_at: datetime


@dataclass(frozen=True)
class Usage:
    """Where a user or a token stands today and this month."""

    day: PeriodUsage
    month: PeriodUsage


def reserve(
    *,
    user: User,
    reference: UUID,
    amount_micros: int,
    provider: str,
    model: str,
    now: datetime,
    token_id: UUID | None = None,
    passed: list[Guard] | None = None,
) -> tuple[LedgerEntry, Usage]:
    """Hold one generation of at most `amount_micros` in every period it touches, or in none; how `user` stands then.

    Raises `QuotaExceeded` for the first limit that does not allow it, by the limits in force: those that the caller
    has just read (`passed`), or that are read here.
    """
    if amount_micros < 0:
        raise ValueError("A reservation cannot be negative.")
    if passed is None:
        passed = list(guards(user=user, provider=provider, token_id=token_id, now=now))
    entry = LedgerEntry(
        kind=LedgerEntry.Kind.RESERVE,
        reference=reference,
        user_id=user.pk,
        user_scope=scope_of("user", user.pk, provider=provider),
        provider=provider,
        model=model,
        count=1,
        amount_micros=amount_micros,
        booked_on=day_of(now).starts_on,
        created_at=now,
    )
    with transaction.atomic(savepoint=False):
        told = _enter(entry, passed)
    if isinstance(told, QuotaExceeded):
        raise told
    return entry, told


def settle(*, reference: UUID, amount_micros: int, estimated: bool, end: str, now: datetime) -> bool:
    """Book what the provider charged, in full, to the reservation's periods; False when it has its end already.

    `end` is how it ended, for the daily sums. Raises `NoReservation`.
    """
    with transaction.atomic(savepoint=False):
        ended = _end(
            reference, LedgerEntry.Kind.SETTLE, amount_micros=amount_micros, estimated=estimated, end=end, now=now
        )
        if ended is None:
            return False
        entry, held_micros = ended
        _add(
            entry.periods,
            reserved_count=-entry.count,
            reserved_micros=-held_micros,
            settled_count=entry.count,
            settled_micros=amount_micros,
        )
        sums.book(entry)
        return True


def release(*, reference: UUID, reason: str, end: str, now: datetime) -> bool:
    """Give the reservation back, count and amount; False when it has its end already.

    `end` is how it ended, for the daily sums. Raises `NoReservation`.
    """
    with transaction.atomic(savepoint=False):
        ended = _end(reference, LedgerEntry.Kind.RELEASE, reason=reason, end=end, now=now)
        if ended is None:
            return False
        entry, held_micros = ended
        _add(entry.periods, reserved_count=-entry.count, reserved_micros=-held_micros)
        sums.book(entry)
        return True


def transfer(*, reference: UUID, to: UUID, now: datetime) -> bool:
    """Pass the reservation over to a new attempt in the same periods; False when it has its end already.

    What was admitted once is not asked again, so no limit is looked at and no counter moves.
    Raises `NoReservation`.
    """
    held = _reservation(reference)
    with transaction.atomic(savepoint=False):
        if not insert_new(_follow(held, LedgerEntry.Kind.RELEASE, reason=f"passed over to {to}", now=now)):
            return False
        passed = _follow(held, LedgerEntry.Kind.RESERVE, reason=f"passed over from {reference}", now=now)
        passed.reference = to
        insert(passed)
        return True


def correct(*, reference: UUID, amount_micros: int, count: int, reason: str, now: datetime) -> None:
    """Book a difference (±) after an outcome, to the periods of the reservation.

    Raises `NoReservation`, and `NoOutcome` while the reservation is open.
    """
    with transaction.atomic():
        held = _reservation(reference, locked=True)
        end = _end_of(reference) or "failed"
        entry = _follow(held, LedgerEntry.Kind.CORRECT, amount_micros=amount_micros, reason=reason, end=end, now=now)
        entry.count = count
        insert(entry)
        _add(held.periods, settled_count=count, settled_micros=amount_micros)
        sums.book(entry)


def relabel(*, reference: UUID, end: str, reason: str, now: datetime) -> bool:
    """Enter that what was settled ended otherwise than was thought; no money moves. False when it is known already.

    Raises `NoReservation`, and `NoOutcome` while the reservation is open, here or where it was passed over to.
    """
    with transaction.atomic():
        held = _reservation(reference, locked=True)
        was = _end_of(reference)
        if not was:
            raise NoOutcome(str(reference))
        if was == end:
            return False
        entry = _follow(held, LedgerEntry.Kind.CORRECT, amount_micros=0, reason=reason, end=end, now=now)
        entry.count = 0
        insert(entry)
        sums.move(entry, was=was)
        return True


def outlook(
    *, user: User, amount_micros: int, provider: str, now: datetime, token_id: UUID | None = None, count: int = 1
) -> tuple[Usage, QuotaExceeded | None]:
    """Where `user` stands, and what `reserve` would raise just now: None where it would hold it. Never writes.

    `amount_micros` is for all of `count` generations together.
    """
    passed = list(guards(user=user, provider=provider, token_id=token_id, now=now))
    met = _met(passed)
    refused = (_exceeded(guard, row) for guard, row in met if not _fits(guard, row, amount_micros, count))
    return _usage(met), next(refused, None)


def _fits(guard: Guard, row: QuotaPeriod, amount_micros: int, count: int = 1) -> bool:
    """What `_room` asks in the UPDATE, of a row that was read."""
    with_them = row.settled_count + row.reserved_count + count
    with_it = row.settled_micros + row.reserved_micros + amount_micros
    limits = ((with_them, guard.count_limit), (with_it, guard.micros_limit))
    return all(limit is None or used <= limit for used, limit in limits)


def usage(*, user: User, now: datetime) -> Usage:
    """Where `user` stands with the provider that is configured; never writes."""
    return _usage(_met(list(user_guards(user=user, provider=settings.PROVIDER, now=now))))


def token_usage(*, token: ApiToken, now: datetime) -> Usage:
    """Where `token` stands against the limits of its own; never writes."""
    return _usage(_met(list(token_guards(token, provider=settings.PROVIDER, now=now))), owner="token")


def _rows(guards: list[Guard]) -> dict[Key, QuotaPeriod]:
    """The guards' rows, as far as there are any."""
    scopes, days = ({guard.scope: 0 for guard in guards}, {guard.window.starts_on: 0 for guard in guards})
    rows: list[QuotaPeriod] = read(QuotaPeriod, {"scope": tuple(scopes), "starts_on": tuple(days)})
    return {(row.scope, row.period, row.starts_on): row for row in rows}


def _met(guards: list[Guard], *, made: bool = False) -> list[tuple[Guard, QuotaPeriod]]:
    """Each guard with its row, or with a blank one; `made`: rows that are missing are made, as a rival may do as well.

    No row is locked here: whoever waits for a rival's new row must not hold what the rival waits for.
    """
    rows = _rows(guards)
    missing = [guard for guard in guards if guard.key not in rows]
    if made and missing:
        QuotaPeriod.objects.bulk_create(
            [QuotaPeriod(scope=g.scope, period=g.window.period, starts_on=g.window.starts_on) for g in missing],
            ignore_conflicts=True,
        )
        rows = _rows(guards)
    return [(guard, rows.get(guard.key) or QuotaPeriod()) for guard in guards]


def _add(periods: Sequence[int], room: Sql | None = None, /, **amounts: int) -> list[int]:
    """Add these amounts to the rows, as far as each passes `room`; returns which those were.

    One statement, in which the rows are locked in the order in which they are named.
    """
    marks = ", ".join(["%s"] * len(periods))
    which, params = f'"id" IN ({marks})', list(periods)
    if connection.features.has_select_for_update:
        order = " ".join(f"WHEN %s THEN {place}" for place in range(len(periods)))
        locked = f'SELECT "id" FROM {PERIODS} WHERE {which} ORDER BY CASE "id" {order} END FOR NO KEY UPDATE'  # noqa: S608 (numbers and our names)  # nosec B608
        which, params = f'"id" IN ({locked})', params * 2
    passes = room or Sql("TRUE")
    sums = ", ".join(f'"{column}" = "{column}" + %s' for column in amounts)
    with bound_cursor() as cursor:
        cursor.execute(
            f'UPDATE {PERIODS} SET {sums} WHERE {which} AND ({passes.sql}) RETURNING "id"',  # noqa: S608 (our names)  # nosec B608
            [*amounts.values(), *params, *passes.params],
        )
        return [period for (period,) in cursor.fetchall()]


def _enter(entry: LedgerEntry, guards: list[Guard]) -> Usage | QuotaExceeded:
    """How the user stands then, or what refuses: then nothing has changed.

    One statement checks all limits and takes the room, so that no rival fits in between.
    """
    met, micros = _met(guards, made=True), entry.amount_micros
    entry.periods = [row.pk for _, row in met]
    rooms = [_room(guard, row.pk, micros) for guard, row in met]
    room = Sql(" OR ".join(one.sql for one in rooms), [param for one in rooms for param in one.params])
    while len(taken := _add(entry.periods, room, reserved_count=1, reserved_micros=micros)) < len(met):
        if taken:
            _add(taken, reserved_count=-1, reserved_micros=-micros)
        refused = [(guard, row) for guard, row in _met(guards) if not _fits(guard, row, micros)]
        # Where there is none, somebody has made room since.
        if refused:
            return _exceeded(*refused[0])
    insert(entry)
    for _, row in met:
        row.reserved_count += 1
        row.reserved_micros += micros
    return _usage(met)


def _room(guard: Guard, pk: int, micros: int) -> Sql:
    """That the row of a guard has room for one more, of so many micro-dollars."""
    parts = [Sql('"id" = %s', [pk])]
    if guard.count_limit is not None:
        parts.append(Sql('"reserved_count" <= %s - "settled_count"', [guard.count_limit - 1]))
    if guard.micros_limit is not None:
        parts.append(Sql('"reserved_micros" <= %s - "settled_micros"', [guard.micros_limit - micros]))
    return Sql(" AND ".join(part.sql for part in parts), [param for part in parts for param in part.params])


def _exceeded(guard: Guard, row: QuotaPeriod) -> QuotaExceeded:
    """Names the limit that refused: the count when it is used up, else the money."""
    full = guard.count_limit is not None and row.settled_count + row.reserved_count >= guard.count_limit
    if full or guard.micros_limit is None:
        return QuotaExceeded(scope=guard.owner, unit="count", limit=guard.count_limit or 0, window=guard.window)
    return QuotaExceeded(scope=guard.owner, unit="usd", limit=guard.micros_limit, window=guard.window)


def _reservation(reference: UUID, *, locked: bool = False) -> LedgerEntry:
    """The entry that holds; locked where what follows depends on how it is known to have ended."""
    where = {"reference": reference, "kind": LedgerEntry.Kind.RESERVE}
    held: list[LedgerEntry] = read(LedgerEntry, where, order_by="pk", limit=1, lock="no_key" if locked else "")
    if not held:
        raise NoReservation(str(reference))
    return held[0]


def _end_of(reference: UUID) -> str:
    """How it is known to have ended; empty when it was passed over. Raises `NoOutcome`."""
    entry = LedgerEntry.objects.filter(reference=reference).exclude(kind=LedgerEntry.Kind.RESERVE).last()
    if entry is None:
        raise NoOutcome(str(reference))
    return entry.end


def _end(
    reference: UUID,
    kind: str,
    *,
    now: datetime,
    end: str,
    amount_micros: int | None = None,
    estimated: bool = False,
    reason: str = "",
) -> tuple[LedgerEntry, int] | None:
    """Enter the one end of a reservation, booked to the same periods: the entry, and the micro-dollars that were held.

    None when it has its end already; raises `NoReservation`. In the caller's transaction.
    """
    given: dict[str, Any] = {
        "kind": kind,
        "estimated": estimated,
        "reason": reason[:200],
        "end": end,
        "created_at": now,
    }
    if amount_micros is not None:
        given["amount_micros"] = amount_micros
    held = {"reference": reference, "kind": LedgerEntry.Kind.RESERVE}
    held_micros = Sql(HELD_MICROS, [REFERENCE.get_db_prep_save(reference, connection), LedgerEntry.Kind.RESERVE])
    if found := insert_like(LedgerEntry, held, asking=held_micros, **given):
        return found
    _reservation(reference)
    return None


def _follow(
    held: LedgerEntry,
    kind: str,
    *,
    now: datetime,
    amount_micros: int | None = None,
    reason: str = "",
    end: str = "",
) -> LedgerEntry:
    """An unsaved entry that follows `held`, booked to the same periods."""
    return LedgerEntry(
        kind=kind,
        reference=held.reference,
        user_id=held.user_id,
        user_scope=held.user_scope,
        provider=held.provider,
        model=held.model,
        count=held.count,
        amount_micros=held.amount_micros if amount_micros is None else amount_micros,
        reason=reason[:200],
        end=end,
        periods=held.periods,
        booked_on=held.booked_on,
        created_at=now,
    )


def _usage(met: list[tuple[Guard, QuotaPeriod]], owner: ScopeName = "user") -> Usage:
    day, month = (_period_usage(guard, row) for guard, row in met if guard.owner == owner)
    return Usage(day=day, month=month)


def _period_usage(guard: Guard, row: QuotaPeriod) -> PeriodUsage:
    return PeriodUsage(
        count=Meter(guard.count_limit, row.settled_count, row.reserved_count),
        usd=Meter(guard.micros_limit, row.settled_micros, row.reserved_micros),
        resets_at=guard.window.resets_at,
    )
