"""Where the month will end, by what the last days have cost."""

from datetime import datetime, timedelta

from django.db.models import Min, Sum

from accounts.limits import scope_of
from accounts.models import QuotaPeriod
from accounts.periods import day_of, month_of, starts_at

LOOK_BACK = timedelta(days=6)


def projected_micros(*, provider: str, now: datetime) -> int:
    """Micro-dollars of the whole site at the month's end: what is booked and held, and the last week's pace on.

    The pace is that of the last six days and of today as far as it has come, days without spend included; of the
    days since the very first spend while there are fewer.
    """
    scope, month = scope_of("site", provider=provider), month_of(now)
    booked = QuotaPeriod.objects.filter(scope=scope, period="month", starts_on=month.starts_on).first()
    so_far = booked.settled_micros + booked.reserved_micros if booked else 0
    days = QuotaPeriod.objects.filter(scope=scope, period="day", settled_micros__gt=0)
    first = days.aggregate(first=Min("starts_on"))["first"]
    if first is None:
        return so_far
    begin = max(first, day_of(now).starts_on - LOOK_BACK)
    micros = days.filter(starts_on__gte=begin).aggregate(micros=Sum("settled_micros"))["micros"] or 0
    elapsed = max(now - starts_at(begin), timedelta(hours=1))
    return so_far + int(micros * ((month.resets_at - now) / elapsed))
