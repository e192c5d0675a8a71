"""From what a form or an API call gave to the inputs that will be sent, or one clear sentence per wrong field."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

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
            errors[field.name] = [_said(field, _("%(label)s is required."))]
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
        UNSTORABLE.sub("�", str(name)[:80]): [_("%(model)s has no option of this name.") % {"model": spec.title}]
        for name in strangers[:UNKNOWN_FIELDS_NAMED]
    }


def _leave_out_ignored(spec: ModelSpec, inputs: dict[str, Any], given: set[str]) -> list[str]:
    warnings = []
    for field in spec.fields:
        other = spec.field(field.ignored_with) if field.ignored_with else None
        if other and inputs.get(other.name) and inputs.pop(field.name, None) is not None and field.name in given:
            sentence = _("%(label)s is ignored: %(model)s takes it from the %(other)s.")
            warnings.append(_said(field, sentence, model=spec.title, other=_(other.label).lower()))
    return warnings


def _read(field: Field, value: Any) -> Any:
    """The value in its own type; None when not given."""
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise _Wrong(_said(field, _("%(label)s contains a character that cannot be stored.")))
        value = value.replace("\r\n", "\n").strip()
    if value is None or value in ("", [], ()):
        return None
    return READERS[field.kind](field, value)


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong(_said(field, _("%(label)s must be text.")))
    if field.most is not None and len(value) > field.most:
        sentence = _("%(label)s is %(length)s characters long; at most %(most)s are accepted.")
        raise _Wrong(_said(field, sentence, length=f"{len(value):,}", most=f"{field.most:,}"))
    return value


def _integer(field: Field, value: Any) -> int:
    number = _whole(value)
    least, most = field.least, field.most
    if number is None or (least is not None and number < least) or (most is not None and number > most):
        raise _Wrong(_said(field, _whole_number(field), given=_shown(value)))
    return number


def _seed(field: Field, value: Any) -> int:
    number = _whole(value)
    if number is None or not 0 <= number <= LARGEST_SEED:
        sentence = _("%(label)s must be a whole number from %(least)s to %(most)s; %(given)s is not accepted.")
        raise _Wrong(_said(field, sentence, least=0, most=LARGEST_SEED, given=_shown(value)))
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


def _whole_number(field: Field) -> str:
    bounded = field.least is not None and field.most is not None
    if bounded and field.unit:
        return _("%(label)s must be a whole number from %(least)s to %(most)s %(unit)s; %(given)s is not accepted.")
    if bounded:
        return _("%(label)s must be a whole number from %(least)s to %(most)s; %(given)s is not accepted.")
    if field.unit:
        return _("%(label)s must be a whole number of %(unit)s; %(given)s is not accepted.")
    return _("%(label)s must be a whole number; %(given)s is not accepted.")


def _said(field: Field, sentence: str, **words: object) -> str:
    """The sentence with what it has to name: the field, its bounds, and `words`."""
    unit = _(field.unit) if field.unit else ""
    known = {"label": _(field.label), "least": field.least, "most": field.most, "unit": unit}
    return sentence % (known | words)


def _boolean(field: Field, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    if word not in TRUE | FALSE:
        raise _Wrong(
            _said(field, _("%(label)s must be true or false; %(given)s is not accepted."), given=_shown(value))
        )
    return word in TRUE


def _choice(field: Field, value: Any) -> Any:
    known = {str(choice): choice for choice in field.choices}
    if not isinstance(value, bool) and isinstance(value, str | int | float) and (shown := _shown(value)) in known:
        return known[shown]
    *others, last = known
    sentence = (
        _("%(label)s must be one of %(others)s or %(last)s; %(given)s is not accepted.")
        if others
        else _("%(label)s must be %(last)s; %(given)s is not accepted.")
    )
    raise _Wrong(_said(field, sentence, others=", ".join(others), last=last, given=_shown(value)))


def _file(field: Field, value: Any) -> str:
    if not isinstance(value, str) or UNSTORABLE.search(value):
        raise _Wrong(_said(field, _("%(label)s must be one image.")))
    return value


def _files(field: Field, value: Any) -> list[str] | None:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise _Wrong(_said(field, _("%(label)s must be a list of images.")))
    if any(UNSTORABLE.search(item) for item in items):
        raise _Wrong(_said(field, _("%(label)s contains a character that cannot be stored.")))
    found = [item.strip() for item in items if item.strip()]
    if field.most is not None and len(found) > field.most:
        sentence = _("At most %(most)s %(what)s are accepted; %(count)s were given.")
        raise _Wrong(_said(field, sentence, what=_(field.label).lower(), count=len(found)))
    if found and field.least is not None and len(found) < field.least:
        raise _Wrong(_said(field, _("At least %(least)s %(what)s are needed."), what=_(field.label).lower()))
    return found or None


def _shown(value: Any) -> str:
    """The value as a sentence may repeat it: short, on one line, never an error itself."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**18:
        return _("a number of this size")
    if isinstance(value, str | int | float):
        words = " ".join(UNSTORABLE.sub("�", str(value)).split())
        return words if len(words) <= 40 else f"{words[:39]}…"
    return _("what was given")


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
