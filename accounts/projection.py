"""Where the month will end, by what the last days have cost."""

from datetime import datetime, timedelta

from django.db.models import Min, Sum

from accounts.limits import scope_of
from accounts.models import QuotaPeriod
from accounts.periods import day_of, month_of, starts_at

LOOK_BACK = timedelta(days=7)


def projected_micros(*, provider: str, now: datetime) -> int:
    """Micro-dollars of the whole site at the month's end: what is booked and held, and the last week's pace on.

    The pace is that of the last seven days with today as far as it has come, or of the days since the first spend
    when there are fewer.
    """
    scope, month = scope_of("site", provider=provider), month_of(now)
    booked = QuotaPeriod.objects.filter(scope=scope, period="month", starts_on=month.starts_on).first()
    so_far = booked.settled_micros + booked.reserved_micros if booked else 0
    days = QuotaPeriod.objects.filter(
        scope=scope, period="day", starts_on__gt=day_of(now).starts_on - LOOK_BACK, settled_micros__gt=0
    )
    seen = days.aggregate(first=Min("starts_on"), micros=Sum("settled_micros"))
    if seen["first"] is None:
        return so_far
    elapsed = max(now - starts_at(seen["first"]), timedelta(hours=1))
    return so_far + int(seen["micros"] * ((month.resets_at - now) / elapsed))
