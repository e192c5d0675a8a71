"""A given picture as a scene: the film of it begins with that very picture."""

import io
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from generation.sandbox.pictures.layers import BILINEAR, Moment, Scene

LANCZOS = Image.Resampling.LANCZOS


class UnreadablePicture(Exception):
    """A reference that is no picture."""


def opened(data: bytes) -> Image.Image:
    """The picture, upright, RGB; raises `UnreadablePicture`."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise UnreadablePicture("could not read an input image") from None


@dataclass(frozen=True)
class Photo:
    """A picture that fills the frame; towards the end of a film the last picture, if there is one, takes its place."""

    first: Image.Image
    last: Image.Image | None
    seconds: float

    def draw(self, canvas: Image.Image, moment: Moment) -> None:
        """Push in slowly, drifting a little."""
        size = canvas.size
        frame = self.first.resize(size, BILINEAR, box=self.box(size, moment.zoom(0.6)))
        if self.last is not None and self.seconds:
            part = min(max((moment.seconds / self.seconds - 0.35) / 0.55, 0.0), 1.0)
            end = self.last.resize(size, BILINEAR, box=self.box(size, moment.zoom(0.6) - moment.push * 0.9 * part))
            frame = Image.blend(frame, end, part * part * (3 - 2 * part))
        canvas.paste(frame)

    @staticmethod
    def box(size: tuple[int, int], zoom: float) -> tuple[float, float, float, float]:
        """The part of the picture seen at that zoom."""
        width, height = size
        left, top = (width - width / zoom) * 0.5, (height - height / zoom) * 0.45
        return left, top, left + width / zoom, top + height / zoom


def scene(first: bytes, last: bytes | None, size: tuple[int, int], seconds: float) -> Scene:
    """The scene of one or two given pictures, cut to the frame's shape."""
    fitted = ImageOps.fit(opened(first), size, LANCZOS)
    return Scene([Photo(fitted, ImageOps.fit(opened(last), size, LANCZOS) if last else None, seconds)])
