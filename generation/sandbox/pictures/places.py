"""A city at dusk, a forest in the mist, the sea of clouds."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from generation.sandbox.pictures import sky
from generation.sandbox.pictures.land import below
from generation.sandbox.pictures.layers import Layer, Plate, Scene, Stage, Water, blended, picture, rgb, tinted
from generation.sandbox.pictures.noise import Field, fractal, line, smooth
from generation.sandbox.pictures.palettes import mix


def city(stage: Stage) -> Scene:
    """Towers behind towers with lit windows, in every other picture by the water."""
    watery = stage.random.random() < 0.5
    horizon = stage.height * (0.70 if watery else 1.0)
    pixels = sky.gradient(stage, horizon)
    x = stage.width * stage.random.uniform(0.3, 0.7)
    if stage.palette.dark:
        pixels = sky.with_stars(stage, pixels, horizon=horizon, many=0.5)
        pixels = sky.with_moon(stage, pixels, x=x, y=stage.height * 0.2, radius=stage.unit * 0.05)
    else:
        pixels = sky.with_sun(stage, pixels, x=x, y=horizon * 0.62, radius=stage.unit * 0.07)
    cloud = sky.clouds(stage, bottom=horizon * 0.75, amount=0.4, drift=stage.width * 0.008)
    layers: list[Layer] = [sky.plate(pixels), cloud]
    for number in range(4):
        near = number / 3
        layers.append(towers(stage, horizon=horizon, near=near))
        if number < 3:
            layers.append(
                sky.mist(
                    stage,
                    middle=horizon - stage.height * 0.06 * (3 - number) / 2,
                    spread_rows=stage.height * 0.15,
                    strength=0.55 - 0.12 * number,
                    drift=stage.width * 0.006 * (1 if number % 2 else -1),
                    depth=0.1 + near * 0.5,
                )
            )
    if watery:
        tint = mix(stage.palette.near, stage.palette.top, 0.3)
        layers.append(Water(stage, horizon, calm=0.62, tint=tint, depth=0.6, share=0.55))
    return Scene(layers, (x / stage.width, horizon / stage.height * 0.8))


def towers(stage: Stage, *, horizon: float, near: float) -> Plate:
    """One row of towers down to the horizon, with windows that get larger as they get nearer."""
    random, palette = stage.random, stage.palette
    haze = mix(palette.low, palette.middle, 0.3)
    body = mix(mix(palette.far, haze, 0.65), palette.near, near**0.8)
    tall = stage.height * (0.60 - 0.34 * near) * min(1.0, stage.width / stage.height + 0.3)
    sheet = Image.new("RGBA", (stage.width, int(horizon)), (0, 0, 0, 0))
    pen = ImageDraw.Draw(sheet)
    x = -random.uniform(0, 0.05) * stage.width
    middle = random.uniform(0.35, 0.65) * stage.width
    while x < stage.width:
        wide = stage.unit * random.uniform(0.035, 0.10) * (0.75 + 0.55 * near)
        centre = float(np.exp(-(((x + wide / 2 - middle) / (stage.width * 0.30)) ** 2)))
        high = tall * random.uniform(0.30, 0.75) * (0.45 + 0.75 * centre)
        tower(stage, pen, x, x + wide, horizon - high, body, near)
        x += wide * random.uniform(0.80, 1.12)
    pixels = np.asarray(sheet.convert("RGB"), np.float32) / np.float32(255)
    rows = np.linspace(0, 1, sheet.height, dtype=np.float32)[:, None]
    foot = smooth(0.55, 1.05, rows) * (0.6 - 0.5 * near)
    shaded = blended(pixels, haze, np.broadcast_to(foot, pixels.shape[:2]))
    mask = sheet.getchannel("A")
    box = mask.getbbox() or (0, 0, stage.width, sheet.height)
    whole = (0, box[1], stage.width, sheet.height)
    return Plate(picture(shaded).crop(whole), mask.crop(whole), top=box[1], depth=0.15 + near)


def tower(
    stage: Stage,
    pen: ImageDraw.ImageDraw,
    left: float,
    right: float,
    top: float,
    body: NDArray[np.float32],
    near: float,
) -> None:
    """A block, its crown, and its windows: whole floors are lit or dark together more often than not."""
    random = stage.random
    base = mix(body, stage.palette.light, float(random.uniform(0.0, 0.06)))
    fill = tuple(int(min(value, 1) * 255) for value in base)
    foot = stage.height
    pen.rectangle((left, top, right, foot), fill=(*fill, 255))
    shade = tuple(int(value * 0.86) for value in fill)
    pen.rectangle((left + (right - left) * 0.62, top, right, foot), fill=(*shade, 255))
    kind = random.random()
    if kind < 0.25:
        inset = (right - left) * 0.2
        pen.rectangle((left + inset, top - inset * 1.3, right - inset, top), fill=(*fill, 255))
    elif kind < 0.42:
        middle, thin = (left + right) / 2, max(1.0, stage.unit / 700)
        pen.rectangle((middle - thin, top - (right - left) * 0.8, middle + thin, top), fill=(*fill, 255))
    size = max(1.4, stage.unit * (0.0026 + 0.0040 * near))
    lamp = mix(stage.palette.accent, stage.palette.light, float(random.uniform(0, 0.7)))
    busy = random.uniform(0.10, 0.42) * (1.25 if stage.palette.dark else 0.8)
    for y in np.arange(top + size * 2, foot, size * 2.3):
        floor = busy * random.choice([0.15, 0.8, 1.6])
        for x in np.arange(left + size, right - size * 1.4, size * 1.9):
            if random.random() < floor:
                glow = mix(base, lamp, float(random.uniform(0.45, 1.0)) * (0.55 + 0.45 * near))
                tone = tuple(int(min(value, 1) * 255) for value in glow)
                pen.rectangle((x, y, x + size * 0.9, y + size * 1.1), fill=(*tone, 255))


def forest(stage: Stage) -> Scene:
    """Trunks behind trunks in bright mist."""
    palette = stage.palette
    glow_x = stage.width * stage.random.uniform(0.35, 0.65)
    distance = np.hypot((stage.x - glow_x) / stage.width * 1.3, (stage.y - stage.height * 0.42) / stage.height)
    air = mix(palette.low, palette.light, 0.35)
    pixels = np.broadcast_to(mix(palette.middle, palette.far, 0.4), (stage.height, stage.width, 3)).astype(np.float32)
    pixels = blended(pixels, air, np.exp(-((distance * 1.9) ** 2)).astype(np.float32))
    layers: list[Layer] = [sky.plate(pixels)]
    for number in range(4):
        near = number / 3
        layers.append(trunks(stage, near=near))
        if number < 3:
            layers.append(
                sky.mist(
                    stage,
                    middle=stage.height * (0.64 + 0.07 * number),
                    spread_rows=stage.height * 0.28,
                    strength=0.72 - 0.18 * number,
                    drift=stage.width * 0.008 * (1 if number % 2 else -1),
                    depth=0.2 + near,
                )
            )
    layers.insert(3, rays(stage, glow_x))
    return Scene(layers, (glow_x / stage.width, 0.6))


def trunks(stage: Stage, *, near: float) -> Plate:
    """A row of trunks with bark and boughs on mossy ground."""
    random, palette = stage.random, stage.palette
    tone = mix(mix(palette.far, palette.low, 0.45), palette.near, near**0.7)
    pad = round(stage.width * 0.06)
    width = stage.width + 2 * pad
    sheet = Image.new("L", (width, stage.height), 0)
    pen = ImageDraw.Draw(sheet)
    x = random.uniform(0, 0.05) * stage.width
    while x < width:
        wide = stage.unit * (0.006 + 0.034 * near**1.4) * random.uniform(0.6, 1.5)
        lean = random.uniform(-0.02, 0.02) * stage.height
        edge = wide * 0.62
        pen.polygon(
            [(x - edge + lean, 0), (x + edge + lean, 0), (x + wide, stage.height), (x - wide, stage.height)], 255
        )
        for _ in range(int(random.integers(2, 7))):
            y, way = random.uniform(0.02, 0.62) * stage.height, random.choice([-1, 1])
            reach = stage.unit * random.uniform(0.03, 0.10) * (0.4 + near)
            start = x + lean * (1 - y / stage.height)
            pen.line(
                [(start, y), (start + way * reach * 0.6, y - reach * 0.25), (start + way * reach, y - reach * 0.15)],
                255,
                width=max(1, int(wide * 0.16)),
            )
        x += stage.unit * random.uniform(0.04, 0.26) * (0.45 + 1.3 * near)
    mask = np.asarray(sheet.filter(ImageFilter.GaussianBlur(0.6)), np.float32) / 255
    ground = (stage.height * (0.80 + 0.13 * near) + line(random, width, across=5) * stage.height * 0.05).astype(
        np.float32
    )
    mask = np.maximum(mask, below(ground, 0, stage.height))
    drift = stage.width * 0.0015 * (0.3 + near)
    image: Image.Image | tuple[int, int, int] = rgb(tone)
    if near > 0.6:  # farther away nobody sees the bark
        bark = fractal(random, width, stage.height, across=80, octaves=3, flat=0.12)
        image = picture(tinted(0.72 + 0.5 * bark * (0.4 + 0.6 * near), tone))
    return Plate(image, picture(mask), left=-pad, depth=0.1 + 1.1 * near, drift=drift)


def rays(stage: Stage, x: float) -> Plate:
    """Slanting light."""
    angle = np.arctan2(stage.x - x, stage.y + stage.height * 0.35)
    wave = line(stage.random, 720, across=26, octaves=3)
    index = np.clip((angle / np.pi + 0.5) * 719, 0, 719).astype(np.int32)
    strength = smooth(0.5, 1.0, wave[index]) * smooth(1.1, 0.1, stage.y / np.float32(stage.height)) * np.float32(0.34)
    return Plate(picture(tinted(strength, mix(stage.palette.light, stage.palette.accent, 0.3))), depth=0.2, light=True)


def cloudscape(stage: Stage) -> Scene:
    """Above the clouds: towering banks lit from one side."""
    horizon = stage.height * 0.45
    x = stage.width * stage.random.uniform(0.3, 0.7)
    pixels = sky.gradient(stage, horizon * 1.3)
    if stage.palette.dark:
        pixels = sky.with_stars(stage, pixels, horizon=horizon)
        pixels = sky.with_moon(stage, pixels, x=x, y=horizon * 0.4, radius=stage.unit * 0.06)
    else:
        pixels = sky.with_sun(stage, pixels, x=x, y=horizon * 0.75, radius=stage.unit * 0.07)
    layers: list[Layer] = [sky.plate(pixels)]
    for number in range(5):
        layers.append(bank(stage, near=number / 4, sun_x=x))
    return Scene(layers, (x / stage.width, 0.45))


def bank(stage: Stage, *, near: float, sun_x: float) -> Plate:
    """One bank of cumulus: billows are noise turned inside out, lit where they face the sun."""
    palette = stage.palette
    pad = round(stage.width * 0.10)
    width = stage.width + 2 * pad
    crest = stage.height * (0.42 + 0.44 * near)
    top = max(0, int(crest - stage.height * 0.16))
    height = min(stage.height - top, int(stage.height * 0.44)) if near < 1 else stage.height - top
    body = billows(stage, width, height, across=5 - 2.2 * near)
    outline = line(stage.random, width, across=3.2, octaves=4)
    rows = (np.arange(top, top + height, dtype=np.float32)[:, None] - crest) / stage.height
    solid = rows * 6.5 + body * 1.25 + outline[None, :] * 0.75 - 0.72
    mask = smooth(0.0, 0.16, solid)
    towards = np.gradient(body, axis=0) * -1.0 + np.gradient(body, axis=1) * np.sign(sun_x - stage.width / 2 + 1) * 0.7
    lit = np.clip(0.42 + towards * stage.unit * 0.085 + 0.55 * np.exp(-np.maximum(solid, 0) * 1.6), 0, 1)
    shade = mix(mix(palette.middle, palette.far, 0.5), palette.low, 0.35 * (1 - near))
    tone = np.broadcast_to(shade, (height, width, 3)).astype(np.float32)
    tone = blended(tone, mix(palette.light, palette.low, 0.35 * (1 - near)), lit * 0.92)
    drift = stage.width * 0.004 * (1 + 2 * near)
    return Plate(picture(tone), picture(mask), left=-pad, top=top, depth=0.1 + near * 0.9, drift=drift)


def billows(stage: Stage, width: int, height: int, *, across: float) -> Field:
    """Round heaps upon heaps, 0 to 1."""
    total = np.zeros((height, width), np.float32)
    share = 1.0
    for octave in range(5):
        # Every octave is seen through the ones before: without that the heaps stand in rows.
        sheet = fractal(stage.random, width, height, across=across * 1.9**octave, octaves=1)
        bend = (total * np.float32(0.35 * width / across / 1.9**octave)).astype(np.int32)
        columns = np.clip(np.arange(width)[None, :] + bend, 0, width - 1)
        sheet = np.take_along_axis(sheet, columns, axis=1)
        total += np.float32(share) * sheet
        share *= 0.5
    return total / np.float32(total.max())
