"""Mountains, hills and dunes: ridges one behind the other in the haze; lakes and seas below them."""

import numpy as np

from generation.sandbox.pictures import sky
from generation.sandbox.pictures.layers import Glitter, Layer, Plate, Scene, Stage, Water, blended, picture, tinted
from generation.sandbox.pictures.noise import Field, fractal, line, smooth
from generation.sandbox.pictures.palettes import Colour, mix


def below(ridge: Field, top: int, height: int) -> Field:
    """A mask of everything under a ridge, its edge smooth; rows counted from `top`."""
    rows = np.arange(top, top + height, dtype=np.float32)[:, None]
    mask: Field = np.clip(rows - ridge[None, :] + 0.5, 0, 1)
    return mask


def ridge_plate(
    stage: Stage, ridge: Field, *, bottom: float, tone: Colour, haze: Colour, hazy: float, depth: float, rough: float
) -> Plate:
    """A ridge's land from its highest point to `bottom`: gullies, light from one side, mist at its foot."""
    top = max(0, int(ridge.min()) - 2)
    height = max(4, round(bottom) - top)
    width = stage.width
    under = np.arange(top, top + height, dtype=np.float32)[:, None] - ridge[None, :]
    reach = max(float(bottom - ridge.min()), 1.0)
    relief = fractal(stage.random, width, height, across=14, octaves=6, gain=0.62, flat=0.5)
    slope = np.roll(relief, 3, axis=1) - np.roll(relief, -3, axis=1) + 0.6 * (np.roll(relief, 2, axis=0) - relief)
    light = 1 + rough * np.clip(slope * 5, -0.5, 0.5) * smooth(0, 0.06, under / reach)
    rim = 0.10 * np.exp(-np.maximum(under, 0) / (0.012 * stage.height))
    pixels = tinted(np.clip(light + rim, 0.3, 1.6), tone)
    foot = hazy * smooth(0.15, 1.0, np.clip(under, 0, None) / reach)
    return Plate(picture(blended(pixels, haze, foot)), picture(below(ridge, top, height)), top=top, depth=depth)


def ranges(
    stage: Stage, *, horizon: float, foot: float, count: int, sharp: float, tall: float
) -> list[tuple[Plate, Field]]:
    """`count` ranges from the horizon's row to `foot`, each with its ridge."""
    palette, made = stage.palette, []
    haze = mix(palette.low, palette.light, 0.15)
    for number in range(count):
        near = number / max(count - 1, 1)
        shape = line(stage.random, stage.width, across=2.2 + 2.2 * near + stage.random.random(), sharp=sharp, gain=0.46)
        rise = tall * stage.height * (1.0 - 0.50 * near) * stage.random.uniform(0.85, 1.15)
        base = horizon + (foot - horizon) * near**1.25
        ridge = (base + 0.02 * stage.height - shape * rise).astype(np.float32)
        tone = mix(mix(palette.far, haze, 0.55), palette.near, near**0.85)
        last = number == count - 1 and foot > horizon
        bottom = stage.height if last else min(stage.height, base + (0.24 if foot > horizon else 0.04) * stage.height)
        plate = ridge_plate(
            stage,
            ridge,
            bottom=bottom,
            tone=tone,
            haze=haze,
            hazy=0.75 - 0.60 * near,
            depth=0.15 + 0.85 * near,
            rough=0.10 + 0.30 * near,
        )
        made.append((plate, ridge))
    return made


def mountains(stage: Stage) -> Scene:
    """Ranges under a sun, mist between them."""
    return range_scene(stage, sharp=0.85, tall=0.30, count=5)


def hills(stage: Stage) -> Scene:
    """Soft hills, the nearest with trees."""
    return range_scene(stage, sharp=0.0, tall=0.17, count=6, trees=True)


