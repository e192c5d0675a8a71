"""The site's spend as numbers for SVG attributes: columns by day or month, and the month's way to its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Final

from accounts.money import MICROS, dollars, rounded
from accounts.spend import Spend, Standing, Total
from accounts.spend_choice import Choice
from accounts.web.charts import MARKED, TALLEST_CAP

STEP: Final = 10
# Heights that halve well, in every power of ten.
TOPS: Final = (10, 12, 16, 20, 24, 30, 40, 50, 60, 80)
# Up to so many columns each has its name below it.
MOST_NAMED: Final = 14


@dataclass(frozen=True)
class Column:
    """A place from the left, and two heights one above the other: what succeeded, and what did not."""

    x: float
    y: float
    height: float
    failed_y: float
    failed_height: float
    now: bool


@dataclass(frozen=True)
class Drawing:
    """100 high and ten wide a column; `cap` is the height of a limit, `trend` a path to where it will end."""

    width: int
    columns: list[Column]
    marks: list[str]
    names: list[str]
    each_named: bool
    label: str
    cap: float | None = None
    trend: str = ""


def by_day(spend: Spend, *, today: date) -> Drawing | None:
    """What each day (or month) came to; nothing is drawn of a single one, nor where nothing was spent."""
    if len(spend.days) < 2 or not any(total.micros > 0 for _, total in spend.days):
        return None
    top = _top(max(total.micros for _, total in spend.days))
    highest, most = max(spend.days, key=lambda day: day[1].micros)
    now = today.replace(day=1) if spend.by_month else today
    return Drawing(
        width=STEP * len(spend.days),
        columns=[_column(index, total, top, now=day == now) for index, (day, total) in enumerate(spend.days)],
        marks=_marks(top),
        names=_names([day for day, _ in spend.days], by_month=spend.by_month),
        each_named=len(spend.days) <= MOST_NAMED,
        label=f"Spend by {'month' if spend.by_month else 'day'}, {rounded(spend.total.micros)} together. "
        f"Highest {named(highest, by_month=spend.by_month)}, {rounded(most.micros)}.",
    )


def to_the_end(spend: Spend, choice: Choice, standing: Standing, *, today: date) -> Drawing | None:
    """How a whole month adds up against the site's budget and, if it is this one, where it will end."""
    if choice.is_narrow or not choice.is_month:
        return None
    current = choice.first <= today <= choice.last
    past = [total.micros for day, total in spend.days if day <= today]
    sums = list(accumulate(past))
    reached, limit = (sums[-1] if sums else 0), standing.month.limit
    end = max(standing.projected, reached) if current else reached
    capped = limit is not None and 0 < limit <= TALLEST_CAP * max(end, 1)
    top = _top(max([*sums, end, limit or 0] if capped else [*sums, end]))
    width = STEP * len(spend.days)
    columns = [
        _column(index, Total(micros=micros), top, now=current and index == len(sums) - 1)
        for index, micros in enumerate(sums)
    ]
    begins = STEP * len(sums) - STEP / 2
    return Drawing(
        width=width,
        columns=columns,
        marks=_marks(top),
        names=_names([day for day, _ in spend.days], by_month=False),
        each_named=False,
        label=_said(reached, standing.projected if current else None, limit),
        cap=_height(limit or 0, top) if capped else None,
        trend=f"M{begins:g} {_height(reached, top)}L{width - 2} {_height(end, top)}" if current and sums else "",
    )


def _said(reached: int, projected: int | None, limit: int | None) -> str:
    ends = "" if projected is None else f" so far, projected to {rounded(projected)}"
    against = "" if limit is None else f", against a budget of {rounded(limit)}"
    return f"Spend of the month, {rounded(reached)}{ends}{against}."


def _column(index: int, total: Total, top: int, *, now: bool) -> Column:
    failed = _share(total.failed_micros, top)
    good = _share(total.micros - total.failed_micros, top)
    return Column(
        x=round(index * STEP + 1.6, 1),
        y=round(100 - good, 1),
        height=good,
        failed_y=round(100 - good - failed, 1),
        failed_height=failed,
        now=now,
    )


def _share(micros: int, top: int) -> float:
    """Of a hundred; what was given back is below the line and not drawn."""
    return round(100 * max(0, micros) / top, 1)


def _height(micros: int, top: int) -> float:
    return round(100 - _share(micros, top), 1)


def _top(micros: int) -> int:
    """The next of `TOPS` in cents or dollars; at least ten cents."""
    step = MICROS // 1000
    while True:
        for factor in TOPS:
            if step * factor >= max(micros, MICROS // 10):
                return step * factor
        step *= 10


def _marks(top: int) -> list[str]:
    return [dollars(top), dollars(top // 2), "$0"]


def _names(days: Sequence[date], *, by_month: bool) -> list[str]:
    """Below the drawing: each column's, or five with equal gaps."""
    if len(days) > MOST_NAMED:
        inner = (days[round(share * len(days) - 0.5)] for share in MARKED)
        return [_short(day, by_month=by_month) for day in (days[0], *inner, days[-1])]
    return [_short(day, by_month=by_month) for day in days]


def _short(day: date, *, by_month: bool) -> str:
    return f"{day:%b}" if by_month else str(day.day)


def named(day: date, *, by_month: bool) -> str:
    """A day or month in words."""
    return f"{day:%B} {day.year}" if by_month else f"{day.day} {day:%B}"
