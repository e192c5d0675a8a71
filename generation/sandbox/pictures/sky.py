"""Skies: a gradient, a sun or moon with its glow, stars, clouds."""

import numpy as np
from numpy.typing import NDArray

from generation.sandbox.pictures.layers import Plate, Stage, blended, picture, rgb, tinted
from generation.sandbox.pictures.noise import Field, fractal, smooth

Pixels = NDArray[np.float32]


def gradient(stage: Stage, horizon: float) -> Pixels:
    """The sky's colours from the top to the horizon, a little uneven, as air is."""
    palette = stage.palette
    place = np.clip(stage.y / max(horizon, 1), 0, 1)
    uneven = fractal(stage.random, stage.width, stage.height, across=1.5, octaves=2, flat=2.5) - 0.5
    place = np.clip(place + uneven * 0.10, 0, 1)
    upper, lower = smooth(0.0, 0.62, place), smooth(0.5, 1.02, place)
    pixels = np.broadcast_to(palette.top, (stage.height, stage.width, 3)).astype(np.float32)
    return blended(blended(pixels, palette.middle, upper), palette.low, lower)


def with_sun(stage: Stage, pixels: Pixels, *, x: float, y: float, radius: float) -> Pixels:
    """A disc with a wide glow."""
    distance = np.hypot(stage.x - x, stage.y - y)
    pixels = blended(pixels, stage.palette.light, 0.55 * np.exp(-distance / (radius * 3.2)))
    pixels = blended(pixels, stage.palette.low, 0.30 * np.exp(-distance / (radius * 9)))
    return blended(pixels, stage.palette.light, smooth(radius * 1.03, radius * 0.96, distance))


def with_moon(stage: Stage, pixels: Pixels, *, x: float, y: float, radius: float) -> Pixels:
    """A shaded disc with its seas and a cold glow."""
    distance = np.hypot(stage.x - x, stage.y - y)
    seas = fractal(stage.random, stage.width, stage.height, across=stage.width / radius / 1.2, octaves=4)
    pixels = blended(pixels, stage.palette.light, 0.28 * np.exp(-distance / (radius * 2.6)))
    disc = smooth(radius * 1.02, radius * 0.97, distance)
    return blended(pixels, stage.palette.light * np.float32(0.97), disc * (0.80 + 0.20 * smooth(0.35, 0.6, seas)))


def with_stars(stage: Stage, pixels: Pixels, *, horizon: float, many: float = 1.0, band: bool = False) -> Pixels:
    """Stars of all sizes; `band` adds the milky way."""
    height, width = stage.height, stage.width
    fade = smooth(horizon, horizon * 0.45, stage.y)
    if band:
        slope = stage.random.uniform(0.5, 1.1) * (1 if stage.random.random() < 0.5 else -1)
        middle = stage.height * 0.42 + (stage.x - width / 2) * slope
        away = np.abs(stage.y - middle) / stage.unit
        cloud = fractal(stage.random, width, height, across=3, octaves=7, gain=0.55)
        dust = fractal(stage.random, width, height, across=4, octaves=7, gain=0.6)
        glow = np.exp(-((away / 0.16) ** 2)) * (0.25 + 0.9 * cloud)
        lane = np.exp(-(((away + (dust - 0.5) * 0.16) / 0.045) ** 2)) * smooth(0.25, 0.75, cloud)
        pixels = pixels + tinted(fade * glow * 0.34, stage.palette.light * 0.6 + stage.palette.accent * 0.4)
        pixels = pixels * (1 - 0.42 * fade * lane)[:, :, None]
    number = int(width * height / 900 * many)
    light = np.zeros((height, width), np.float32)
    row, column = stage.random.integers(0, height, number), stage.random.integers(0, width, number)
    light[row, column] = (stage.random.pareto(2.2, number) * 0.22 + 0.10).clip(0, 1.6)
    for row_of, column_of in zip(*np.nonzero(light > 1.0), strict=True):
        span = max(1.0, stage.unit / 620)
        top, left = max(0, row_of - 6), max(0, column_of - 6)
        rows, columns = np.mgrid[top : row_of + 7, left : column_of + 7]
        spot = np.exp(-((rows - row_of) ** 2 + (columns - column_of) ** 2) / (2 * span * span)).astype(np.float32)
        part = light[top : row_of + 7, left : column_of + 7]
        part += (spot * 0.9)[: part.shape[0], : part.shape[1]]
    return pixels + tinted(light * fade, stage.palette.light)


def plate(pixels: Pixels) -> Plate:
    """The sky as the farthest layer."""
    return Plate(picture(pixels), depth=0.0)


def clouds(stage: Stage, *, bottom: float, amount: float, drift: float, depth: float = 0.05) -> Plate:
    """A bank of clouds down to the row `bottom`, lit from below where it is thin, drifting."""
    pad = round(stage.width * 0.12)
    width, height = stage.width + 2 * pad, max(8, round(bottom))
    shape = fractal(stage.random, width, height, across=3.2, octaves=7, gain=0.52, flat=3.4)
    thick = smooth(0.72 - amount * 0.42, 0.98 - amount * 0.25, shape)
    lower = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    lit = smooth(0.2, 1.0, lower + (0.5 - thick) * 0.6)
    pixels = np.broadcast_to(stage.palette.middle * np.float32(0.92), (height, width, 3)).astype(np.float32)
    pixels = blended(pixels, stage.palette.light * 0.75 + stage.palette.low * 0.25, lit)
    mask = thick * smooth(1.0, 0.72, lower + lower * 0) * (0.55 + 0.35 * lit)
    return Plate(picture(pixels), picture(mask), left=-pad, depth=depth, drift=drift)


def mist(stage: Stage, *, middle: float, spread_rows: float, strength: float, drift: float, depth: float) -> Plate:
    """A drifting bank of mist around a row."""
    pad = round(stage.width * 0.12)
    top, height = round(middle - spread_rows), max(8, round(2 * spread_rows))
    width = stage.width + 2 * pad
    shape = fractal(stage.random, width, height, across=2.5, octaves=5, flat=2.5)
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    mask = np.exp(-((rows * 2) ** 2)) * (0.35 + 0.65 * shape) * strength
    mask = mask * smooth(1.0, 0.8, np.abs(rows))
    haze = stage.palette.low * 0.8 + stage.palette.light * 0.2
    return Plate(rgb(haze), picture(mask), left=-pad, top=top, depth=depth, drift=drift)


def vertical(stage: Stage) -> Field:
    """0 at the top to 1 at the bottom, height × 1."""
    return stage.y / np.float32(stage.height)
