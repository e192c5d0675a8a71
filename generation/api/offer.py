"""The models as the API offers them: what each takes as JSON Schema, what it costs, how long it usually takes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from accounts.money import usd
from generation import catalog, pricing
from generation.api.asking import NAMED_FOR_FILMS
from generation.catalog.base import Field, ModelSpec

# What holds one reference, in the words of JSON Schema.
REFERENCE: Final = {
    "type": "string",
    "description": "The id of a picture in your gallery, an https address of one, or a data: URI of at most 8 MiB.",
}


def tell_models(*, now: datetime) -> list[dict[str, Any]]:
    """All models in the order in which they are offered."""
    gone = catalog.unavailable_models()
    return [tell_model(spec, available=spec.id not in gone, now=now) for spec in catalog.all_models()]


def tell_model(spec: ModelSpec, *, available: bool, now: datetime) -> dict[str, Any]:
    """One model with its prices of the day."""
    return {
        "id": spec.id,
        "type": spec.type,
        "title": spec.title,
        "goodAt": spec.good_at,
        "default": spec.id == catalog.default(spec.type).id,
        "available": available,
        "usualSeconds": spec.usual_seconds,
        "input": schema(spec),
        "prices": [price(spec, rule) for rule in pricing.rules(spec=spec, now=now)],
    }


def schema(spec: ModelSpec) -> dict[str, Any]:
    """JSON Schema of the body that asks for it."""
    shown = offered_fields(spec)
    needed = NAMED_FOR_FILMS if spec.type == "video" else ()
    return {
        "type": "object",
        "properties": {"model": {"const": spec.id}} | {name: described(field) for name, field in shown.items()},
        "required": [name for name, field in shown.items() if field.required or name in needed],
        "additionalProperties": False,
    }


def offered_fields(spec: ModelSpec) -> dict[str, Field]:
    """What it takes, under the names used outside."""
    fields = {outside: spec.field(inside) for outside, inside in catalog.offered(spec).items()}
    return {name: field for name, field in fields.items() if field}


def described(field: Field) -> dict[str, Any]:
    """JSON Schema of one field; defaults are left out where there is none."""
    told = shape(field) | {"title": field.label}
    if field.help:
        told["description"] = field.help
    if field.default is not None:
        told["default"] = field.default
    return told


def shape(field: Field) -> dict[str, Any]:
    """The part of JSON Schema that follows from the kind."""
    least, most = field.least, field.most
    if field.kind == "files":
        return {"type": "array", "items": REFERENCE} | bounds(minItems=least, maxItems=most)
    if field.kind == "file":
        return dict(REFERENCE)
    if field.kind in ("choice", "ratio"):
        numbers = all(isinstance(choice, int) for choice in field.choices)
        return {"type": "integer" if numbers else "string", "enum": list(field.choices)}
    if field.kind in ("integer", "seed"):
        return {"type": "integer"} | bounds(minimum=least, maximum=most)
    if field.kind == "boolean":
        return {"type": "boolean"}
    return {"type": "string"} | bounds(minLength=1 if field.required else None, maxLength=most)


def bounds(**given: int | None) -> dict[str, int]:
    """Those that are set."""
    return {name: value for name, value in given.items() if value is not None}


def price(spec: ModelSpec, rule: Mapping[str, Any]) -> dict[str, Any]:
    """One price rule; its conditions under the names used outside."""
    names = {inside: outside for outside, inside in catalog.api_names(spec).items()}
    conditions = {names.get(name, name): values for name, values in rule["conditions"].items()}
    return {"unit": rule["unit"], "usd": usd(rule["amount_micros"]), "conditions": conditions}
