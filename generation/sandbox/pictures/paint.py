"""From a request to the bytes of a JPEG, PNG, WebP or MP4."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from generation.sandbox.pictures import choosing, film, finish, photo
from generation.sandbox.pictures.request import Request, even

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
# A film is painted at most this large and scaled up from there: its motion is soft anyhow, and time is short.
MOST_FILM_PIXELS = 1024 * 576
MOST_STILL_PIXELS = 2048 * 1152


@dataclass(frozen=True)
class References:
    """Given pictures: a film's first and last frame, and those that only lend their colours."""

    first: bytes | None = None
    last: bytes | None = None
    others: Sequence[bytes] = field(default_factory=tuple)

    @property
    def main(self) -> bytes | None:
        """The one that shape and colours are taken from."""
        return self.first or (self.others[0] if self.others else None)


def render(request: Request, *, index: int, references: References, wanted: Callable[[], bool]) -> bytes:
    """The file's bytes; raises `film.Unwanted` and `photo.UnreadablePicture`."""
    size = request.size()
    if request.matches and references.main is not None:
        given = photo.opened(references.main)
        size = request.size(min(max(given.width / given.height, 0.3), 3.4))
    seed = f"{request.seed} {index}"
    if request.kind == "video":
        return moving(request, seed, size, references, wanted)
    return still(request, seed, size, references)


def still(request: Request, seed: str, size: tuple[int, int], references: References) -> bytes:
    """A picture's bytes."""
    painted = within(size, MOST_STILL_PIXELS)
    picture = choosing.build(request.prompt, seed, painted, references.main).frame(painted)
    if painted != size:
        picture = picture.resize(size, photo.LANCZOS)
    picture = finish.finished(picture, np.random.default_rng(len(request.prompt)))
    file = io.BytesIO()
    options = {"png": {"compress_level": 3}, "jpg": {"quality": 90}, "webp": {"quality": 86, "method": 2}}
    picture.save(file, FORMATS[request.extension], **options[request.extension])
    return file.getvalue()


def moving(
    request: Request, seed: str, size: tuple[int, int], references: References, wanted: Callable[[], bool]
) -> bytes:
    """A film's bytes."""
    painted = within(size, MOST_FILM_PIXELS)
    if references.first is not None:
        scene = photo.scene(references.first, references.last, painted, request.seconds)
    else:
        scene = choosing.build(request.prompt, seed, painted, references.main)
    return film.encode(
        scene, painted=painted, size=size, seconds=request.seconds, rate=request.frames_per_second, wanted=wanted
    )


def within(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """The same shape with at most so many pixels."""
    shrink = sqrt(pixels / (size[0] * size[1]))
    return size if shrink >= 1 else (even(size[0] * shrink), even(size[1] * shrink))
