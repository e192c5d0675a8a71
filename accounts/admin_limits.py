"""Limits in the admin's forms: typed in dollars, and a warning where one lies below what is spent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Field
from django.http import HttpRequest

from accounts.admin_base import DollarsField, Recorded
from accounts.limits import Unit, column, scope_of
from accounts.models import ApiToken, QuotaPeriod, User
from accounts.money import dollars
from accounts.periods import PeriodName, windows

LIMITS = ("daily_micros_limit", "monthly_micros_limit", "daily_count_limit", "monthly_count_limit")
InForce = Mapping[tuple[PeriodName, Unit], int | None]


class Limited(Recorded):
    """A `ModelAdmin` of rows with the four limits."""

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        """Micro-dollars are typed in as dollars."""
        if db_field.name not in LIMITS[:2]:
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        label = f"USD a {'day' if db_field.name.startswith('daily') else 'month'}"
        # Compared with what the page showed, so that of a list only the rows that somebody has touched are saved.
        return DollarsField(required=False, label=label, show_hidden_initial=True)


def warn_below_spent(
    request: HttpRequest, row: User | ApiToken, *, limits: InForce, changed: list[str], now: datetime
) -> None:
    """Say so of each changed limit that lies below what its period has taken; it stops the next, nothing else."""
    scope = scope_of("user" if isinstance(row, User) else "token", row.pk, provider=settings.PROVIDER)
    for window in windows(now):
        used = QuotaPeriod.objects.filter(scope=scope, period=window.period, starts_on=window.starts_on).first()
        if used is None:
            continue
        taken: dict[Unit, int] = {
            "usd": used.settled_micros + used.reserved_micros,
            "count": used.settled_count + used.reserved_count,
        }
        for unit, amount in taken.items():
            limit = limits[window.period, unit]
            if column(window.period, unit) in changed and limit is not None and limit < amount:
                said, spent = (dollars(n) if unit == "usd" else f"{n:,} generations" for n in (limit, amount))
                sentence = f"{said} a {window.period} is below the {spent} that this {window.period} has taken already"
                messages.warning(request, f"{row}: {sentence}. What runs goes on; the next is refused.")
