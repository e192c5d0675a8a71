"""The newest generations, newest first, a sheet per day, read page by page along the index."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import User
from accounts.periods import starts_at
from accounts.prepared import Prepared
from generation.models import Prediction
from generation.web.runs import Shown, shown

PAGE = 20


@dataclass(frozen=True)
class Day:
    """The head of one day's sheet."""

    date: dt.date
    today: dt.date
    frames: int
    cost_micros: int

    @property
    def id(self) -> str:
        return f"day-{self.date:%Y-%m-%d}"

    @property
    def title(self) -> str:
        """The day by name, with the year where it is another one."""
        return date_format(self.date, "l j F" if self.date.year == self.today.year else "l j F Y")


@dataclass(frozen=True)
class Sheet:
    """One day's cards on this page; `continued` when the page before began the day."""

    day: Day
    cards: Sequence[Shown]
    continued: bool = False


@dataclass(frozen=True)
class Feed:
    """One page of sheets; `older` is the prediction after which the next page begins."""

    sheets: Sequence[Sheet]
    older: UUID | None
    newest_day: dt.date | None


def feed(*, user: User, now: dt.datetime, before: Prediction | None = None) -> Feed:
    """The page of `user`'s predictions that follows `before`, or the first one; several runs of a prompt are one."""
    rows = Prediction.objects.for_owner(user).filter(first_run=None)
    if before is not None:
        earlier = Q(created_at__lt=before.created_at) | Q(created_at=before.created_at, pk__lt=before.pk)
        rows = rows.filter(earlier, created_at__lte=before.created_at)
    page = list(rows.order_by("-created_at", "-pk")[: PAGE + 1])
    older = page[PAGE - 1].pk if len(page) > PAGE else None
    cards = shown(page[:PAGE], now=now)
    dates = sorted({_date(card) for card in cards}, reverse=True)
    days = {day.date: day for day in days_of(user=user, dates=dates, now=now)}
    began = timezone.localdate(before.created_at) if before else None
    sheets = [Sheet(days[date], list(group), continued=date == began) for date, group in groupby(cards, key=_date)]
    return Feed(sheets, older, dates[0] if dates and before is None else None)


def days_of(*, user: User, dates: Sequence[dt.date], now: dt.datetime) -> list[Day]:
    """Frames and cost of each of these days, in one statement."""
    if not dates:
        return []
    moments = {"since": starts_at(min(dates)), "until": starts_at(max(dates) + dt.timedelta(days=1))}
    for number, date in enumerate(dates):
        moments |= {f"from_{number}": starts_at(date), f"to_{number}": starts_at(date + dt.timedelta(days=1))}
    totals = next(iter(_totals(len(dates))(user=user.pk, **moments)), {})
    today = timezone.localdate(now)
    return [
        Day(date, today, totals.get(f"frames_{number}", 0), totals.get(f"cost_{number}") or 0)
        for number, date in enumerate(dates)
    ]


@lru_cache
def _totals(days: int) -> Prepared:
    """Frames and cost from one moment to another, for so many days."""

    def build(user: int, since: dt.datetime, until: dt.datetime, **moments: dt.datetime) -> QuerySet[Prediction, Any]:
        figures: dict[str, Count | Sum] = {}
        for number in range(days):
            span = Q(created_at__gte=moments[f"from_{number}"], created_at__lt=moments[f"to_{number}"])
            figures[f"frames_{number}"] = Count("pk", filter=span)
            figures[f"cost_{number}"] = Sum("cost_micros", filter=span)
        rows = Prediction.objects.filter(user_id=user, created_at__gte=since, created_at__lt=until)
        return rows.order_by().values("user_id").annotate(**figures)

    ends = [f"{end}_{number}" for number in range(days) for end in ("from", "to")]
    return Prepared(build, user=int, **dict.fromkeys(("since", "until", *ends), dt.datetime))


def _date(card: Shown) -> dt.date:
    return timezone.localdate(card.prediction.created_at)
