"""Pictures and films made in memory, small and real."""

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image


def picture(
    format: str = "PNG", *, size: tuple[int, int] = (64, 36), colour: str = "#316c67", frames: int = 1, **options: Any
) -> bytes:
    """An encoded picture of one colour; with more `frames` each a little different."""
    buffer = io.BytesIO()
    first, *others = [Image.new("RGB", size, colour) for _ in range(frames)]
    for number, other in enumerate(others):
        other.putpixel((number % size[0], 0), (number % 256, 255, 0))
    if others:
        options |= {"save_all": True, "append_images": others}
    first.save(buffer, format, **options)
    return buffer.getvalue()


def photograph(*, size: tuple[int, int] = (64, 36), orientation: int = 6) -> bytes:
    """A JPEG as a telephone writes it: lying on its side, with the place it was taken at."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return picture("JPEG", size=size, exif=exif)


def film(
    path: Path, *, size: tuple[int, int] = (64, 36), seconds: float = 1, format: str = "mp4", codec: str = "libx264"
) -> Path:
    """A film of ten frames a second: black for its first tenth, then a moving gradient."""
    with av.open(str(path), "w", format=format) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(int(seconds * 10)):
            pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
            if number >= 1:
                pixels[:, :, 0] = np.linspace(40, 250, size[0], dtype=np.uint8)
                pixels[:, :, 1] = 60 + number
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def bomb(*, side: int = 64_000) -> bytes:
    """A PNG whose header promises `side` × `side` pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(200_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
