"""One field of a model as the composer shows it: its control, its choices, what stands in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from gallery.models import Asset
from generation.catalog.base import Field

# Choices up to this many, and short, lie open side by side; more become a list.
MOST_SEGMENTS = 4
MOST_LISTED = 16
# Width and height of a shape's drawing, in a box of 28.
LONG_SIDE = 22.0
# Takes the shape of the reference; Google's models and ByteDance's have it.
MATCH = "match_input_image"


@dataclass(frozen=True)
class Choice:
    """One value that can be picked, and for a shape its drawing as x, y, width and height."""

    value: str
    label: str
    chosen: bool
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class BoundField:
    """A field of the model with what stands in it."""

    spec: Field
    value: Any
    errors: Sequence[str]
    assets: Sequence[Asset] = ()
    priced: bool = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def id(self) -> str:
        return "prompt" if self.name == "prompt" else f"option-{self.name}"

    @property
    def error_id(self) -> str:
        return f"{self.id}-error"

    @property
    def upload_name(self) -> str:
        return f"{self.name}.upload"

    @property
    def several(self) -> bool:
        """Whether its pictures have an order that can be changed."""
        return self.spec.kind == "files" and len(self.assets) > 1

    @property
    def widget(self) -> str:
        """Which template draws it."""
        kind = self.spec.kind
        if kind == "ratio":
            return "shapes"
        if kind == "choice" or (kind == "integer" and self._listed):
            short = len(self.choices) <= MOST_SEGMENTS and all(len(choice.label) <= 12 for choice in self.choices)
            return "segments" if short else "list"
        if kind in {"integer", "seed"}:
            return "number"
        return {"string": "line", "text": "text", "boolean": "check"}.get(kind, kind)

    @property
    def _listed(self) -> bool:
        least, most = self.spec.least, self.spec.most
        return bool(self.spec.choices) or (least is not None and most is not None and most - least < MOST_LISTED)

    @property
    def label(self) -> str:
        return gettext(self.spec.label)

    @property
    def help(self) -> str:
        """The description's words, without the provider's own for a shape that a form calls otherwise."""
        if MATCH in map(str, self.spec.choices):
            return gettext("Auto takes the shape of the reference.")
        return gettext(self.spec.help) if self.spec.help else ""

    @property
    def text(self) -> str:
        """The value as an input shows it."""
        return "" if self.value is None else str(self.value)

    @property
    def checked(self) -> bool:
        return self.text.lower() in {"true", "on", "1"}

    @property
    def choices(self) -> list[Choice]:
        spec = self.spec
        values: Iterable[Any] = spec.choices
        if not values and spec.least is not None and spec.most is not None:
            values = range(spec.least, spec.most + 1)
        # "Images: 1 2 3 4" needs no unit beside each figure.
        unit = {"": "", "seconds": " s", spec.label.lower(): ""}.get(spec.unit, f" {spec.unit}")
        found = [
            Choice(str(value), _label(value) + unit, str(value) == self.text, _box(str(value))) for value in values
        ]
        return sorted(found, key=_wide_first) if spec.kind == "ratio" else found

    @property
    def summary(self) -> str:
        """Its value in the line that stands for the folded options."""
        if self.spec.kind == "seed":
            return gettext("seed %(seed)s") % {"seed": self.text} if self.text else gettext("seed at random")
        if self.spec.kind == "boolean":
            return self.label.lower() if self.checked else ""
        if self.widget not in {"segments", "list", "number"}:
            return ""
        return f"{self.text} {self.label.lower()}" if self.text.replace(".", "").isdigit() else self.text


def _label(value: Any) -> str:
    return str(value).replace("_", " ")


def _wide_first(choice: Choice) -> float:
    return -choice.box[2] / choice.box[3] if choice.box else -100


def _box(value: str) -> tuple[float, float, float, float] | None:
    width, _, height = value.partition(":")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        return None
    share = int(width) / int(height)
    wide, high = (LONG_SIDE, LONG_SIDE / share) if share >= 1 else (LONG_SIDE * share, LONG_SIDE)
    return round(14 - wide / 2, 1), round(14 - high / 2, 1), round(wide, 1), round(high, 1)
