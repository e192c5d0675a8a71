"""The table of prices: entered from the catalog once, changed by administrators, never two for one day."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from django.db import transaction

from generation import catalog
from generation.catalog.base import ModelSpec, PriceRule
from generation.models import Price
from generation.pricing import as_lists


def sync_prices() -> int:
    """Enter the catalog's prices that the table does not know yet; returns how many. What is there stays as it is.

    A newer price of the catalog's ends its open predecessor, unless an administrator has entered one from that day
    or a later one.
    """
    with transaction.atomic():
        return sum(_enter(spec.id, rule) for spec, rule in _seeds())


def _seeds() -> Iterator[tuple[ModelSpec, PriceRule]]:
    for spec in catalog.all_models():
        for rule in sorted(spec.prices, key=lambda rule: rule.effective_from):
            yield spec, rule


def _enter(model: str, rule: PriceRule) -> bool:
    seed, starts_on = rule.as_json(), date.fromisoformat(rule.effective_from)
    alike = same_condition(model=model, unit=rule.unit, conditions=seed["conditions"])
    if any(row.effective_from >= starts_on for row in alike):
        return False
    for row in alike:
        if row.effective_to is None or row.effective_to > starts_on:
            row.effective_to = starts_on
            row.save(update_fields=["effective_to"])
    Price.objects.create(model=model, effective_from=starts_on, source=rule.source, **seed)
    return True


def same_condition(*, model: str, unit: str, conditions: Mapping[str, Any]) -> list[Price]:
    """The rows, of any time, that price the same thing."""
    wanted = as_lists(conditions)
    return [row for row in Price.objects.filter(model=model, unit=unit) if as_lists(row.conditions) == wanted]


def overlapping(price: Price) -> list[Price]:
    """Other rows that price the same thing on a day of this one's range, `effective_from` ≤ day < `effective_to`.

    Conditions overlap where one run of the model could meet both.
    """
    mine = as_lists(price.conditions)
    return [
        row
        for row in Price.objects.filter(model=price.model, unit=price.unit).exclude(pk=price.pk)
        if _meet(mine, as_lists(row.conditions))
        and (row.effective_to is None or price.effective_from < row.effective_to)
        and (price.effective_to is None or row.effective_from < price.effective_to)
    ]


def _meet(one: Mapping[str, list[Any]], other: Mapping[str, list[Any]]) -> bool:
    """An input that a condition does not name is covered by it, whatever its value."""
    return all(set(map(str, one[name])) & set(map(str, other[name])) for name in one.keys() & other.keys())
