"""The models a creator can choose from, each with its price and what it is good at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from accounts.templatetags.studio import usd
from generation import catalog, pauses, pricing
from generation.catalog.base import ModelSpec


@dataclass(frozen=True)
class Offer:
    """One row of the model picker. `paused` is an administrator's reason why nothing is made with it just now."""

    spec: ModelSpec
    price: str
    available: bool
    paused: str = ""

    @property
    def good_at(self) -> str:
        """As a sentence."""
        return gettext(self.spec.good_at).rstrip(".") + "."


def offers(*, type: str, now: datetime, thrown: pauses.Pauses) -> Sequence[Offer]:
    """The models of `type`, in the catalog's order, in a constant number of statements; `thrown` are paused."""
    missing, paused = catalog.unavailable_models(), thrown.models
    specs = [spec for spec in catalog.all_models() if spec.type == type]
    rules = pricing.rules_of(specs, now=now)
    return [
        Offer(spec, _price(spec, rules[spec.id], now), spec.id not in missing, paused.get(spec.id, ""))
        for spec in specs
    ]


def _price(spec: ModelSpec, rules: Sequence[dict[str, Any]], now: datetime) -> str:
    """What the model costs as it is set at first."""
    defaults = {item.name: item.default for item in spec.fields if item.default is not None}
    quote = pricing.quote(spec=spec, inputs=defaults, now=now, quoted=rules)
    length = defaults.get(spec.seconds)
    price = usd(quote.amount_micros)
    if length:
        return gettext("%(price)s for %(length)s s") % {"price": price, "length": length}
    return gettext("%(price)s each") % {"price": price}
