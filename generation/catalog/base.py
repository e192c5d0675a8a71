"""How a model is described: one `ModelSpec`, from which form, API, validation, price and output reading come."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from django.utils.translation import gettext

Kind = Literal["string", "text", "integer", "boolean", "choice", "ratio", "file", "files", "seed"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input of a model under the provider's own `name`; `least` and `most` bound a number or an item count.

    `file` and `files` hold asset ids on our side and addresses at the provider's. `choices` are strings or whole
    numbers. `label` and `help` are for people, `unit` is the word after a number (`seconds`). A field with
    `shown=False` takes its default and is offered nowhere. `ignored_with` names a field beside which the model
    does not look at this one: it is then left out, and whoever gave it is told.
    """

    name: str
    kind: Kind
    label: str
    help: str = ""
    required: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    least: int | None = None
    most: int | None = None
    shown: bool = True
    unit: str = ""
    ignored_with: str = ""


@dataclass(frozen=True, kw_only=True)
class PriceRule:
    """A seed row of the price table: USD as a decimal string per `unit`, where the inputs match `conditions`."""

    unit: Literal["image", "second", "video"]
    usd: str
    conditions: Mapping[str, Any] = field(default_factory=dict)
    effective_from: str
    source: str

    def as_json(self) -> dict[str, Any]:
        """The normal form that quotes keep: every condition is the list of values that it covers."""
        conditions = {
            name: list(values) if isinstance(values, list | tuple) else [values]
            for name, values in self.conditions.items()
        }
        return {"unit": self.unit, "amount_micros": int(Decimal(self.usd) * 1_000_000), "conditions": conditions}


@dataclass(frozen=True)
class Parsed:
    """Inputs with defaults applied, exactly the fields that will be sent, and what the creator should know."""

    inputs: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


class UnknownModel(LookupError):
    """No model of that id is in the catalog."""


class InvalidInput(Exception):
    """Input that the model does not accept: `errors` maps a field's name to its sentences."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(sentences)}" for name, sentences in errors.items()))
        self.errors = {name: list(sentences) for name, sentences in errors.items()}


def no_rules(inputs: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """For models without rules between fields: no errors, no warnings."""
    return {}, []


def last_needs_first(*, first: str, last: str) -> Callable[[Mapping[str, Any]], tuple[dict[str, list[str]], list[str]]]:
    """The rule of films between two pictures, by the names of their fields."""

    def rules(inputs: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
        if inputs.get(last) and not inputs.get(first):
            return {last: [gettext("A last frame needs a first frame as well.")]}, []
        return {}, []

    return rules


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Everything the product knows of one model.

    `rules` looks at all inputs together and returns (errors by field, warnings). `usual_seconds` is the median run
    time. `references` names the field that takes reference pictures, `first_frame` and `last_frame` those of a film,
    `count` the one that says how many files are made, `seconds` the one that says how long a film runs.
    `fallback` is proposed, never substituted, when the provider no longer offers the model.
    """

    id: str
    type: Literal["image", "video"]
    title: str
    good_at: str
    fields: tuple[Field, ...]
    prices: tuple[PriceRule, ...]
    usual_seconds: float
    references: str = ""
    first_frame: str = ""
    last_frame: str = ""
    count: str = ""
    seconds: str = ""
    fallback: str = ""
    rules: Callable[[Mapping[str, Any]], tuple[dict[str, list[str]], list[str]]] = no_rules

    def field(self, name: str) -> Field | None:
        """The field of that name, if the model has one."""
        return next((item for item in self.fields if item.name == name), None)
