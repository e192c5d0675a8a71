"""Which daily sums are looked at, and how that is written in an address: nothing there can be wrong enough to fail."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.utils import timezone

from accounts.limits import scope_of
from accounts.models import DailySpend, MonthlySpend

SUCCEEDED: Final = "succeeded"
# The ends of a prediction, the good one first.
ENDS: Final = (SUCCEEDED, "lost", "failed", "canceled", "aborted")
MOST_DAYS: Final = 3 * 366
# A longer range is shown by month, and read from the sums of its months.
MOST_DAYS_SHOWN: Final = 62
LONGEST_SHOWN: Final = 40


@dataclass(frozen=True)
class Choice:
    """The days from `first` to `last`, both included, and perhaps one user, model or end."""

    first: date
    last: date
    provider: str
    user: int | None = None
    model: str = ""
    end: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether more than the days narrows it."""
        return self.user is not None or bool(self.model or self.end)

    @property
    def is_month(self) -> bool:
        """Whether the days are those of one month."""
        return self.first.day == 1 and self.last == _last_of(self.first)

    @property
    def by_month(self) -> bool:
        """Whether it is too long to be shown by day."""
        return (self.last - self.first).days >= MOST_DAYS_SHOWN

    def rows(self) -> QuerySet[DailySpend, Any]:
        """The daily sums that fit."""
        return self._fitting(DailySpend.objects.all(), self.first, self.last)

    def steps(self) -> list[QuerySet[Any, Any]]:
        """The sums that tell its days apart, or its months where it is shown by month."""
        return self.parts() if self.by_month else [self.rows()]

    def parts(self) -> list[QuerySet[Any, Any]]:
        """The fewest sums that make it up: those of its whole months, and of the days before and after them."""
        begin = self.first if self.first.day == 1 else next_month(self.first)
        end = next_month(self.last) if self.last == _last_of(self.last) else self.last.replace(day=1)
        if begin >= end:
            return [self.rows()]
        one = timedelta(days=1)
        parts = [self._fitting(MonthlySpend.objects.all(), begin, end - one)]
        edges = ((self.first, begin - one), (end, self.last))
        return parts + [self._fitting(DailySpend.objects.all(), *days) for days in edges if days[0] <= days[1]]

    def _fitting(self, sums: QuerySet[Any, Any], first: date, last: date) -> QuerySet[Any, Any]:
        rows = sums.filter(provider=self.provider, day__gte=first, day__lte=last)
        if self.user is not None:
            rows = rows.filter(user_scope=scope_of("user", self.user, provider=self.provider))
        return rows.filter(**{name: value for name in ("model", "end") if (value := getattr(self, name))})

    def address(self, **changes: Any) -> str:
        """The query string of this choice with some of it changed: "?from=…&to=…"."""
        other = replace(self, **changes)
        days = (
            {"month": f"{other.first:%Y-%m}"}
            if other.is_month
            else {"from": other.first.isoformat(), "to": other.last.isoformat()}
        )
        narrowing = {name: value for name in ("user", "model", "end") if (value := getattr(other, name))}
        return "?" + urlencode(days | narrowing)


def month(day: date) -> dict[str, date]:
    """The days of the month of `day`, to change a choice with."""
    return {"first": day.replace(day=1), "last": _last_of(day)}


def month_before(day: date) -> dict[str, date]:
    """The days of the month before that of `day`."""
    return month(day.replace(day=1) - timedelta(days=1))


def year(day: date) -> dict[str, date]:
    """The days of the year of `day`."""
    return {"first": date(day.year, 1, 1), "last": date(day.year, 12, 31)}


def next_month(day: date) -> date:
    """The first of the month after that of `day`. Raises `OverflowError` at the calendar's end."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _last_of(day: date) -> date:
    return next_month(day) - timedelta(days=1)


def read_choice(query: Mapping[str, str], *, provider: str, now: datetime) -> tuple[Choice, list[str]]:
    """What an address asks for, this month where it names no days; and a sentence for each value left out."""
    wrong: list[str] = []
    days = _days(query, timezone.localdate(now), wrong)
    choice = Choice(days["first"], days["last"], provider)
    if user := query.get("user", ""):
        if re.fullmatch(r"[1-9][0-9]{0,17}", user):
            choice = replace(choice, user=int(user))
        else:
            wrong.append(_left_out("user", user, "the number of an account"))
    if end := query.get("end", ""):
        if end in ENDS:
            choice = replace(choice, end=end)
        else:
            wrong.append(_left_out("end", end, f"one of {', '.join(ENDS)}"))
    if model := query.get("model", ""):
        choice = replace(choice, model=model[:128].replace("\0", ""))
    return choice, wrong


def _days(query: Mapping[str, str], today: date, wrong: list[str]) -> dict[str, date]:
    if given := query.get("month", ""):
        try:
            return month(_date(f"{given}-01"))
        except (ValueError, OverflowError):
            wrong.append(_left_out("month", given, "a month such as 2026-07"))
    days = month(today)
    for name, key in (("from", "first"), ("to", "last")):
        if given := query.get(name, ""):
            try:
                days[key] = _date(given)
            except ValueError:
                wrong.append(_left_out(name, given, "a day such as 2026-07-16"))
    return _in_order(days, query, wrong)


def _in_order(days: dict[str, date], query: Mapping[str, str], wrong: list[str]) -> dict[str, date]:
    """A range of days that can be shown: not backwards, not endless, not at the calendar's end."""
    if not query.get("to") and days["first"] > days["last"]:
        days["last"] = days["first"]
    if not query.get("from") and days["last"] < days["first"]:
        days["first"] = days["last"]
    if days["first"] > days["last"]:
        wrong.append("“from” was after “to”; they were taken the other way round.")
        days = {"first": days["last"], "last": days["first"]}
    if (days["last"] - days["first"]).days >= MOST_DAYS:
        wrong.append("At most three years are shown at a time, the last ones.")
        days["first"] = days["last"] - timedelta(days=MOST_DAYS - 1)
    return days


def _date(text: str) -> date:
    """Raises `ValueError`, also for the calendar's last year, after which nothing can be counted on."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    found = date.fromisoformat(text)
    if not 1970 <= found.year < date.max.year:
        raise ValueError(text)
    return found


def _left_out(name: str, value: str, wanted: str) -> str:
    shown = value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…"
    return f"“{name}={shown}” was left out: {wanted} is meant."
