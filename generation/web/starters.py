"""Prompts to begin with, for a creator who has made nothing yet."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode


@dataclass(frozen=True)
class Starter:
    """A prompt with a picture that shows what it is after; `placeholder` is the picture's three mean colours."""

    prompt: str
    shape: str
    picture: str
    width: int
    height: int
    placeholder: str
    film: bool = False

    @property
    def address(self) -> str:
        """The studio with this prompt filled in."""
        query = {"prompt": self.prompt, "aspect_ratio": self.shape}
        return "/?" + urlencode({"type": "video", **query} if self.film else query)


STARTERS: Final = (
    Starter(
        "Rose-coloured mountains mirrored, early morning, still water, fine grain",
        "16:9",
        "img/34.webp",
        720,
        405,
        "ad838c73595c8d6d6f",
    ),
    Starter(
        "Three vases on a linen table, soft light from the left, deep shadow",
        "1:1",
        "img/04.webp",
        720,
        720,
        "a69079967f6a806a56",
    ),
    Starter(
        "Low sun over a calm sea, long lens, haze on the horizon, the camera drifts to the right",
        "16:9",
        "img/05.webp",
        720,
        405,
        "7e7383d8a99242475b",
        film=True,
    ),
    Starter(
        "A copper planet with a pale ring, deep blue, studio light",
        "1:1",
        "img/27.webp",
        720,
        720,
        "34292a4630301a1e2a",
    ),
    Starter(
        "Fog between tall pines, morning, pale green, a path that leads away",
        "2:3",
        "img/06.webp",
        480,
        720,
        "63746b616f65545e54",
    ),
    Starter(
        "City skyline at dusk, wide, windows just lit, one crane", "21:9", "img/10.webp", 960, 411, "675368936b6c342a2f"
    ),
)
