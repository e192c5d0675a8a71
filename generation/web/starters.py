"""Prompts to begin with, each for a few cents, for a creator who has made nothing yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.utils.translation import gettext_noop

from generation import catalog, pricing


@dataclass(frozen=True)
class Starter:
    """A prompt with a picture that shows what it is after; `placeholder` is the picture's three mean colours.

    `options` are the model's own, chosen so that the first try is cheap. `teaches` is what there is to learn by it.
    """

    teaches: str
    prompt: str
    model: str
    shape: str
    picture: str
    width: int
    height: int
    placeholder: str
    options: Mapping[str, str | int] = field(default_factory=dict)
    film: bool = False

    @property
    def address(self) -> str:
        """The studio with this prompt filled in."""
        return "/?" + urlencode(
            {"model": self.model, "prompt": self.prompt, "aspect_ratio": self.shape, **self.options}
        )


@dataclass(frozen=True)
class Priced:
    """A starter with what it costs now, in micro-dollars."""

    starter: Starter
    micros: int
    title: str


STARTERS: Final = (
    Starter(
        gettext_noop("A sketch in seconds"),
        "Rose-coloured mountains mirrored, early morning, still water, fine grain",
        "black-forest-labs/flux-schnell",
        "16:9",
        "img/34.webp",
        720,
        405,
        "ad838c73595c8d6d6f",
    ),
    Starter(
        gettext_noop("A picture to build on"),
        "Three vases on a linen table, soft light from the left, deep shadow",
        "google/nano-banana",
        "1:1",
        "img/04.webp",
        720,
        720,
        "a69079967f6a806a56",
    ),
    Starter(
        gettext_noop("Your first film"),
        "Low sun over a calm sea, long lens, haze on the horizon, the camera drifts to the right",
        "bytedance/seedance-1-pro-fast",
        "16:9",
        "img/05.webp",
        720,
        405,
        "7e7383d8a99242475b",
        {"duration": 3, "resolution": "480p"},
        film=True,
    ),
)


def priced_starters(*, now: datetime) -> Sequence[Priced]:
    """The starters at the prices of the day, in one statement."""
    specs = [catalog.get(starter.model) for starter in STARTERS]
    rules = pricing.rules_of(specs, now=now)
    found = []
    for starter, spec in zip(STARTERS, specs, strict=True):
        raw = {"prompt": starter.prompt, "aspect_ratio": starter.shape, **starter.options}
        quote = pricing.quote(spec=spec, inputs=catalog.parse(spec, raw).inputs, now=now, quoted=rules[spec.id])
        found.append(Priced(starter, quote.amount_micros, spec.title))
    return found
