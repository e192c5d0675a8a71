"""Smooth randomness in one and two dimensions, the stuff of hills, clouds and grain."""

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]
Random = np.random.Generator


def cells(random: Random, width: int, height: int, across: float, down: float) -> Field:
    """Values 0 to 1 that change smoothly over `across` × `down` cells."""
    grid = random.random((ceil(down) + 3, ceil(across) + 3), dtype=np.float32)
    box = (1.0, 1.0, 1.0 + across, 1.0 + down)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box=box))


def fractal(
    random: Random, width: int, height: int, *, across: float = 4, octaves: int = 6, gain: float = 0.5, flat: float = 1
) -> Field:
    """Cloudy values spread over 0 to 1; `flat` above 1 stretches them sideways."""
    total = np.zeros((height, width), np.float32)
    share, down = 1.0, across * height / width * flat
    for _ in range(octaves):
        if across > width / 2 or down > height:
            break
        total += share * cells(random, width, height, across, down)
        share, across, down = share * gain, across * 2, down * 2
    return spread(total)


def spread(field: Field) -> Field:
    """The same, stretched to reach from 0 to 1."""
    low, high = float(field.min()), float(field.max())
    return (field - np.float32(low)) / np.float32(max(high - low, 1e-6))


def line(
    random: Random, length: int, *, across: float, octaves: int = 6, gain: float = 0.5, sharp: float = 0.0
) -> Field:
    """A wandering line over 0 to 1; `sharp` from 0 (hills) to 1 (crags)."""
    total = np.zeros(length, np.float32)
    share = 1.0
    for octave in range(octaves):
        knots = random.random(ceil(across) + 2).astype(np.float32)
        place = np.linspace(0, across, length, dtype=np.float32) + random.random(dtype=np.float32)
        index = place.astype(int)
        part = place - index
        part = part * part * (3 - 2 * part) if octave == 0 or sharp < 0.5 else part
        wave = knots[index] * (1 - part) + knots[index + 1] * part
        crag = 1 - np.abs(2 * wave - 1)
        total += np.float32(share) * (wave * np.float32(1 - sharp) + crag * np.float32(sharp))
        share, across = share * gain, across * 2.1
        if across > length / 2:
            break
    return spread(total)


def smooth(low: float, high: float, value: Field) -> Field:
    """0 below `low`, 1 above `high`, an S between; `low` above `high` turns it round."""
    part: Field = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return part * part * (3 - 2 * part)
