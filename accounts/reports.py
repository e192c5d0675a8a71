"""What was spent: by day, by model, and entry by entry."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from accounts.models import LedgerEntry, QuotaPeriod, User
from accounts.periods import month_of, starts_at
from accounts.quotas import scope_of

Kind = LedgerEntry.Kind


@dataclass(frozen=True)
class Spend:
    """Generations and micro-dollars that were charged for one model."""

    model: str
    count: int
    micros: int


def spend_by_day(*, user: User, now: datetime) -> list[tuple[date, int]]:
    """Micro-dollars charged on each day of this month, days to come included."""
    month = month_of(now)
    end = month.resets_at.date()
    rows = QuotaPeriod.objects.filter(
        scope=_scope(user), period="day", starts_on__gte=month.starts_on, starts_on__lt=end
    )
    charged = dict(rows.values_list("starts_on", "settled_micros"))
    days = (month.starts_on + timedelta(days=n) for n in range((end - month.starts_on).days))
    return [(day, charged.get(day, 0)) for day in days]


def spend_by_model(*, user: User, now: datetime) -> list[Spend]:
    """What this month's period holds, by model, dearest first.

    An entry belongs to the month that its reservation was booked to, which JSON cannot be asked for alike on
    every database; so the entries since the month began are read and sifted here.
    """
    month = month_of(now)
    period = QuotaPeriod.objects.filter(scope=_scope(user), period="month", starts_on=month.starts_on).first()
    if period is None:
        return []
    entries = ledger(user=user).filter(
        kind__in=[Kind.SETTLE, Kind.CORRECT], created_at__gte=starts_at(month.starts_on) - timedelta(days=1)
    )
    totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for model, count, micros, periods in entries.values_list("model", "count", "amount_micros", "periods"):
        if period.pk in periods:
            totals[model][0] += count
            totals[model][1] += micros
    spends = [Spend(model, count, micros) for model, (count, micros) in totals.items()]
    return sorted(spends, key=lambda spend: (-spend.micros, spend.model))


def ledger(*, user: User) -> QuerySet[LedgerEntry]:
    """The user's own entries with the provider that is configured, newest first."""
    return LedgerEntry.objects.filter(user_scope=_scope(user)).order_by("-id")


def _scope(user: User) -> str:
    return scope_of("user", user.pk, provider=settings.PROVIDER)
