"""Days and months as the site's clock on the wall has them."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext

PeriodName = Literal["day", "month"]


@dataclass(frozen=True)
class Window:
    """One day or month: the date it starts on and the moment the next one begins."""

    period: PeriodName
    starts_on: date
    resets_at: datetime


def zone() -> ZoneInfo:
    """The site's time zone."""
    return ZoneInfo(settings.TIME_ZONE)


def starts_at(day: date) -> datetime:
    """The first moment of `day`. A midnight that summer time skips is the moment of the jump."""
    return datetime.combine(day, time.min, tzinfo=zone())


def day_of(now: datetime) -> Window:
    """The day that `now` (aware) falls into."""
    today = now.astimezone(zone()).date()
    return Window("day", today, starts_at(today + timedelta(days=1)))


def month_of(now: datetime) -> Window:
    """The month that `now` (aware) falls into."""
    first = now.astimezone(zone()).date().replace(day=1)
    return Window("month", first, starts_at((first + timedelta(days=32)).replace(day=1)))


def windows(now: datetime) -> tuple[Window, Window]:
    """Day before month: the order in which quota rows are touched."""
    return day_of(now), month_of(now)


def in_words(moment: datetime) -> str:
    """A moment as the site's clock on the wall has it: "17 July at 00:00 (UTC)"."""
    there = moment.astimezone(zone())
    said = {"date": date_format(there, "j F"), "time": date_format(there, "H:i"), "zone": settings.TIME_ZONE}
    return gettext("%(date)s at %(time)s (%(zone)s)") % said


def a_period(period: str) -> str:
    """How a limit names its period."""
    return gettext("a day") if period == "day" else gettext("a month")
