"""Books kept a second time, the plain way: what counters, sums and limits must say after any sequence of movements."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeVar

from django.conf import settings

from accounts.models import ApiToken, DailySpend, LedgerEntry, LimitIncrease, MonthlySpend, QuotaPeriod, User
from accounts.periods import windows

T = TypeVar("T")
Place = tuple[str, str, date]
UNITS = ("count", "usd")
CACHED = ("reserved_count", "reserved_micros", "settled_count", "settled_micros")
SUMMED = ("ended", "count", "micros", "estimated_micros")
COLUMNS = {
    ("day", "count"): "daily_count_limit",
    ("day", "usd"): "daily_micros_limit",
    ("month", "count"): "monthly_count_limit",
    ("month", "usd"): "monthly_micros_limit",
}


@dataclass
class Reservation:
    """One reference: where it is booked, what it holds, and how it stands."""

    reference: uuid.UUID
    day: date
    user_scope: str
    model: str
    places: list[Place]
    held: int
    open: bool = True
    # How it is known to have ended, and what was charged: ended, count, micros, estimated micros.
    end: str = ""
    figures: list[int] = field(default_factory=lambda: [0, 0, 0, 0])


@dataclass
class Books:
    """Counters by place (reserved count and micros, settled count and micros) and all reservations."""

    counters: defaultdict[Place, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0]))
    reservations: list[Reservation] = field(default_factory=list)

    def admits(self, user: User, token: ApiToken | None, micros: int, now: datetime) -> bool:
        """Whether each limit in force leaves room for one more at `micros`."""
        for place in self._places(user, token, now):
            reserved_count, reserved, settled_count, settled = self.counters[place]
            counts, money = (_in_force(place, user, token, unit, now) for unit in UNITS)
            if counts is not None and reserved_count + settled_count + 1 > counts:
                return False
            if money is not None and reserved + settled + micros > money:
                return False
        return True

    def reserve(
        self, reference: uuid.UUID, user: User, token: ApiToken | None, model: str, micros: int, now: datetime
    ) -> None:
        places = self._places(user, token, now)
        self._add(places, 1, micros, 0, 0)
        day = windows(now)[0].starts_on
        self.reservations.append(Reservation(reference, day, f"user:{user.pk}", model, places, micros))

    def settle(self, held: Reservation, micros: int, *, estimated: bool, end: str) -> None:
        self._close(held, end)
        self._add(held.places, 0, 0, 1, micros)
        held.figures = [1, 1, micros, micros if estimated else 0]

    def release(self, held: Reservation, *, end: str) -> None:
        self._close(held, end)
        held.figures = [1, 0, 0, 0]

    def transfer(self, held: Reservation, to: uuid.UUID) -> None:
        held.open = False
        self.reservations.append(Reservation(to, held.day, held.user_scope, held.model, held.places, held.held))

    def correct(self, held: Reservation, micros: int, count: int) -> None:
        held.end = held.end or "failed"
        self._add(held.places, 0, 0, count, micros)
        held.figures = [a + b for a, b in zip(held.figures, (0, count, micros, 0), strict=True)]

    def relabel(self, held: Reservation, end: str) -> None:
        held.end = end

    def agree(self) -> None:
        """Hold counters, sums and ledger of the database against these books."""
        rows = QuotaPeriod.objects.values_list("scope", "period", "starts_on", *CACHED)
        assert {tuple(row[:3]): list(row[3:]) for row in rows if any(row[3:])} == _some(self.counters)
        sums: defaultdict[tuple[date, str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for held in self.reservations:
            key = (held.day, held.user_scope, held.model, held.end)
            sums[key] = [a + b for a, b in zip(sums[key], held.figures, strict=True)]
        kept = DailySpend.objects.values_list("day", "user_scope", "model", "end", *SUMMED)
        assert {tuple(row[:4]): list(row[4:]) for row in kept if any(row[4:])} == _some(sums)
        months: defaultdict[tuple[date, str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for (day, scope, model, end), figures in sums.items():
            key = (day.replace(day=1), scope, model, end)
            months[key] = [a + b for a, b in zip(months[key], figures, strict=True)]
        by_month = MonthlySpend.objects.values_list("day", "user_scope", "model", "end", *SUMMED)
        assert {tuple(row[:4]): list(row[4:]) for row in by_month if any(row[4:])} == _some(months)
        outcomes = Counter(
            LedgerEntry.objects.filter(kind__in=["settle", "release"]).values_list("reference", flat=True)
        )
        assert set(outcomes.values()) <= {1}
        assert set(outcomes) == {held.reference for held in self.reservations if not held.open}

    def _places(self, user: User, token: ApiToken | None, now: datetime) -> list[Place]:
        scopes = ["site", f"user:{user.pk}", *([f"token:{token.pk}"] if token else [])]
        return [(scope, window.period, window.starts_on) for scope in scopes for window in windows(now)]

    def _close(self, held: Reservation, end: str) -> None:
        held.open, held.end = False, end
        self._add(held.places, -1, -held.held, 0, 0)

    def _add(self, places: list[Place], *figures: int) -> None:
        for place in places:
            self.counters[place] = [a + b for a, b in zip(self.counters[place], figures, strict=True)]


def _some(figures: Mapping[T, list[int]]) -> dict[T, list[int]]:
    return {key: value for key, value in figures.items() if any(value)}


def _in_force(place: Place, user: User, token: ApiToken | None, unit: str, now: datetime) -> int | None:
    """The limit of one place, read from the rows as they are."""
    scope, period, _ = place
    column = COLUMNS[period, unit]
    if scope == "site":
        word = column.removesuffix("_limit").replace("micros", "usd_micros")
        found: int | None = getattr(settings, f"SITE_{word.upper()}")
        return found
    if scope.startswith("token:"):
        return None if token is None else getattr(ApiToken.objects.get(pk=token.pk), column)
    row = User.objects.get(pk=user.pk)
    granted, own = getattr(row, column), getattr(row, f"own_{column}")
    if granted is not None:
        increases = LimitIncrease.objects.filter(user=user, period=period, unit=unit)
        granted += sum(increase.amount for increase in increases if increase.expires_at > now)
    return min((limit for limit in (granted, own) if limit is not None), default=None)
