"""Nights: northern lights, the milky way."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from generation.sandbox.pictures import sky
from generation.sandbox.pictures.land import ranges, treeline
from generation.sandbox.pictures.layers import BILINEAR, Layer, Moment, Scene, Stage, Water
from generation.sandbox.pictures.noise import Field, line, smooth
from generation.sandbox.pictures.palettes import Colour, mix

COARSE = 3  # curtains are soft: a third of the pixels is enough to paint them


@dataclass(frozen=True)
class Curtain:
    """A curtain of light whose folds wander: rays stand on a wavy line and fade upwards."""

    line: Field
    rays: Field
    lower: Colour
    upper: Colour
    height: float
    strength: float
    speed: float

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """Add the light."""
        width, rows = canvas.width // COARSE, canvas.height // COARSE
        across: Field = np.arange(width, dtype=np.float32) / np.float32(width)
        flow = np.float32(moment.seconds * self.speed)
        base = self.sample(self.line, across * 0.30 + flow * 0.010) * 0.30 + 0.34
        base += 0.05 * np.sin(across * 7 + flow * 0.35)
        rays = self.sample(self.rays, across * 0.6 + base * 0.25 - flow * 0.006)
        rays = rays * (0.65 + 0.35 * self.sample(self.line, across * 0.5 + 0.4 + flow * 0.02))
        above = (base[None, :] - np.arange(rows, dtype=np.float32)[:, None] / rows) / self.height
        reach = 0.45 + 0.75 * rays[None, :]
        glow = np.where(above > 0, np.exp(-above / reach * 2.2), np.exp(above * 16))
        glow = glow * (0.18 + 0.82 * rays[None, :] ** 1.6) * self.strength
        share = np.clip(above * 1.1, 0, 1)[:, :, None]
        light = glow[:, :, None] * (self.lower * (1 - share) + self.upper * share)
        sheet = Image.fromarray((np.clip(light, 0, 1) * 255).astype(np.uint8)).resize(canvas.size, BILINEAR)
        canvas.paste(ImageChops.screen(canvas, sheet))

    @staticmethod
    def sample(values: Field, place: NDArray[Any]) -> Field:
        """A long line's values at places 0 to 1 (coming round again), between its points in proportion."""
        at = (place % 1) * (len(values) - 1)
        index = at.astype(np.int32)
        part = (at - index).astype(np.float32)
        found: Field = values[index] * (1 - part) + values[index + 1 - (index == len(values) - 1)] * part
        return found


def around(stage: Stage, *, across: float, octaves: int, sharp: float = 0.0) -> Field:
    """A line whose end meets its beginning."""
    wave = line(stage.random, 4096, across=across, octaves=octaves, sharp=sharp)
    fade = smooth(0, 0.12, np.linspace(0, 1, 4096, dtype=np.float32))
    return wave * fade + wave[::-1] * (1 - fade)


def aurora(stage: Stage) -> Scene:
    """Northern lights above trees, mirrored in a lake in every other picture."""
    stage = replace(stage, palette=stage.palette.by_night())
    palette = stage.palette
    vivid = float(np.ptp(palette.accent)) > 0.4 and int(np.argmax(palette.accent)) > 0
    glow = palette.accent if vivid else np.array([0.36, 0.95, 0.70], np.float32)
    watery = stage.random.random() < 0.55
    horizon = stage.height * (0.66 if watery else 0.86)
    pixels = sky.with_stars(stage, sky.gradient(stage, horizon), horizon=horizon, many=1.2)
    layers: list[Layer] = [sky.plate(pixels)]
    for strength, height in ((0.75, 0.34), (0.95, 0.26)):
        layers.append(
            Curtain(
                around(stage, across=5, octaves=4),
                around(stage, across=90, octaves=4),
                mix(glow, palette.light, 0.15),
                mix(glow, np.array([0.45, 0.25, 0.85], np.float32), 0.65),
                height,
                strength,
                1.0 if strength < 0.9 else -0.8,
            )
        )
    made = ranges(stage, horizon=horizon, foot=horizon, count=2, sharp=0.7, tall=0.13)
    layers += [plate for plate, _ in made]
    layers.append(treeline(stage, base=horizon - 0.01 * stage.height, tall=0.10 if watery else 0.2, depth=0.5))
    if watery:
        layers.append(Water(stage, horizon, calm=0.86, tint=palette.top, depth=0.5, share=0.5))
    return Scene(layers, (0.5, horizon / stage.height))


def starry(stage: Stage) -> Scene:
    """The milky way over mountains and trees."""
    stage = replace(stage, palette=stage.palette.by_night())
    horizon = stage.height * 0.78
    pixels = sky.gradient(stage, horizon)
    pixels = sky.with_stars(stage, pixels, horizon=stage.height * 1.15, many=2.2, band=True)
    layers: list[Layer] = [sky.plate(pixels)]
    for plate, _ in ranges(stage, horizon=horizon, foot=stage.height * 0.94, count=3, sharp=0.8, tall=0.20):
        layers.append(plate)
    mist = sky.mist(
        stage,
        middle=stage.height * 0.88,
        spread_rows=stage.height * 0.08,
        strength=0.35,
        drift=stage.width * 0.008,
        depth=0.6,
    )
    layers += [mist, treeline(stage, base=stage.height * 0.98, tall=0.20, depth=1.2)]
    return Scene(layers, (0.5, 0.7))
