"""From a request to the bytes of a JPEG, PNG, WebP or MP4."""

import io
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy
from PIL import Image

from generation.sandbox.pictures.request import Request

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}


class Unwanted(Exception):
    """The prediction ended while its film was being painted."""


def render(request: Request, *, index: int, references: Sequence[bytes], wanted: Callable[[], bool]) -> bytes:
    """The file's bytes; raises `Unwanted`."""
    seed = zlib.crc32(f"{request.prompt} {request.seed} {index}".encode())
    generator = numpy.random.default_rng(seed)
    width, height = request.size()
    ends = generator.integers(0, 255, (2, 3))
    ramp = numpy.linspace(0, 1, height)[:, None, None]
    pixels = numpy.broadcast_to(ends[0] * (1 - ramp) + ends[1] * ramp, (height, width, 3)).astype(numpy.uint8)
    file = io.BytesIO()
    if request.kind == "image":
        Image.fromarray(pixels).save(file, FORMATS[request.extension])
        return file.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        encode(path, request, pixels, wanted)
        return path.read_bytes()


def encode(path: Path, request: Request, pixels: Any, wanted: Callable[[], bool]) -> None:
    """Write the film to a file: moving its index to the front (faststart) needs a real one."""
    height, width = pixels.shape[:2]
    container: Any = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
    stream = container.add_stream("libx264", rate=request.frames_per_second)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    for number in range(round(request.seconds * request.frames_per_second)):
        if number % 12 == 0 and not wanted():
            raise Unwanted
        frame = av.VideoFrame.from_ndarray(numpy.roll(pixels, number, axis=0), format="rgb24")
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
    container.close()
