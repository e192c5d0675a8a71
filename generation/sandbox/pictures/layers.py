"""What a scene is made of: plates that move with the camera, and surfaces that live by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, sin
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from generation.sandbox.pictures.noise import Field, Random, fractal
from generation.sandbox.pictures.palettes import Colour, Palette

BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True)
class Stage:
    """The size in pixels, the palette and the randomness that a scene is built with."""

    width: int
    height: int
    palette: Palette
    random: Random

    @property
    def x(self) -> Field:
        """A row of pixel columns, 1 × width."""
        return np.arange(self.width, dtype=np.float32)[None, :]

    @property
    def y(self) -> Field:
        """A column of pixel rows, height × 1."""
        return np.arange(self.height, dtype=np.float32)[:, None]

    @property
    def unit(self) -> float:
        """The shorter side: what sizes of things are measured by."""
        return float(min(self.width, self.height))


@dataclass(frozen=True)
class Moment:
    """A point of a film: seconds since its start, and how far the camera has pushed in (0: not at all)."""

    seconds: float
    push: float
    centre: tuple[float, float]

    def zoom(self, depth: float) -> float:
        """How much larger something at that depth (0 far, 1 near) appears."""
        return 1 + self.push * (0.35 + depth)


class Layer(Protocol):
    """Draws itself over what is there."""

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """Change the canvas."""


@dataclass(frozen=True)
class Scene:
    """Layers from far to near; `centre` (shares of width and height) is where the camera goes."""

    layers: Sequence[Layer]
    centre: tuple[float, float] = (0.5, 0.55)

    def frame(self, size: tuple[int, int], *, seconds: float = 0.0, push: float = 0.0) -> Image.Image:
        """The picture at one moment."""
        canvas = Image.new("RGB", size)
        moment = Moment(seconds, push, (self.centre[0] * size[0], self.centre[1] * size[1]))
        for layer in self.layers:
            layer.draw(canvas, moment)
        return canvas


def picture(pixels: NDArray[Any]) -> Image.Image:
    """Values 0 to 1 as an image, RGB or L."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))


def tinted(shade: Field, value: Colour) -> NDArray[np.float32]:
    """A colour by a field of brightness."""
    return shade[:, :, None] * value[None, None, :]


def blended(first: NDArray[np.float32], second: Colour, share: Field) -> NDArray[np.float32]:
    """A colour laid over pixels by a field of shares."""
    return first + (second[None, None, :] - first) * share[:, :, None]


@dataclass(frozen=True)
class Plate:
    """A painted sheet, or one plain colour under a mask; its place at `left`, `top` of the unmoved frame.

    `depth` says how near it is (0 far, 1 near), `drift` how it wanders by itself (px/s to the right). `light` adds
    its colours to what is there instead of covering it.
    """

    image: Image.Image | tuple[int, int, int]
    mask: Image.Image | None = None
    left: int = 0
    top: int = 0
    depth: float = 0.0
    drift: float = 0.0
    light: bool = False

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """Scale the part that is in the frame and lay it over the canvas."""
        sheet = self.image if isinstance(self.image, Image.Image) else self.mask
        assert sheet is not None
        zoom, (centre_x, centre_y) = moment.zoom(self.depth), moment.centre
        # As far as the sheet reaches beyond the frame, then back.
        room = -self.left * 0.9
        shift = room * sin(self.drift * moment.seconds / room) if room > 0 else 0.0
        x = reach(self.left + shift, sheet.width, centre_x, zoom, canvas.width)
        y = reach(self.top, sheet.height, centre_y, zoom, canvas.height)
        if x is None or y is None:
            return
        size, box = (x[1] - x[0], y[1] - y[0]), (x[2], y[2], x[3], y[3])
        mask = self.mask.resize(size, BILINEAR, box=box) if self.mask is not None else None
        if not isinstance(self.image, Image.Image):
            canvas.paste(self.image, (x[0], y[0], x[1], y[1]), mask)
            return
        part = self.image.resize(size, BILINEAR, box=box)
        if self.light:
            part = ImageChops.screen(canvas.crop((x[0], y[0], x[1], y[1])), part)
        canvas.paste(part, (x[0], y[0]), mask)


def reach(start: float, length: int, centre: float, zoom: float, limit: int) -> tuple[int, int, float, float] | None:
    """Along one axis: first and last pixel in the frame, and the part of the sheet that falls on them."""
    first = max(0, ceil(centre + (start - centre) * zoom))
    last = min(limit, floor(centre + (start + length - centre) * zoom))
    if last <= first:
        return None
    lower = (first - centre) / zoom + centre - start
    upper = (last - centre) / zoom + centre - start
    return first, last, min(max(0.0, lower), length - 1e-3), min(float(length), upper)


