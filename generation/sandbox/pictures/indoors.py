"""In the studio: still lifes, window light on a wall, a planet, folds of silk."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from generation.sandbox.pictures import sky
from generation.sandbox.pictures.layers import (
    BILINEAR,
    Layer,
    Moment,
    Plate,
    Scene,
    Stage,
    blended,
    picture,
    rgb,
    tinted,
)
from generation.sandbox.pictures.noise import Field, cells, fractal, line, smooth
from generation.sandbox.pictures.palettes import Colour, mix


def still_life(stage: Stage) -> Scene:
    """A few vessels on a table in soft light from the left."""
    palette, random = stage.palette, stage.random
    table = stage.height * random.uniform(0.66, 0.74)
    wall = mix(palette.middle, palette.top, 0.35)
    light = np.exp(-(((stage.x / stage.width - 0.28) / 0.75) ** 2) - ((stage.y / stage.height - 0.30) / 0.8) ** 2)
    plaster = fractal(random, stage.width, stage.height, across=5, octaves=7, gain=0.6) - 0.5
    pixels = tinted(0.62 + 0.42 * light + 0.06 * plaster, wall)
    board = mix(palette.near, palette.middle, 0.55)
    near = smooth(table - 1, table + 1, stage.y + 0 * stage.x)
    depth = np.clip((stage.y - table) / (stage.height - table), 0, 1)
    wood = fractal(random, stage.width, stage.height, across=3, octaves=6, flat=9) - 0.5
    top = tinted((0.70 + 0.35 * light + 0.10 * depth) * (1 + 0.12 * wood), board)
    pixels = pixels + (top - pixels) * near[:, :, None]
    layers: list[Layer] = [Plate(picture(pixels), depth=0.1)]
    colours = [palette.far, palette.light * 0.95, palette.accent, mix(palette.near, palette.far, 0.4), palette.low]
    count = int(random.integers(3, 6)) if stage.width >= stage.height else 3
    room = min(stage.width * 0.80, stage.height * 1.15)
    order = random.permutation(len(colours))
    places = (np.arange(count) - (count - 1) / 2) * room / count + stage.width / 2
    for number in random.permutation(count):
        x = float(places[number] + random.uniform(-0.12, 0.12) * room / count)
        foot = table + (stage.height - table) * random.uniform(0.22, 0.50)
        tall = min(stage.height * 0.52, room / count * 2.1) * random.uniform(0.55, 1.0)
        layers += vessel(stage, x=x, foot=foot, tall=tall, tone=colours[order[number % len(colours)]])
    return Scene(sorted(layers, key=lambda layer: getattr(layer, "depth", 0)), (0.5, 0.6))


SHAPES = [
    [0.30, 0.36, 0.40, 0.36, 0.26, 0.14, 0.10, 0.10, 0.14],
    [0.26, 0.30, 0.33, 0.35, 0.34, 0.30, 0.24, 0.19, 0.22],
    [0.20, 0.34, 0.42, 0.45, 0.45, 0.42, 0.36, 0.26, 0.06],
    [0.38, 0.36, 0.33, 0.30, 0.27, 0.24, 0.21, 0.19, 0.18],
    [0.14, 0.22, 0.34, 0.42, 0.44, 0.38, 0.24, 0.12, 0.12],
    [0.34, 0.35, 0.35, 0.35, 0.34, 0.26, 0.13, 0.11, 0.13],
]


def vessel(stage: Stage, *, x: float, foot: float, tall: float, tone: Colour) -> list[Layer]:
    """A turned body with its shadow on the table."""
    random = stage.random
    profile = np.array(SHAPES[int(random.integers(len(SHAPES)))], np.float32) * random.uniform(0.85, 1.15)
    rows = int(tall)
    place = np.linspace(len(profile) - 1, 0, rows)
    index = np.clip(place.astype(int), 0, len(profile) - 2)
    part = place - index
    part = part * part * (3 - 2 * part)
    radius = ((profile[index] * (1 - part) + profile[index + 1] * part) * tall * 0.85).astype(np.float32)
    smoothing = max(3, rows // 9) | 1
    radius = np.convolve(np.pad(radius, smoothing // 2, mode="edge"), np.ones(smoothing) / smoothing, "valid")[:rows]
    reach = int(radius.max()) + 3
    across = np.arange(-reach, reach + 1, dtype=np.float32)[None, :] / np.maximum(radius, 1)[:, None]
    # The base is seen a little from above: its lower edge is an ellipse.
    sag = np.sqrt(np.clip(1 - across**2, 0, 1)) * radius[-1] * 0.16
    turn = np.clip(across, -1, 1)
    facing = np.sqrt(np.clip(1 - turn**2, 0, 1))
    light = np.clip(-0.62 * turn + 0.72 * facing, 0, 1)
    shade = 0.20 + 0.95 * light + 0.10 * np.exp(-(((turn - 0.86) / 0.12) ** 2))
    gloss = np.exp(-(((turn + 0.46) / 0.11) ** 2)) * 0.20
    glaze = 1 + 0.05 * (cells(random, across.shape[1], rows, 5, 40) - 0.5)
    pixels = tinted(shade * glaze, tone) + gloss[:, :, None]
    mask = np.clip((1 - np.abs(across)) * radius[:, None] + 0.5, 0, 1)
    extra = int(radius[-1] * 0.16) + 2
    pixels = np.pad(pixels, ((0, extra), (0, 0), (0, 0)), mode="edge")
    last = np.arange(extra, dtype=np.float32)[:, None]
    hem = np.clip(sag[-1][None, :] - last + 0.5, 0, 1) * mask[-1][None, :]
    mask = np.concatenate([mask, hem])
    depth = 0.3 + 0.5 * foot / stage.height
    cast = shadow(stage, x=x, foot=foot, radius=float(radius.max()), tall=tall, depth=depth - 0.25)
    body = Plate(picture(pixels), picture(mask), left=round(x) - reach, top=round(foot - rows), depth=depth)
    return [cast, body]


def shadow(stage: Stage, *, x: float, foot: float, radius: float, tall: float, depth: float) -> Plate:
    """A soft shadow to the right, dark where the body stands."""
    small = (stage.width // 4, stage.height // 4)
    mask = Image.new("L", small, 0)
    pen = ImageDraw.Draw(mask)
    x4, y4, r4 = x / 4, foot / 4, radius / 4
    pen.polygon(
        [
            (x4 - r4 * 0.6, y4 - r4 * 0.10),
            (x4 + tall / 4 * 1.05, y4 - tall / 4 * 0.18),
            (x4 + tall / 4 * 1.10, y4 - tall / 4 * 0.10),
            (x4 + r4 * 0.9, y4 + r4 * 0.16),
        ],
        fill=105,
    )
    mask = mask.filter(ImageFilter.GaussianBlur(stage.unit / 4 * 0.016))
    contact = Image.new("L", small, 0)
    ImageDraw.Draw(contact).ellipse((x4 - r4 * 0.9, y4 - r4 * 0.16, x4 + r4 * 1.15, y4 + r4 * 0.24), fill=190)
    contact = contact.filter(ImageFilter.GaussianBlur(stage.unit / 4 * 0.009))
    both = Image.fromarray(np.maximum(np.asarray(mask), np.asarray(contact)))
    whole = both.resize((stage.width, stage.height), BILINEAR)
    left, top, right, bottom = whole.getbbox() or (0, 0, 2, 2)
    tone = rgb(stage.palette.near * np.float32(0.28))
    return Plate(tone, whole.crop((left, top, right, bottom)), left=left, top=top, depth=depth)


@dataclass(frozen=True)
class WindowLight:
    """Sunlight through a window on a wall, leaves swaying in it."""

    panes: Image.Image
    leaves: Image.Image
    light: Colour

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """Brighten the wall where the panes are and no leaf is."""
        sway = float(np.sin(moment.seconds * 1.1) * 0.010 + np.sin(moment.seconds * 2.3 + 1) * 0.004)
        width, height = canvas.size
        shear = (1, sway * 3, -sway * 2.0 * height, 0, 1, 0)
        leaves = self.leaves.transform(self.leaves.size, Image.Transform.AFFINE, shear, BILINEAR, fillcolor=255)
        mask = Image.fromarray(
            (np.asarray(self.panes, np.uint16) * np.asarray(leaves, np.uint16) // 255).astype(np.uint8)
        )
        zoom, (x, y) = moment.zoom(0.2), moment.centre
        box = (x - x / zoom, y - y / zoom, x + (width - x) / zoom, y + (height - y) / zoom)
        lit = np.asarray(mask.resize(canvas.size, BILINEAR, box=box), np.float32)[:, :, None] / 255
        wall = np.asarray(canvas, np.float32)
        canvas.paste(Image.fromarray(np.clip(wall * (1 + lit * self.light * 1.55), 0, 255).astype(np.uint8)))


def window(stage: Stage) -> Scene:
    """A wall in the afternoon."""
    palette, random = stage.palette, stage.random
    wall = mix(palette.far, palette.near, 0.42)
    plaster = fractal(random, stage.width, stage.height, across=6, octaves=8, gain=0.62) - 0.5
    fall = 1.05 - 0.45 * stage.x / stage.width - 0.25 * stage.y / stage.height
    pixels = tinted(np.clip(fall * (1 + 0.16 * plaster), 0, 1.4), mix(wall, palette.middle, 0.25))
    panes = Image.new("L", (stage.width, stage.height), 0)
    pen = ImageDraw.Draw(panes)
    left, top = stage.width * random.uniform(0.22, 0.34), stage.height * random.uniform(0.12, 0.2)
    wide, tall = stage.unit * 0.30, stage.unit * 0.22
    for column in range(2):
        for row in range(3):
            x = left + column * wide * 1.10
            y = top + row * tall * 1.12 + column * wide * 0.16
            lean = row * tall * 0.38
            pen.polygon(
                [
                    (x + lean, y),
                    (x + wide + lean, y + wide * 0.15),
                    (x + wide + lean + tall * 0.34, y + tall + wide * 0.15),
                    (x + lean + tall * 0.34, y + tall),
                ],
                fill=235,
            )
    panes = panes.filter(ImageFilter.GaussianBlur(stage.unit * 0.005))
    leaves = Image.new("L", (stage.width, stage.height), 255)
    for _ in range(3):
        branch(stage, ImageDraw.Draw(leaves), left + wide * random.uniform(0.4, 2.2), top + tall * 4.2)
    leaves = leaves.filter(ImageFilter.GaussianBlur(stage.unit * 0.007))
    light = mix(palette.light, palette.low, 0.25)
    return Scene([Plate(picture(pixels), depth=0.1), WindowLight(panes, leaves, light)], (0.45, 0.45))


def branch(stage: Stage, pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    """A twig with leaves on both sides, growing upwards."""
    random = stage.random
    step, angle = stage.unit * 0.030, float(random.uniform(-0.35, 0.35))
    for number in range(22):
        ahead = (x + step * np.sin(angle), y - step * np.cos(angle))
        pen.line([(x, y), ahead], fill=70, width=max(1, int(stage.unit * 0.005)))
        x, y = ahead
        angle += float(random.uniform(-0.10, 0.10))
        side = 1 if number % 2 else -1
        tip = angle + side * random.uniform(0.7, 1.1)
        length, wide = stage.unit * random.uniform(0.035, 0.060), stage.unit * 0.011
        along, out = np.array([np.sin(tip), -np.cos(tip)]), np.array([np.cos(tip), np.sin(tip)])
        start = np.array([x, y])
        outline = [
            start,
            start + along * length * 0.5 + out * wide,
            start + along * length,
            start + along * length * 0.5 - out * wide,
        ]
        pen.polygon([(float(point[0]), float(point[1])) for point in outline], fill=70)


@dataclass(frozen=True)
class Globe:
    """A turning planet: its map is looked up for every point of the disc."""

    map: NDArray[np.uint8]
    row: NDArray[np.int32]
    column: Field
    light: Field
    mask: Image.Image
    corner: tuple[int, int]

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """Paste it, turned."""
        width = self.map.shape[1]
        columns = (self.column + moment.seconds * width * 0.012).astype(np.int32) % width
        pixels = self.map[self.row, columns] * self.light[:, :, None]
        body = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        Plate(body, self.mask, left=self.corner[0], top=self.corner[1], depth=0.5).draw(canvas, moment)


def planet(stage: Stage) -> Scene:
    """A planet among stars, with a ring in every other picture."""
    palette, random = stage.palette.by_night(), stage.random
    deep = mix(palette.top, palette.near, 0.5) * np.float32(0.7)
    pixels = np.broadcast_to(deep, (stage.height, stage.width, 3)).astype(np.float32)
    nebula = fractal(random, stage.width, stage.height, across=2.5, octaves=6, gain=0.55)
    pixels = blended(pixels, palette.far * 0.6 + palette.middle * 0.2, smooth(0.45, 1.0, nebula) * 0.6)
    pixels = sky.with_stars(stage, pixels, horizon=stage.height * 4.0, many=1.5)
    radius = stage.unit * random.uniform(0.26, 0.33)
    x, y = stage.width * random.uniform(0.44, 0.56), stage.height * random.uniform(0.46, 0.54)
    layers: list[Layer] = [Plate(picture(pixels), depth=0.0)]
    globe = turning_globe(stage, x=x, y=y, radius=radius)
    if random.random() < 0.6:
        back, front = ring(stage, x=x, y=y, radius=radius)
        layers += [back, globe, front]
    else:
        layers.append(globe)
    return Scene(layers, (x / stage.width, y / stage.height))


def turning_globe(stage: Stage, *, x: float, y: float, radius: float) -> Globe:
    """The planet's map, banded or continental, and the geometry of its disc."""
    palette, random = stage.palette, stage.random
    wide, tall = 1024, 512
    banded = random.random() < 0.5
    ground = fractal(random, wide, tall, across=4, octaves=7, gain=0.55, flat=5 if banded else 1)
    fade = smooth(0, 0.25, np.linspace(0, 1, wide, dtype=np.float32))[None, :]
    ground = ground * fade + ground[:, ::-1] * (1 - fade)
    if banded:
        latitude = np.linspace(0, 1, tall, dtype=np.float32)[:, None]
        ground = line(random, tall * 2, across=12, octaves=3)[
            (np.clip(latitude + (ground - 0.5) * 0.09, 0, 1) * 1023).astype(int)
        ]
    pixels = np.broadcast_to(mix(palette.far, palette.near, 0.35), (tall, wide, 3)).astype(np.float32)
    pixels = blended(pixels, mix(palette.far, palette.accent, 0.4), smooth(0.30, 0.55, ground))
    pixels = blended(pixels, palette.low, smooth(0.55, 0.95, ground) * 0.8)
    size = int(radius * 2) + 4
    span = (np.arange(size, dtype=np.float32) - size / 2) / radius
    across, down = np.broadcast_to(span[None, :], (size, size)), np.broadcast_to(span[:, None], (size, size))
    away = np.hypot(across, down)
    facing = np.sqrt(np.clip(1 - away**2, 0, 1))
    row = np.clip((np.arcsin(np.clip(down, -1, 1)) / np.pi + 0.5) * tall, 0, tall - 1).astype(np.int32)
    column = (np.arctan2(across, np.maximum(facing, 1e-3)) / (2 * np.pi) + 0.5) * wide
    sun = np.clip(-0.62 * across - 0.42 * down + 0.66 * facing, 0, 1)
    light = 0.05 + 1.15 * sun**0.85 + 0.35 * (1 - facing) ** 3 * (sun > 0.05)
    mask = picture(np.clip((1 - away) * radius + 0.5, 0, 1))
    colours = (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return Globe(
        colours,
        row,
        column.astype(np.float32),
        light.astype(np.float32),
        mask,
        (round(x - size / 2), round(y - size / 2)),
    )


def ring(stage: Stage, *, x: float, y: float, radius: float) -> tuple[Plate, Plate]:
    """The far and the near half of a tilted ring."""
    tilt = stage.random.uniform(0.18, 0.34) * stage.random.choice([-1, 1])
    across, down = stage.x - x, stage.y - y
    along, off = across * np.cos(tilt) + down * np.sin(tilt), -across * np.sin(tilt) + down * np.cos(tilt)
    away = np.hypot(along, off / 0.24) / radius
    gaps = line(stage.random, 512, across=14, octaves=3)
    density = gaps[np.clip((away - 1.30) / 0.75 * 511, 0, 511).astype(np.int32)]
    band = smooth(1.30, 1.36, away) * smooth(2.05, 1.98, away) * (0.35 + 0.65 * density)
    tone = picture(tinted(0.55 + 0.5 * density, mix(stage.palette.light, stage.palette.low, 0.5)))
    back, front = band * (off <= 0), band * (off > 0)
    return Plate(tone, picture(back), depth=0.5), Plate(tone, picture(front), depth=0.5)


class Silk:
    """Slow folds of cloth: waves through waves, lit from one side; painted small, since they are soft."""

    def __init__(self, stage: Stage) -> None:
        self.width, self.height = max(64, stage.width // 3), max(64, stage.height // 3)
        self.x = np.linspace(0, stage.width / stage.unit, self.width, dtype=np.float32)[None, :]
        self.y = np.linspace(0, stage.height / stage.unit, self.height, dtype=np.float32)[:, None]
        random, palette = stage.random, stage.palette
        self.phase = random.uniform(0, 6.28, 8).astype(np.float32)
        self.turn = random.uniform(0.7, 1.4, 8).astype(np.float32)
        stops = [
            mix(palette.near, palette.far, 0.45),
            palette.far,
            mix(palette.far, palette.middle, 0.6),
            palette.low,
            palette.light,
        ]
        table = np.stack(
            [np.interp(np.linspace(0, 4, 256), range(5), [stop[part] for stop in stops]) for part in range(3)], 1
        )
        self.table = np.clip(table, 0, 1).astype(np.float32)
        self.steepness = self.height / 5.0
        self.grain = fractal(random, self.width, self.height, across=3, octaves=4) - 0.5

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """The folds at this moment, filling the frame."""
        time, phase, turn = moment.seconds * 0.16, self.phase, self.turn
        x, y = self.x / (1 + moment.push), self.y / (1 + moment.push)
        bend_x = x + 0.30 * np.sin(2.6 * turn[0] * y + phase[0] + time) + 0.10 * np.sin(6.1 * x + phase[1] - time)
        bend_y = y + 0.26 * np.sin(3.1 * turn[2] * x + phase[2] - time) + 0.08 * np.sin(7.3 * y + phase[3] + time)
        wide = bend_x * turn[5] + 0.22 * np.sin(4.4 * turn[4] * bend_y + phase[4] + time * 1.4)
        height = np.sin(5.2 * wide + 2.6 * bend_y + phase[5])
        height = height + 0.50 * np.sin(9.5 * bend_y * turn[6] - 4.0 * wide + phase[6] + time)
        height = height + 0.22 * np.sin(17.0 * wide + 6.0 * bend_y + phase[7]) + 0.06 * self.grain
        slope_y, slope_x = np.gradient(height)
        slope = 0.55 * slope_x + 0.75 * slope_y
        light = 0.50 + 0.10 * height - 0.24 * slope * self.steepness
        shine = np.exp(-(((light - 0.92) / 0.16) ** 2)) * 0.12
        index = (np.clip(light, 0, 1) * 255).astype(np.uint8)
        pixels = self.table[index] + shine[:, :, None]
        canvas.paste(picture(pixels).resize(canvas.size, Image.Resampling.BICUBIC))


def silk(stage: Stage) -> Scene:
    """Folds filling the frame."""
    return Scene([Silk(stage)])
