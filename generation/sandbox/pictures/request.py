"""What is to be painted, read from a prediction's input whatever its model calls things."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Literal

IMAGE_PIXELS = {"1K": 1024**2, "2K": 2048**2, "3K": 3072**2, "4K": 4096**2, "0.25": 512**2, "0.5 MP": 720**2}
FILM_LINES = {"360p": 360, "480p": 480, "540p": 540, "720p": 720, "1080p": 1080, "4k": 2160}
EXTENSIONS = {"jpg": "jpg", "jpeg": "jpg", "png": "png", "webp": "webp"}
DEFAULT_RATIO = {"image": (1, 1), "video": (16, 9)}
MOST_PIXELS = 2048**2  # a picture larger than that is shown no better on a desk, and costs seconds
MOST_OUTPUTS = 15


@dataclass(frozen=True, kw_only=True)
class Request:
    """A still or a film of `width` × `height` (even numbers), `seconds` long; `matches` takes the reference's shape."""

    kind: Literal["image", "video"]
    prompt: str
    seed: str
    ratio: tuple[int, int]
    matches: bool
    pixels: int
    extension: str
    seconds: float = 0.0
    count: int = 1
    frames_per_second: int = 24

    def size(self, ratio: float | None = None) -> tuple[int, int]:
        """Width and height in pixels, of the asked ratio or of the given one."""
        share = ratio or self.ratio[0] / self.ratio[1]
        return even(sqrt(self.pixels * share)), even(sqrt(self.pixels / share))

    def small(self, variant: int) -> "Request":
        """The same shape and length, tiny, its content one of a few."""
        return replace(self, pixels=256 * 144, prompt=f"variant {variant}", seed="", matches=False, count=1)


def even(value: float) -> int:
    """The nearest even whole number, at least 2: what H.264 with 4:2:0 can hold."""
    return max(2, 2 * round(value / 2))


def read_request(kind: str, model: str, input: Mapping[str, Any]) -> Request:
    """A request from a model's input; anything odd takes its default."""
    film = kind == "video"
    prompt = next((str(input[name]) for name in ("prompt", "text", "caption") if input.get(name)), "")
    word = str(input.get("aspect_ratio", ""))
    ratio = ratio_of(word) or (ratio_of(f"{input.get('width')}:{input.get('height')}") if exact(input) else None)
    return Request(
        kind="video" if film else "image",
        prompt=prompt,
        seed=f"{model} {input.get('seed', '')}",
        ratio=ratio or DEFAULT_RATIO[kind],
        matches=ratio is None or (film and has_first_frame(input)),
        pixels=film_pixels(input, ratio or (16, 9)) if film else image_pixels(input),
        extension="mp4" if film else EXTENSIONS.get(str(input.get("output_format", "jpg")).lower(), "jpg"),
        seconds=film_seconds(input) if film else 0.0,
        count=1 if film else image_count(input),
    )


def ratio_of(word: str) -> tuple[int, int] | None:
    """`16:9` or `1024x768` as two numbers."""
    found = re.fullmatch(r"(\d{1,5})[:x](\d{1,5})", word)
    if not found or "0" in found.groups():
        return None
    return int(found[1]), int(found[2])


def exact(input: Mapping[str, Any]) -> bool:
    """Whether a width and a height count: beside a size class they are for the custom one only."""
    return bool(input.get("size", "custom") == "custom")


def has_first_frame(input: Mapping[str, Any]) -> bool:
    """Whether a picture is given that a film starts from; its shape then wins over the asked one."""
    return any(input.get(name) for name in ("image", "start_image", "first_frame_image", "input_image"))


def film_seconds(input: Mapping[str, Any]) -> float:
    """The asked duration between 1 and 30 seconds, from seconds or frames; 5 where none is asked."""
    rate = input.get("frames_per_second", 24)
    frames = input.get("num_frames")
    asked = frames / rate if isinstance(frames, int) and isinstance(rate, int) and rate else input.get("duration", 5)
    return min(max(float(asked), 1.0), 30.0) if isinstance(asked, int | float) and asked > 0 else 5.0


def film_pixels(input: Mapping[str, Any], ratio: tuple[int, int]) -> int:
    """As many as a 16:9 film of that many lines has, whatever the shape."""
    word = str(input.get("resolution") or input.get("quality") or "720p").lower()
    lines = min(FILM_LINES.get(word, 720), 1080)
    return lines * lines * 16 // 9


def image_pixels(input: Mapping[str, Any]) -> int:
    """The area of the asked size class, at most MOST_PIXELS."""
    width, height = input.get("width"), input.get("height")
    if isinstance(width, int) and isinstance(height, int) and exact(input):
        return min(width * height, MOST_PIXELS)
    word = str(input.get("resolution") or input.get("size") or input.get("megapixels") or "1K")
    return min(IMAGE_PIXELS.get(word, 1024**2), MOST_PIXELS)


def image_count(input: Mapping[str, Any]) -> int:
    """How many pictures are asked for, by whichever name."""
    asked = input.get("num_outputs") or input.get("number_of_images") or 1
    if input.get("sequential_image_generation") == "auto":
        asked = input.get("max_images", 1)
    return min(max(asked, 1), MOST_OUTPUTS) if isinstance(asked, int) else 1