def rgb(value: Colour) -> tuple[int, int, int]:
    """A colour as three bytes."""
    red, green, blue = (int(min(max(float(part), 0), 1) * 255) for part in value)
    return red, green, blue


class Water:
    """A surface from `horizon` down that mirrors what is drawn above it, in waves that come nearer and run."""

    def __init__(
        self, stage: Stage, horizon: float, *, calm: float, tint: Colour, depth: float = 0.3, share: float = 0.45
    ) -> None:
        """`calm` from 0 (open sea) to 1 (mirror); `share` of the tint at the nearest edge."""
        self.top = round(horizon)
        self.height = stage.height - self.top
        self.depth, self.calm = depth, calm
        random, width = stage.random, stage.width
        down = np.linspace(0, 1, self.height, dtype=np.float32)[:, None]
        # Waves get longer and taller towards us: the rows of a flat texture are spread by perspective.
        rows = 150 * np.log1p((1 / (0.02 + down * 0.98) - 1).ravel() * 0.55)
        self.waves = []
        for across, flat in ((9, 9.0), (22, 12.0)):
            sheet = fractal(random, (width + 1) // 2 + 128, 512, across=across, octaves=4, gain=0.55, flat=flat) - 0.5
            self.waves.append(sheet)
        self.rows = rows
        self.size = (0.012 + 0.10 * (1 - calm)) * stage.height * (0.12 + down**0.8)
        self.columns = (width + 1) // 2
        self.x = np.arange(width, dtype=np.int32)[None, :]
        self.fade = picture(np.broadcast_to(np.minimum(share * (0.35 + 0.65 * down**0.7), 1), (self.height, width)))
        self.tint = rgb(tint)

    def surface(self, seconds: float) -> Field:
        """The waves' heights about 0 for every pixel, at one moment."""
        total: Field = np.zeros((self.height, self.columns), np.float32)
        for sheet, speed, flow in zip(self.waves, (6.0, -5.0), (7.0, 12.0), strict=True):
            place = (self.rows + seconds * flow) % 510
            rows, shift = place.astype(np.int32), round(64 + speed * seconds / 2) % 128
            part = (place - rows).astype(np.float32)[:, None]
            seen = sheet[:, shift : shift + self.columns]
            total += seen[rows] * (1 - part) + seen[rows + 1] * part
        # Every second column is enough for waves that are much wider than high.
        return np.repeat(total, 2, axis=1)[:, : self.x.shape[1]]

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """Mirror, ripple, tint."""
        zoom = moment.zoom(self.depth)
        top = min(canvas.height - 2, round(moment.centre[1] + (self.top - moment.centre[1]) * zoom))
        height = min(self.height, canvas.height - top)
        above = np.asarray(canvas.convert("RGBA")).view(np.uint32)[:, :, 0]
        waves = self.surface(moment.seconds)[:height]
        down = np.arange(height, dtype=np.float32)[:, None]
        rows = np.clip(top - 1 - down - waves * self.size[:height], 0, top - 1).astype(np.int32)
        columns = np.clip(self.x + (waves * self.size[:height] * 0.5).astype(np.int32), 0, canvas.width - 1)
        mirrored = np.take(above.ravel(), rows * canvas.width + columns)
        sheet = Image.fromarray(mirrored.view(np.uint8).reshape(height, canvas.width, 4)).convert("RGB")
        sheet.paste(self.tint, (0, 0), self.fade.crop((0, 0, canvas.width, height)))
        canvas.paste(sheet, (0, top))


@dataclass(frozen=True)
class Glitter:
    """Sunlight on the water: bright where waves tilt to it, in a path under the sun."""

    water: Water
    path: Field
    light: Colour

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """Add the sparks."""
        top = round(moment.centre[1] + (self.water.top - moment.centre[1]) * moment.zoom(self.water.depth))
        height = min(self.water.height, canvas.height - top)
        waves = self.water.surface(moment.seconds * 1.6 + 3)[:height]
        sparks = np.clip((waves + self.path[:height] * 0.55 - 0.30) * 6, 0, 1) * self.path[:height] ** 0.7
        mask = Image.fromarray((sparks * 255).astype(np.uint8))
        canvas.paste(rgb(self.light), (0, top), mask)