def range_scene(stage: Stage, *, sharp: float, tall: float, count: int, trees: bool = False) -> Scene:
    """Sky, sun, clouds, then range after range with mist in between."""
    horizon = stage.height * stage.random.uniform(0.52, 0.60)
    sun_x = stage.width * stage.random.choice([0.28, 0.38, 0.62, 0.72])
    sun_y = horizon - stage.height * tall * stage.random.uniform(0.75, 1.25)
    layers = open_sky(stage, horizon=horizon, x=sun_x, y=sun_y)
    made = ranges(stage, horizon=horizon, foot=stage.height * 0.93, count=count, sharp=sharp, tall=tall)
    for number, (plate, _) in enumerate(made):
        layers.append(plate)
        if number < count - 1:
            row = horizon + (stage.height * 0.93 - horizon) * (number + 0.75) / count
            way = 1 if number % 2 else -1
            layers.append(
                sky.mist(
                    stage,
                    middle=row,
                    spread_rows=stage.height * 0.09,
                    strength=0.62 - 0.09 * number,
                    drift=way * stage.width * 0.006 * (1 + number / 2),
                    depth=plate.depth,
                )
            )
    if trees:
        layers.append(treeline(stage, base=stage.height * 0.95, tall=0.11, depth=1.2))
    return Scene(layers, (sun_x / stage.width, horizon / stage.height))


def open_sky(stage: Stage, *, horizon: float, x: float, y: float) -> list[Layer]:
    """A sky with its sun, or at night its moon and stars, and clouds."""
    pixels = sky.gradient(stage, horizon)
    radius = stage.unit * stage.random.uniform(0.045, 0.085)
    if stage.palette.dark:
        pixels = sky.with_stars(stage, pixels, horizon=horizon)
        pixels = sky.with_moon(stage, pixels, x=x, y=y * 0.7, radius=radius * 0.8)
    else:
        pixels = sky.with_sun(stage, pixels, x=x, y=y, radius=radius)
    cloud = sky.clouds(
        stage, bottom=horizon * 0.9, amount=float(stage.random.uniform(0.15, 0.75)), drift=stage.width * 0.008
    )
    return [sky.plate(pixels), cloud]


def treeline(stage: Stage, *, base: float, tall: float, depth: float, bottom: float = 1.0) -> Plate:
    """Conifers as a dark fringe from the row `base` down to a share of the height."""
    columns = np.arange(stage.width, dtype=np.float32)
    ground = base + (line(stage.random, stage.width, across=2, octaves=4) - 0.5) * stage.height * 0.05
    ridge = ground.copy()
    size = tall * stage.unit
    for place in np.arange(-size, stage.width + size, size * 0.16):
        middle = place + stage.random.uniform(-0.1, 0.1) * size
        height = size * stage.random.uniform(0.25, 1.0) ** 1.3
        across = np.abs(columns - middle) / (height * 0.24)
        branches = 0.86 + 0.14 * np.abs((across * 6) % 1 - 0.5) * 2
        tip = ground - height * (1 - across * branches)
        ridge = np.where(across < 1, np.minimum(ridge, tip), ridge)
    top = max(0, int(ridge.min()) - 2)
    height_rows = max(4, min(stage.height, round(stage.height * bottom)) - top)
    shade = np.broadcast_to(np.linspace(1.0, 0.55, height_rows, dtype=np.float32)[:, None], (height_rows, stage.width))
    image = picture(tinted(shade, stage.palette.near * np.float32(0.8)))
    return Plate(image, picture(below(ridge.astype(np.float32), top, height_rows)), top=top, depth=depth)


def lake(stage: Stage) -> Scene:
    """Mountains mirrored in still water."""
    horizon = stage.height * stage.random.uniform(0.56, 0.62)
    sun_x = stage.width * stage.random.uniform(0.3, 0.7)
    layers = open_sky(stage, horizon=horizon, x=sun_x, y=horizon - stage.height * 0.24)
    for plate, _ in ranges(stage, horizon=horizon - 2, foot=horizon - 2, count=4, sharp=0.7, tall=0.30):
        layers.append(plate)
    shore = treeline(
        stage, base=horizon - 0.006 * stage.height, tall=0.05, depth=0.3, bottom=horizon / stage.height + 0.03
    )
    layers.append(shore)
    layers.append(
        sky.mist(
            stage,
            middle=horizon - 4,
            spread_rows=stage.height * 0.05,
            strength=0.55,
            drift=stage.width * 0.008,
            depth=0.3,
        )
    )
    layers.append(Water(stage, horizon, calm=0.82, tint=mix(stage.palette.near, stage.palette.middle, 0.35)))
    return Scene(layers, (sun_x / stage.width, horizon / stage.height))


