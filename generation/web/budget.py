"""What may still be spent, beside what the next generation costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import own_limits, quotas
from accounts.limits import user_limits
from accounts.models import User
from accounts.quotas import QuotaExceeded
from accounts.templatetags.studio import usd
from generation import catalog, pauses, pricing, quotes
from generation.catalog.base import InvalidInput, ModelSpec
from generation.web.doors import closed


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
    """The line above Generate: the price and the token that holds it, what is left, and what forbids it.

    `blocked` is short enough for the button; `why` has more to say of it, or is empty. With `look_again` it may pass
    by itself in a minute.
    """

    amount_micros: int
    each_micros: int
    runs: int
    up_to: bool
    money: Money
    quote: str
    blocked: str = ""
    why: str = ""
    look_again: bool = False


def money_left(usage: quotas.Usage) -> Money:
    """What a creator may still spend today and this month."""
    return Money(usage.day.usd.remaining, usage.month.usd.remaining)


def estimate(
    *,
    user: User,
    spec: ModelSpec,
    raw: Mapping[str, Any],
    now: datetime,
    runs: int = 1,
    thrown: pauses.Pauses | None = None,
) -> Estimate:
    """Price what stands in the form, however unfinished, and hold it against every limit and door in its way.

    With several `runs` both are for all of them together. `thrown` are the kill switches, where they were read already.
    """
    quote = pricing.quote(spec=spec, inputs=readable(spec, raw), now=now)
    total = quote.amount_micros * runs
    usage, refused = quotas.outlook(user=user, amount_micros=total, provider=settings.PROVIDER, now=now, count=runs)
    shut = closed(user=user, spec=spec, now=now, thrown=thrown)
    limit = forbidden(refused, user=user, now=now) if refused else ""
    return Estimate(
        amount_micros=total,
        each_micros=quote.amount_micros,
        runs=runs,
        up_to=quote.up_to,
        money=money_left(usage),
        quote=quotes.hold(user=user, spec=spec, quote=quote, now=now).token,
        blocked=shut.word if shut else limit,
        why=shut.why if shut else "",
        look_again=shut is not None and shut.for_a_while,
    )


def readable(spec: ModelSpec, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as far as the model accepts them; its defaults stand for the rest."""
    given = {name: value for name, value in raw.items() if value not in ("", None, [])}
    given.setdefault("prompt", "-")
    for _attempt in range(len(given) + 1):
        try:
            return catalog.parse(spec, given).inputs
        except InvalidInput as refused:
            kept = {name: value for name, value in given.items() if name not in refused.errors or name == "prompt"}
            kept["prompt"] = "-" if "prompt" in refused.errors else kept["prompt"]
            if kept == given:
                break
            given = kept
    return {item.name: item.default for item in spec.fields if item.default is not None}


def forbidden(refused: QuotaExceeded, *, user: User, now: datetime) -> str:
    """Which limit does not allow it and when that resets, short enough for a button."""
    whose = _("the studio's") if refused.scope == "site" else _("your")
    if refused.scope == "user" and own_limits.binds(user_limits(user.pk, now=now)[refused.period, refused.unit]):
        whose = _("your own")
    a_period = _("a day") if refused.period == "day" else _("a month")
    at = timezone.localtime(refused.resets_at)
    resets = (
        _("Resets at %(time)s") % {"time": date_format(at, "H:i")}
        if refused.period == "day"
        else _("Resets on %(date)s") % {"date": date_format(at, "j F")}
    )
    if refused.unit == "usd":
        over = _("Over %(whose)s limit of %(amount)s %(a_period)s.")
        return f"{over % {'whose': whose, 'amount': usd(refused.limit), 'a_period': a_period}} {resets}"
    reached = ngettext(
        "%(whose)s limit of %(count)s generation %(a_period)s is reached.",
        "%(whose)s limit of %(count)s generations %(a_period)s is reached.",
        refused.limit,
    )
    figures = {"whose": whose[0].upper() + whose[1:], "count": f"{refused.limit:,}", "a_period": a_period}
    return f"{reached % figures} {resets}"
