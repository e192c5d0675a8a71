"""From a request's body to what the catalog understands, and from its refusals back to the names used outside."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from accounts.api.problems import Problem, invalid
from accounts.api.rates import rate_headers
from accounts.models import User
from gallery.library import IMPORTS_PER_MINUTE
from generation import catalog, quotes, references
from generation.catalog.base import Field, InvalidInput, ModelSpec, Parsed
from generation.quotes import Held

Type = Literal["image", "video"]

# Every film is asked for with these where its model has them: they decide the price.
NAMED_FOR_FILMS: Final = ("duration", "resolution")
RATIO: Final = re.compile(r"[1-9][0-9]{0,3}:[1-9][0-9]{0,3}")
ADDRESSES: Final = {"image": "/api/generation/image", "video": "/api/generation/video"}


@dataclass(frozen=True)
class Asked:
    """A body read: the model, its inputs under the provider's names, and what the creator should know.

    `quote` is the token of an estimate, None without one; it is no part of what makes two requests the same.
    """

    spec: ModelSpec
    raw: dict[str, Any]
    warnings: list[str]
    quote: Any


def read(body: Mapping[str, Any], *, type: Type | None) -> Asked:
    """Raises `Problem` (422) for the model and for fields that it does not have; values are not looked at yet."""
    spec = chosen_model(body.get("model"), type or guessed_type(body))
    if type and spec.type != type:
        raise invalid({"model": f"{spec.id} makes {spec.type}s; ask for it at {ADDRESSES[spec.type]}."})
    names = catalog.offered(spec)
    given = {name: value for name, value in body.items() if name not in ("model", "quote") and value is not None}
    errors, warnings = {}, []
    for name in given.keys() & names.keys():
        if read_otherwise(spec.field(names[name]), given[name]):
            errors[name] = "Give it without blanks around it, or leave it out."
    for name in given.keys() - names.keys():
        if name == "aspectRatio" and ratio(given[name]):
            warnings.append(f"{spec.id} has no aspect ratio to choose; aspectRatio was ignored.")
        else:
            errors[name] = f"{spec.id} does not take this. It takes {', '.join(names)}."
    if spec.type == "video":
        needed = [name for name in NAMED_FOR_FILMS if name in names and name not in given]
        errors |= {name: f"Say the {name} of the film; it decides the price." for name in needed}
    if errors:
        raise invalid(errors)
    return Asked(
        spec, {names[name]: value for name, value in given.items() if name in names}, warnings, body.get("quote")
    )


def chosen_model(given: Any, type: Type) -> ModelSpec:
    """The model that the body names, or the default of its type; raises `Problem` (422)."""
    if given is None:
        return catalog.default(type)
    try:
        return catalog.get(given)
    except catalog.UnknownModel:
        offered = ", ".join(spec.id for spec in catalog.all_models())
        raise invalid({"model": f"This model is not offered. Offered are {offered}."}) from None


def guessed_type(body: Mapping[str, Any]) -> Type:
    """For an estimate that names no model: what has a duration or a resolution is a film."""
    return "video" if any(name in body for name in NAMED_FOR_FILMS) else "image"


def read_otherwise(field: Field | None, value: Any) -> bool:
    """Whether a form would be forgiven this: it reads it without its blanks, or as left out when it is empty."""
    of_words = field is not None and field.kind in ("string", "text")
    return isinstance(value, str) and not of_words and (not value or value != value.strip())


def ratio(value: Any) -> bool:
    """Whether `value` could be an aspect ratio for some model."""
    return isinstance(value, str) and RATIO.fullmatch(value) is not None


def held(asked: Asked, *, user: User, now: datetime) -> Held | None:
    """The quote that came along, None without one; raises `Problem` (422)."""
    if asked.quote is None:
        return None
    try:
        return quotes.usable(asked.quote, user=user, spec=asked.spec, now=now)
    except quotes.UnusableQuote as unusable:
        raise invalid({"quote": str(unusable)}) from None


def priced(asked: Asked, *, user: User) -> Parsed:
    """All of it checked, with no reference brought in; raises `Problem` (422)."""
    try:
        return parsed(asked, references.stand_in(user=user, spec=asked.spec, raw=asked.raw))
    except InvalidInput as error:
        raise outside(error, asked.spec) from None


def complete(asked: Asked, *, user: User, now: datetime) -> Parsed:
    """All of it checked and every reference an asset; raises `Problem` (422, 429, 503)."""
    priced(asked, user=user)
    try:
        raw = references.resolve(user=user, spec=asked.spec, raw=asked.raw, now=now)
        return parsed(asked, raw)
    except InvalidInput as error:
        raise outside(error, asked.spec) from None


def parsed(asked: Asked, raw: Mapping[str, Any]) -> Parsed:
    """What the catalog makes of it, with our own warnings beside its own."""
    found = catalog.parse(asked.spec, raw)
    return Parsed(found.inputs, [*found.warnings, *asked.warnings])


def outside(error: InvalidInput, spec: ModelSpec) -> Problem:
    """The refusal under the names that the API uses."""
    names = {inside: outside for outside, inside in catalog.api_names(spec).items()}
    problem = invalid({names.get(field, field): sentences for field, sentences in error.errors.items()})
    if isinstance(error, references.TooManyFetches):
        return Problem(
            status=429,
            errors=problem.errors,
            headers={"Retry-After": str(error.retry_after_seconds)}
            | rate_headers(limit=IMPORTS_PER_MINUTE, remaining=0, reset_seconds=error.retry_after_seconds),
            detail=str(error),
        )
    if isinstance(error, references.ReferencesClosed):
        return Problem(status=503, errors=problem.errors, headers={"Retry-After": "60"})
    return problem
