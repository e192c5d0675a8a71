"""Bars and meters as numbers for SVG attributes: the page has no style attributes to put widths in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from accounts import limits as limits_
from accounts import own_limits
from accounts.limits import Unit
from accounts.money import MICROS, amount, dollars, rounded
from accounts.periods import PeriodName
from accounts.quotas import Meter, PeriodUsage, Usage
from accounts.storage_room import Room

STEPS = (1, 2, 5, 10)
# A limit this many times above the highest day would press the bars flat, so it is told in words instead.
TALLEST_CAP = 6
# Where a row of five labels with equal gaps has its inner ones, as shares of the width.
MARKED = (0.24, 0.49, 0.74)
# From this share of a limit on, its bar is drawn in the pencil.
HOT = 0.9
UNITS: Final[tuple[Unit, ...]] = ("usd", "count")
NAMES: Final[Mapping[tuple[PeriodName, Unit], str]] = {
    ("day", "usd"): gettext_noop("Spent today"),
    ("day", "count"): gettext_noop("Made today"),
    ("month", "usd"): gettext_noop("Spent this month"),
    ("month", "count"): gettext_noop("Made this month"),
}


@dataclass(frozen=True)
class Bar:
    """One day: its place from the left and its height, in the units of the drawing (100 high, 10 a day)."""

    x: float
    y: float
    height: float
    today: bool


@dataclass(frozen=True)
class Chart:
    """Spend by day."""

    width: int
    bars: list[Bar]
    marks: list[str]
    days: list[str]
    cap: float | None
    label: str


@dataclass(frozen=True)
class Storage:
    """What is stored as the page shows it; `used` is a width of 100."""

    room: Room
    used: float

    @property
    def hot(self) -> bool:
        """Whether little is left."""
        return self.used >= HOT * 100


def storage(room: Room) -> Storage:
    """The room with its share."""
    return Storage(room, share(max(room.used, int(room.full)), room.limit))


@dataclass(frozen=True)
class Limit:
    """One limit as the page shows it; `used` and `held` are widths of 100, `note` says whose limit it is."""

    id: str
    name: str
    unit: str
    meter: Meter
    resets: str
    used: float
    held: float
    note: str

    @property
    def held_at(self) -> float:
        """Where the part that is held begins, a hair after what is used."""
        return round(min(100, self.used + (0.6 if self.used else 0)), 1)

    @property
    def hot(self) -> bool:
        return self.used + self.held >= 100 * HOT


def spend_chart(days: list[tuple[date, int]], *, today: date, limit: int | None) -> Chart:
    """The month's bars against the daily limit (micro-dollars; None: none)."""
    highest_day, highest = max(days, key=lambda day: day[1])
    capped = limit is not None and limit > 0 and (not highest or limit <= TALLEST_CAP * highest)
    top = ceiling(max(highest, limit or 0) if capped else highest)
    heights = [round(100 * max(0, micros) / top, 1) for _, micros in days]
    bars = [
        Bar(x=round(index * 10 + 1.6, 1), y=round(100 - height, 1), height=height, today=day == today)
        for index, ((day, _), height) in enumerate(zip(days, heights, strict=True))
    ]
    spent_today = dict(days).get(today, 0)
    return Chart(
        width=len(days) * 10,
        bars=bars,
        marks=[dollars(top), dollars(top // 2), "$0"],
        days=["1", *(str(round(share * len(days) + 0.5)) for share in MARKED), str(len(days))],
        cap=round(100 - 100 * (limit or 0) / top, 1) if capped else None,
        label=gettext("Spend by day in %(month)s. Highest %(date)s, %(highest)s. Today %(today)s.")
        % {
            "month": date_format(today, "F"),
            "date": date_format(highest_day, "j F"),
            "highest": rounded(highest),
            "today": rounded(spent_today),
        },
    )


def ceiling(micros: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 … cents or dollars; at least ten cents."""
    step = MICROS // 100
    while True:
        for factor in STEPS:
            if step * factor >= max(micros, MICROS // 10):
                return step * factor
        step *= 10


def limits(usage: Usage, kept: Mapping[tuple[PeriodName, Unit], limits_.Limit]) -> list[Limit]:
    """Today's and this month's, money before counts; `kept` says what each of them is made of."""
    day = [_limit("day", unit, usage.day, kept["day", unit]) for unit in UNITS]
    return day + [_limit("month", unit, usage.month, kept["month", unit]) for unit in UNITS]


def _limit(key: PeriodName, unit: Unit, period: PeriodUsage, kept: limits_.Limit) -> Limit:
    meter = period.usd if unit == "usd" else period.count
    used, held = share(meter.settled, meter.limit), share(meter.reserved, meter.limit)
    resets = date_format(period.resets_at, "H:i" if key == "day" else "j F")
    name = gettext(NAMES[key, unit])
    return Limit(f"{unit}-{key}", name, unit, meter, resets, used, min(held, round(100 - used, 1)), _source(unit, kept))


def _source(unit: Unit, kept: limits_.Limit) -> str:
    """Whose limit it is, where it is not simply what an account is granted."""
    if own_limits.binds(kept):
        return gettext("Your own limit")
    if kept.increase and kept.granted is not None:
        return gettext("%(amount)s more for a while") % {"amount": amount(unit, kept.increase)}
    return ""


def share(part: int, whole: int | None) -> float:
    """`part` of `whole` as a width of at most 100."""
    if not whole:
        return 0 if whole is None or part <= 0 else 100
    return round(min(100, max(0, 100 * part / whole)), 1)
