"""What a prediction may cost and what it did cost, by dated prices that an administrator can change.

Amounts are integer micro-dollars; between a rate and its quantity everything is `Decimal`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.statements import Sql, read
from generation.catalog.base import ModelSpec
from generation.models import Price

BEGINS: Any = Price._meta.get_field("effective_from")
# Figures beyond these are a mistake of the reporter's, and the estimate is booked instead.
MOST_OUTPUTS = 64
MOST_SECONDS = 86_400


@dataclass(frozen=True, kw_only=True)
class Quote:
    """The dearest outcome that the inputs allow, and the model's rules in force, with which it will be settled.

    A rule is {"unit", "amount_micros", "conditions": {input: [values]}}. `up_to` says that it may become less.
    """

    amount_micros: int
    up_to: bool
    rules: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """What `Prediction.quote` holds."""
        return {"amount_micros": self.amount_micros, "up_to": self.up_to, "rules": self.rules}


def quote(
    *, spec: ModelSpec, inputs: Mapping[str, Any], now: datetime, quoted: Sequence[dict[str, Any]] | None = None
) -> Quote:
    """The price of running `spec` with these inputs, asked for at `now`; one SELECT.

    With rules that were `quoted` before none: they hold in place of the day's.
    """
    in_force = rules(spec=spec, now=now) if quoted is None else list(quoted)
    if not any(_holds(rule["conditions"], inputs) for rule in in_force):
        # The table has a gap just here; the catalog's own prices fill it.
        in_force += [rule.as_json() for rule in spec.prices]
    amounts = {_amount(rule, _quantity(rule, spec, inputs)) for rule in _matching(in_force, inputs)}
    count = inputs.get(spec.count, 1) if spec.count else 1
    return Quote(amount_micros=max(amounts), up_to=len(amounts) > 1 or count > 1, rules=in_force)


def rules(*, spec: ModelSpec, now: datetime) -> list[dict[str, Any]]:
    """The model's rules of the day (in `TIME_ZONE`); those of the catalog where the table has none for it."""
    return rules_of([spec], now=now)[spec.id]


def rules_of(specs: Iterable[ModelSpec], *, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """The same for several models by id, in one SELECT."""
    day = timezone.localdate(now)
    models = {spec.id: spec for spec in specs}
    found: dict[str, list[dict[str, Any]]] = {model: [] for model in models}
    begun = Sql("<= %s", [BEGINS.get_db_prep_save(day, connection)])
    rows = read(Price, {"model": tuple(models), "effective_from": begun}) if models else []
    for row in sorted(rows, key=lambda row: (row.model, -row.effective_from.toordinal(), row.amount_micros)):
        if row.effective_to is not None and row.effective_to <= day:
            continue
        rule = {"unit": row.unit, "amount_micros": row.amount_micros, "conditions": as_lists(row.conditions)}
        found[row.model].append(rule)
    return {model: found[model] or [rule.as_json() for rule in spec.prices] for model, spec in models.items()}


def as_lists(conditions: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Conditions with every value as the list of values that it covers."""
    return {name: values if isinstance(values, list) else [values] for name, values in conditions.items()}


def actual(
    *, quote: Mapping[str, Any], inputs: Mapping[str, Any], metrics: Mapping[str, Any], output_count: int | None
) -> tuple[int, bool]:
    """(micro-dollars, whether that is only the estimate), by what the provider has measured, else by its outputs.

    `quote` is a `Quote.as_json()`; `output_count` is None where no outputs were reported. May exceed the estimate.
    """
    amounts = [
        _amount(rule, quantity)
        for rule in _matching(quote["rules"], inputs, metrics)
        if (quantity := _measured(rule["unit"], metrics, output_count)) is not None
    ]
    return (max(amounts), False) if amounts else (quote["amount_micros"], True)


def _quantity(rule: Mapping[str, Any], spec: ModelSpec, inputs: Mapping[str, Any]) -> Decimal:
    """The most units that the inputs allow."""
    name = spec.seconds if rule["unit"] == Price.Unit.SECOND else spec.count
    field = spec.field(name) if name else None
    if field is None:
        return Decimal(1)
    given = inputs.get(field.name)
    return Decimal(given if given is not None else field.most or 1)


def _measured(unit: str, metrics: Mapping[str, Any], output_count: int | None) -> Decimal | None:
    if unit == Price.Unit.SECOND:
        return _number(metrics.get("video_output_duration_seconds"), most=MOST_SECONDS)
    named = _number(metrics.get(f"{unit}_output_count"), most=MOST_OUTPUTS)
    return named if named is not None or output_count is None else Decimal(output_count)


def _number(value: Any, *, most: int) -> Decimal | None:
    """A figure of the provider's, exactly as it was written; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        return None
    return Decimal(str(value))


def _matching(
    rules: Iterable[Mapping[str, Any]], inputs: Mapping[str, Any], metrics: Mapping[str, Any] | None = None
) -> list[Mapping[str, Any]]:
    """The rules whose conditions hold; a condition on what nobody has said may hold.

    A size that the provider reports comes before the one that was asked for, if there is a price for it.
    """
    facts = dict(inputs)
    target = (metrics or {}).get("resolution_target")
    if any(target in rule["conditions"].get("resolution", ()) for rule in rules):
        facts["resolution"] = target
    fitting = [rule for rule in rules if _holds(rule["conditions"], facts)]
    # Prices that cover none of the inputs are a gap in the table: the dearest of them, rather than nothing.
    return fitting or list(rules)


def _holds(conditions: Mapping[str, list[Any]], facts: Mapping[str, Any]) -> bool:
    return all(facts.get(name) is None or facts[name] in values for name, values in conditions.items())


def _amount(rule: Mapping[str, Any], quantity: Decimal) -> int:
    return int((rule["amount_micros"] * quantity).to_integral_value(rounding=ROUND_HALF_UP))
