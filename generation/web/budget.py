"""What may still be spent, beside what the next generation costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts import quotas
from accounts.models import User
from accounts.templatetags.studio import usd
from generation import catalog, pricing
from generation.catalog.base import InvalidInput, ModelSpec


@dataclass(frozen=True)
class Money:
    """Micro-dollars left; None where no limit binds."""

    left_today: int | None
    left_this_month: int | None

    @property
    def unlimited(self) -> bool:
        return self.left_today is None and self.left_this_month is None


@dataclass(frozen=True)
class Estimate:
    """The line above Generate: the price, what is left, and the limit that forbids it, if one does."""

    amount_micros: int
    up_to: bool
    money: Money
    blocked: str = ""


def money_left(usage: quotas.Usage) -> Money:
    """What a creator may still spend today and this month."""
    return Money(usage.day.usd.remaining, usage.month.usd.remaining)


def estimate(*, user: User, spec: ModelSpec, raw: Mapping[str, Any], now: datetime) -> Estimate:
    """Price what stands in the form, however unfinished, and hold it against the user's limits."""
    quote = pricing.quote(spec=spec, inputs=readable(spec, raw), now=now)
    usage = quotas.usage(user=user, now=now)
    blocked = next(
        filter(
            None,
            (
                _forbidden(period, name, quote.amount_micros)
                for name, period in (("day", usage.day), ("month", usage.month))
            ),
        ),
        "",
    )
    return Estimate(quote.amount_micros, quote.up_to, money_left(usage), blocked)


def readable(spec: ModelSpec, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as far as the model accepts them; its defaults stand for the rest."""
    given = {name: value for name, value in raw.items() if value not in ("", None, [])}
    given.setdefault("prompt", "-")
    for _ in range(len(given) + 1):
        try:
            return catalog.parse(spec, given).inputs
        except InvalidInput as refused:
            kept = {name: value for name, value in given.items() if name not in refused.errors or name == "prompt"}
            kept["prompt"] = "-" if "prompt" in refused.errors else kept["prompt"]
            if kept == given:
                break
            given = kept
    return {item.name: item.default for item in spec.fields if item.default is not None}


def _forbidden(period: quotas.PeriodUsage, name: str, amount_micros: int) -> str:
    """Why this period does not allow the amount, short enough for a button."""
    at = timezone.localtime(period.resets_at)
    resets = f"Resets at {at:%H:%M}" if name == "day" else f"Resets on {at.day} {at:%B}"
    whose = "today's" if name == "day" else "this month's"
    if period.count.remaining == 0:
        return f"All of {whose} {period.count.limit:,} generations are used. {resets}"
    if period.usd.remaining is not None and amount_micros > period.usd.remaining:
        return f"Over {whose} {usd(period.usd.limit)}. {resets}"
    return ""
