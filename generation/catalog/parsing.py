"""From what a form or an API call gave to the inputs that will be sent, or one clear sentence per wrong field."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from generation.catalog.base import Field, InvalidInput, ModelSpec, Parsed

# The range that ByteDance documents for its seeds; the others take at least that.
LARGEST_SEED: Final = 2**32 - 1
UNKNOWN_FIELDS_NAMED: Final = 20
TRUE, FALSE = frozenset({"true", "on", "yes", "1"}), frozenset({"false", "off", "no", "0"})
# U+0000 cannot be stored in PostgreSQL, and half a surrogate pair is not text at all.
UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


class _Wrong(Exception):
    """One sentence about one value."""


def parse(spec: ModelSpec, raw: Mapping[str, Any]) -> Parsed:
    """Read `raw` (the provider's field names; strings or JSON types) against the model; defaults are applied.

    None, empty strings and empty lists mean "not given". File fields are taken as they come: asset ids by then, or
    addresses where only a price is wanted. Raises `InvalidInput` with a sentence for every field that is wrong.
    """
    errors = _unknown(spec, raw)
    inputs: dict[str, Any] = {}
    given: set[str] = set()
    for field in spec.fields:
        try:
            value = _read(field, raw.get(field.name))
        except _Wrong as wrong:
            errors[field.name] = [str(wrong)]
            continue
        if value is not None:
            given.add(field.name)
        elif field.required:
            errors[field.name] = [f"{field.label} is required."]
        inputs[field.name] = field.default if value is None else value
    warnings = _leave_out_ignored(spec, inputs, given)
    inputs = {name: value for name, value in inputs.items() if value is not None}
    broken, told = spec.rules(inputs)
    if errors := {**broken, **errors}:
        raise InvalidInput(errors)
    return Parsed(inputs, [*warnings, *told])


def _unknown(spec: ModelSpec, raw: Mapping[str, Any]) -> dict[str, list[str]]:
    strangers = [name for name in raw if spec.field(name) is None]
    return {
        UNSTORABLE.sub("�", str(name)[:80]): [f"{spec.title} has no option of this name."]
        for name in strangers[:UNKNOWN_FIELDS_NAMED]
    }


def _leave_out_ignored(spec: ModelSpec, inputs: dict[str, Any], given: set[str]) -> list[str]:
    warnings = []
    for field in spec.fields:
        other = spec.field(field.ignored_with) if field.ignored_with else None
        if other and inputs.get(other.name) and inputs.pop(field.name, None) is not None and field.name in given:
            warnings.append(f"{field.label} is ignored: {spec.title} takes it from the {other.label.lower()}.")
    return warnings


def _read(field: Field, value: Any) -> Any:
    """The value in its own type; None when not given."""
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise _Wrong(f"{field.label} contains a character that cannot be stored.")
        value = value.replace("\r\n", "\n").strip()
    if value is None or value in ("", [], ()):
        return None
    return READERS[field.kind](field, value)


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"{field.label} must be text.")
    if field.most is not None and len(value) > field.most:
        raise _Wrong(f"{field.label} is {len(value):,} characters long; at most {field.most:,} are accepted.")
    return value


def _integer(field: Field, value: Any) -> int:
    number = _whole(value)
    least, most = field.least, field.most
    if number is None or (least is not None and number < least) or (most is not None and number > most):
        raise _Wrong(f"{field.label} must be a whole number{_range(field)}; {_shown(value)} is not accepted.")
    return number


def _seed(field: Field, value: Any) -> int:
    number = _whole(value)
    if number is None or not 0 <= number <= LARGEST_SEED:
        raise _Wrong(f"{field.label} must be a whole number from 0 to {LARGEST_SEED}; {_shown(value)} is not accepted.")
    return number


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return int(value)
    return None


def _range(field: Field) -> str:
    unit = f" {field.unit}" if field.unit else ""
    if field.least is not None and field.most is not None:
        return f" from {field.least} to {field.most}{unit}"
    return f" of{unit}" if unit else ""


def _boolean(field: Field, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    if word not in TRUE | FALSE:
        raise _Wrong(f"{field.label} must be true or false; {_shown(value)} is not accepted.")
    return word in TRUE


def _choice(field: Field, value: Any) -> Any:
    known = {str(choice): choice for choice in field.choices}
    if not isinstance(value, bool) and isinstance(value, str | int | float) and (shown := _shown(value)) in known:
        return known[shown]
    words = list(known)
    accepted = f"one of {', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
    raise _Wrong(f"{field.label} must be {accepted}; {_shown(value)} is not accepted.")


def _file(field: Field, value: Any) -> str:
    if not isinstance(value, str) or UNSTORABLE.search(value):
        raise _Wrong(f"{field.label} must be one image.")
    return value


def _files(field: Field, value: Any) -> list[str] | None:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise _Wrong(f"{field.label} must be a list of images.")
    if any(UNSTORABLE.search(item) for item in items):
        raise _Wrong(f"{field.label} contains a character that cannot be stored.")
    found = [item.strip() for item in items if item.strip()]
    if field.most is not None and len(found) > field.most:
        raise _Wrong(f"At most {field.most} {field.label.lower()} are accepted; {len(found)} were given.")
    if found and field.least is not None and len(found) < field.least:
        raise _Wrong(f"At least {field.least} {field.label.lower()} are needed.")
    return found or None


def _shown(value: Any) -> str:
    """The value as a sentence may repeat it: short, on one line, never an error itself."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of this size"
    if isinstance(value, str | int | float):
        words = " ".join(UNSTORABLE.sub("�", str(value)).split())
        return words if len(words) <= 40 else f"{words[:39]}…"
    return "what was given"


READERS: Final[Mapping[str, Callable[[Field, Any], Any]]] = {
    "string": _text,
    "text": _text,
    "integer": _integer,
    "seed": _seed,
    "boolean": _boolean,
    "choice": _choice,
    "ratio": _choice,
    "file": _file,
    "files": _files,
}
