"""Size and length of a film in an ISO container (MP4, MOV) from its own boxes, without a decoder."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Nothing in the boxes that we read is longer.
MOST_BYTES = 256
# Of one box that holds others: more would hold up the process that looks.
MOST_BOXES = 100_000


def measure(path: Path) -> tuple[int, int, float] | None:
    """Width, height and seconds as `moov` names them; None where no track has a picture."""
    seconds, size = 0.0, None
    try:
        with path.open("rb") as file:
            for name, start, end in _boxes(file, 0, path.stat().st_size):
                if name != b"moov":
                    continue
                for inner, at, until in _boxes(file, start, end):
                    if inner == b"mvhd":
                        seconds = _seconds(_read(file, at, until))
                    elif inner == b"trak":
                        size = size or _size(file, at, until)
    except (struct.error, IndexError):
        return None
    return (*size, round(seconds, 3)) if size else None


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each box between two places."""
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            length, head = struct.unpack(">Q", file.read(8))[0], 16
        elif length == 0:
            length = end - at
        if length < head:
            return
        yield name, at + head, min(at + length, end)
        at += length


def _read(file: BinaryIO, at: int, until: int) -> bytes:
    file.seek(at)
    return file.read(min(until - at, MOST_BYTES))


def _seconds(mvhd: bytes) -> float:
    scale, duration = struct.unpack_from(">IQ", mvhd, 20) if mvhd[0] == 1 else struct.unpack_from(">II", mvhd, 12)
    return float(duration / scale) if scale else 0.0


def _size(file: BinaryIO, at: int, until: int) -> tuple[int, int] | None:
    """Width and height of a track as it is shown: 16.16 numbers at the end of its header, turned where it is turned."""
    for name, start, end in _boxes(file, at, until):
        if name == b"tkhd":
            head = _read(file, start, end)
            wide, high = struct.unpack_from(">II", head, len(head) - 8)
            straight = struct.unpack_from(">i", head, len(head) - 44)[0]
            size = (wide >> 16, high >> 16) if straight else (high >> 16, wide >> 16)
            return size if all(size) else None
    return None
