"""One palette for each picture, chosen by the prompt's words, else by its hash, or taken from a reference."""

import io
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.sandbox.pictures.noise import Random

Colour = NDArray[np.float32]


def colour(word: str) -> Colour:
    """`rrggbb` as three numbers from 0 to 1."""
    return np.array([int(word[place : place + 2], 16) / 255 for place in (0, 2, 4)], np.float32)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second in the first."""
    return first * np.float32(1 - share) + second * np.float32(share)


@dataclass(frozen=True)
class Palette:
    """A sky from `top` over `middle` to `low` at the horizon, the `light`, land from `far` to `near`, an `accent`."""

    top: Colour
    middle: Colour
    low: Colour
    light: Colour
    far: Colour
    near: Colour
    accent: Colour

    @property
    def dark(self) -> bool:
        """Whether it is a night."""
        return float(self.top.mean() + self.middle.mean() + self.low.mean()) < 0.84

    def by_night(self) -> "Palette":
        """The same after sunset, where it is not night already."""
        if self.dark:
            return self
        cold = np.array([0.62, 0.78, 1.0], np.float32)
        sky = (self.top * 0.16 * cold, self.middle * 0.24 * cold, self.low * 0.34 * cold)
        return Palette(*sky, mix(self.light, cold, 0.2), self.far * 0.32 * cold, self.near * 0.3, self.accent)

    def land(self, share: float) -> Colour:
        """The land's colour from far (0) to near (1)."""
        return mix(self.far, self.near, share)


def of(text: str) -> Palette:
    """A palette of seven colours written one after the other."""
    return Palette(*(colour(word) for word in text.split()))


PALETTES = {
    "violet": of("2b2450 7a4a86 f0a3a0 ffe3c4 8f6a93 1d1730 f2b8a0"),
    "ember": of("3a1712 9c3a1e f59b52 ffe9b8 b5613a 1f0c0a ffcf7a"),
    "gold": of("53708f c99a63 ffd999 fff6da b98d58 3a2512 ffe7a8"),
    "rose": of("6b5a8c d793a8 ffd2c0 fff3e2 b98a9e 40263c ffb7a0"),
    "teal": of("0b3a3f 2d7a78 a6d8c4 f4ffe9 4d8f88 06201f d9f0c0"),
    "blue": of("27507f 7aa9cf e3eef2 ffffff 7f9fb8 14263a f0d7a8"),
    "dusk": of("141c3c 41477e d98a7a ffd9a0 5a5f8f 0d1024 ffc27a"),
    "night": of("05070f 0e1a33 27406b e8efff 24375c 04070d ffd591"),
    "ice": of("55789a a9c8da eef4f6 ffffff 9db9cb 31485c cfe9f5"),
    "mono": of("26282b 77797c d9d9d6 ffffff 8b8c8d 131415 ffffff"),
    "forest": of("163326 4f7f57 d8e3a8 fffbd6 6b9468 0b1a12 f3dc7a"),
    "desert": of("5f8aa6 c9c3a6 f6dfb0 fff6de d9a066 7a3f1d fff0c4"),
    "aurora": of("04101f 0a2a3a 1c5a5a d8fff0 143c46 02080d 5df2b4"),
    "orchid": of("12082a 3b1a66 8f3f9e ffd6f5 43246e 0a0518 d77bff"),
    "clay": of("b9a58c d3c1a8 e8dcc8 fff8ea c4583a 4b3a30 2f6f73"),
    "slate": of("2c3a42 51636b 93a4a6 fdf6e3 c9632f 1a2226 e6b23c"),
}
WORDS = {
    "ember": r"sunset|fire|lava|volcan|red|autumn|fall|mars|orange|burn",
    "gold": r"gold|golden|sunrise|morning|dawn|wheat|honey|amber|warm",
    "rose": r"pink|rose|blossom|cherry|spring|pastel|soft|romantic|love",
    "teal": r"teal|turquoise|jade|mint|tropical|lagoon|emerald|jungle",
    "blue": r"blue|day|clear|sky|summer|bright|sunny",
    "dusk": r"dusk|evening|twilight|blue hour|city|street|neon|cyberpunk|rain",
    "night": r"night|midnight|moon|star|space|galax|dark|noir",
    "ice": r"ice|snow|winter|cold|glacier|frost|arctic|fog|mist",
    "mono": r"black.and.white|monochrom|grey|gray|noir|ink|charcoal|silver",
    "forest": r"forest|wood|tree|green|moss|meadow|garden|grass|fern",
    "desert": r"desert|dune|sand|sahara|canyon|western|beach",
    "aurora": r"aurora|northern light|polar|borealis",
    "orchid": r"violet|purple|orchid|lavender|magenta|dream|fantasy|magic",
    "clay": r"vase|still life|ceramic|clay|pottery|bottle|fruit|table|minimal|product",
    "violet": r"alp|mountain|lake|epic|cinematic",
    "slate": r"studio|object|design|interior|wall|window|room|light",
}


def choose(prompt: str, random: Random, *, liked: tuple[str, ...]) -> Palette:
    """The palette most of the prompt's words speak for; without any, one of those the scene likes."""
    votes = {name: len(re.findall(rf"\b(?:{pattern})", prompt, re.I)) for name, pattern in WORDS.items()}
    best = max(votes.values())
    names = [name for name, count in votes.items() if count == best] if best else list(liked)
    return vary(PALETTES[names[int(random.integers(len(names)))]], random)


def vary(palette: Palette, random: Random) -> Palette:
    """A little warmer or cooler, so that no two pictures have quite the same."""
    tint = np.float32(1) + random.uniform(-0.05, 0.05, 3).astype(np.float32)
    return Palette(*(np.clip(value * tint, 0, 1) for value in vars(palette).values()))


def from_picture(data: bytes) -> Palette:
    """The palette of a picture: its main colours, from dark to light."""
    with Image.open(io.BytesIO(data)) as picture:
        small = picture.convert("RGB").resize((64, 64))
    reduced = small.quantize(7, method=Image.Quantize.MEDIANCUT).convert("RGB")
    counted = reduced.getcolors(64 * 64) or []
    found = [np.asarray(value, np.float32) / np.float32(255) for _, value in counted if isinstance(value, tuple)]
    found.sort(key=lambda value: float(value.mean()))
    while len(found) < 7:
        found.append(mix(found[-1], np.ones(3, np.float32), 0.4))
    vivid = max(found, key=lambda value: float(value.max() - value.min()))
    return Palette(found[2], found[4], found[5], mix(found[6], np.ones(3, np.float32), 0.5), found[3], found[0], vivid)
