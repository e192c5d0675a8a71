"""Which scene a prompt asks for: the one most of its words speak for, else one that its hash picks."""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from generation.sandbox.pictures import indoors, land, nights, palettes, places
from generation.sandbox.pictures.layers import Scene, Stage


@dataclass(frozen=True)
class Choice:
    """A scene, the words that call for it, the palettes it likes when the words name none."""

    build: Callable[[Stage], Scene]
    words: str
    palettes: tuple[str, ...]


CHOICES = {
    "mountains": Choice(
        land.mountains,
        r"mountain|peak|alp|ridge|cliff|canyon|valley|volcan|dragon|castle|epic|landscape",
        ("violet", "teal", "blue", "rose", "ember", "mono"),
    ),
    "hills": Choice(
        land.hills,
        r"hill|meadow|field|farm|countryside|country|horse|sheep|pasture|vineyard|fog|mist|road|"
        r"house",
        ("gold", "forest", "rose", "teal", "blue"),
    ),
    "lake": Choice(
        land.lake,
        r"lake|river|reflection|pond|boat|calm|swan|bridge|fjord|mirror|canoe",
        ("violet", "blue", "rose", "teal", "gold"),
    ),
    "sea": Choice(
        land.sea,
        r"sea|ocean|wave|beach|coast|ship|sail|harbou?r|island|sunset|sunrise|water|whale|surf|"
        r"lighthouse",
        ("ember", "rose", "dusk", "blue", "gold"),
    ),
    "dunes": Choice(
        land.dunes,
        r"desert|dune|sand|sahara|camel|mars|arid|egypt|pyramid|caravan",
        ("desert", "gold", "rose", "ember"),
    ),
    "aurora": Choice(
        nights.aurora, r"aurora|northern|polar|borealis|arctic|iceland|norway|magic|spirit|ghost", ("aurora", "orchid")
    ),
    "stars": Choice(
        nights.starry,
        r"star|milky|galax|night|midnight|camp|wolf|owl|dream|universe|cosmos|dark",
        ("night", "dusk", "orchid"),
    ),
    "city": Choice(
        places.city,
        r"city|skyline|tower|street|urban|neon|cyberpunk|building|tokyo|new york|london|car|robot|"
        r"rain|taxi|office",
        ("dusk", "night", "violet", "rose", "teal"),
    ),
    "forest": Choice(
        places.forest,
        r"forest|wood|tree|jungle|pine|trail|deer|fox|bear|path|moss|fairy|elf|cabin|autumn",
        ("forest", "gold", "teal", "mono"),
    ),
    "clouds": Choice(
        places.cloudscape,
        r"cloud|heaven|fly|flight|plane|bird|balloon|angel|air|sky|kite|eagle",
        ("rose", "blue", "gold", "violet"),
    ),
    "still life": Choice(
        indoors.still_life,
        r"vase|still life|ceramic|bottle|bowl|fruit|product|perfume|cup|coffee|tea|food|cake|"
        r"table|jar|logo|icon|pot",
        ("clay", "slate", "mono", "rose"),
    ),
    "window": Choice(
        indoors.window,
        r"window|wall|room|interior|portrait|woman|man|girl|boy|face|person|people|cat|dog|chair|"
        r"shadow|home|book|child",
        ("gold", "slate", "clay", "mono"),
    ),
    "planet": Choice(
        indoors.planet,
        r"planet|space|moon|orbit|saturn|jupiter|alien|astronaut|rocket|sci.?fi|spaceship|world|"
        r"earth|future",
        ("night", "ember", "orchid", "slate"),
    ),
    "silk": Choice(
        indoors.silk,
        r"abstract|silk|fabric|fold|texture|pattern|gradient|wallpaper|flow|liquid|paint|colou?r|"
        r"wave ?form|music|dance|fashion|dress|flower|rose",
        ("clay", "teal", "orchid", "gold", "forest"),
    ),
}


def choose(prompt: str, seed: str) -> tuple[Choice, np.random.Generator]:
    """The scene, and the randomness of this very prompt and seed."""
    random = np.random.default_rng(zlib.crc32(f"{prompt}\n{seed}".encode()))
    votes = {name: len(re.findall(rf"\b(?:{choice.words})", prompt, re.I)) for name, choice in CHOICES.items()}
    best = max(votes.values())
    # Chosen by the prompt alone: another seed gives another picture of the same thing.
    names = [name for name, count in votes.items() if count == best]
    return CHOICES[names[zlib.crc32(prompt.encode()) % len(names)]], random


def build(prompt: str, seed: str, size: tuple[int, int], palette_from: bytes | None) -> Scene:
    """The scene of a prompt at a size, in its own palette or in a picture's."""
    choice, random = choose(prompt, seed)
    palette = palettes.choose(prompt, random, liked=choice.palettes)
    if palette_from is not None:
        palette = palettes.from_picture(palette_from)
    return choice.build(Stage(*size, palette, random))