def sea(stage: Stage) -> Scene:
    """The open sea under a low sun, its path of light on the waves."""
    horizon = stage.height * stage.random.uniform(0.46, 0.56)
    sun_x = stage.width * stage.random.uniform(0.35, 0.65)
    layers = open_sky(stage, horizon=horizon, x=sun_x, y=horizon - stage.height * stage.random.uniform(0.03, 0.14))
    water = Water(stage, horizon, calm=0.25, tint=mix(stage.palette.near, stage.palette.top, 0.45), share=0.75)
    down = np.linspace(0, 1, water.height, dtype=np.float32)[:, None]
    away = np.abs(stage.x - sun_x) / (stage.unit * (0.06 + 0.24 * down))
    path = np.exp(-(away**2)) * smooth(1.25, 0.2, down) * np.float32(0.95)
    layers += [water, Glitter(water, path.astype(np.float32), stage.palette.light)]
    return Scene(layers, (sun_x / stage.width, horizon / stage.height))


def dunes(stage: Stage) -> Scene:
    """Dunes with a lit and a shaded side."""
    horizon = stage.height * stage.random.uniform(0.42, 0.52)
    sun_x = stage.width * 0.22
    layers = open_sky(stage, horizon=horizon, x=sun_x, y=horizon * 0.45)
    count = 5
    for number in range(count):
        near = number / (count - 1)
        shape = line(stage.random, stage.width, across=1.4 + 1.0 * (1 - near), octaves=2, gain=0.25)
        base = horizon + (stage.height * 0.98 - horizon) * near**1.2
        ridge = (base + 0.03 * stage.height - shape * stage.height * (0.10 + 0.16 * near)).astype(np.float32)
        layers.append(dune_plate(stage, ridge, near=near, last=number == count - 1))
        if number < count - 1:
            way = stage.width * 0.010
            layers.append(
                sky.mist(
                    stage, middle=base, spread_rows=stage.height * 0.05, strength=0.30 - 0.06 * number, drift=way,
                    depth=0.2 + near,
                )
            )  # fmt: skip
    return Scene(layers, (0.55, horizon / stage.height))


def dune_plate(stage: Stage, ridge: Field, *, near: float, last: bool) -> Plate:
    """One dune: from each crest a soft edge winds down between light and shade; fine ripples in the sand."""
    palette = stage.palette
    top = max(0, int(ridge.min()) - 2)
    bottom = stage.height if last else min(stage.height, int(ridge.max() + 0.16 * stage.height))
    height = max(4, bottom - top)
    under = np.maximum(np.arange(top, top + height, dtype=np.float32)[:, None] - ridge[None, :], 0)
    depth_down = under / stage.height
    wind = fractal(stage.random, stage.width, height, across=2.5, octaves=3, flat=1.5) - 0.5
    shifted = stage.x + under * 0.9 + wind * stage.unit * 0.22 * np.minimum(depth_down * 8, 1)
    steep = np.gradient(ridge) / stage.height * stage.width
    at = np.clip(shifted, 0, len(steep) - 1).astype(np.int32)
    lit = smooth(0.10, -0.10, steep.astype(np.float32)[at])
    ripples = np.sin((under * 1.0 + wind * 260 + stage.x * 0.10) * (0.95 - 0.45 * near)) * 0.03 * near
    sand = mix(palette.far, palette.light, 0.35)
    shade = mix(palette.near, palette.far, 0.35)
    tone = np.broadcast_to(shade, (height, stage.width, 3)).astype(np.float32)
    tone = blended(tone, sand, np.clip(lit * (0.95 - 0.9 * depth_down) + 0.06, 0, 1))
    tone = tone * (1 + ripples * lit + (wind * 0.10))[:, :, None]
    tone = blended(tone, mix(palette.low, palette.light, 0.1), np.full_like(lit, 0.55 * (1 - near) ** 1.3))
    return Plate(picture(tone), picture(below(ridge, top, height)), top=top, depth=0.15 + near)
