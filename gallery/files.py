"""Bytes in, facts out: what a file is, how large, how long, and its hash."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext
from PIL import Image

from gallery import boxes
from gallery.child import run_child
from gallery.signatures import gif_frames, is_whole, sniff, webp_frames

EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
}
# Only these readers are ever tried: Pillow's others (EPS, FITS, …) run programs or unpack bombs.
READERS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
}
CONTAINERS = {"video/mp4": "mov", "video/quicktime": "mov", "video/webm": "matroska"}
MOST_PIXELS = 50_000_000
MOST_FRAMES = 300
MOST_IMAGE_BYTES = 128 * 1024 * 1024
# EXIF orientations that lie on their side.
SIDEWAYS = {5, 6, 7, 8}
ORIENTATION = 0x0112

# For the whole process: the filters of `warnings.catch_warnings` are not safe between threads.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


class UnusableFile(Exception):
    """Not a picture or film that we keep. `code` is for programs, str() is one sentence for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True)
class FileFacts:
    """Pixels are as shown (turned as the file asks); seconds are None for pictures."""

    kind: str
    content_type: str
    extension: str
    size_bytes: int
    sha256: str
    width: int
    height: int
    duration_seconds: float | None


def inspect(path: Path, *, keep_oversized: bool = False, sha256: str = "") -> FileFacts:
    """The facts of the file at `path`, in bounded memory; raises UnusableFile for what we do not keep.

    With `keep_oversized` a whole file is kept by what its own header says, though it is too large to be shown or
    our decoder cannot read it: for files that were paid for. `sha256` is for those who have summed it up already.
    """
    with path.open("rb") as file:
        content_type = sniff(file.read(64))
        if not content_type:
            raise _unknown(path)
        if not is_whole(file, content_type):
            raise UnusableFile("truncated", gettext("The file is incomplete: its end is missing."))
        try:
            width, height, duration = _measure(file, path, content_type)
        except UnusableFile as refused:
            if not keep_oversized:
                raise
            width, height, duration = _read_header(path, content_type, refused)
        return FileFacts(
            kind="image" if content_type in READERS else "video",
            content_type=content_type,
            extension=EXTENSIONS[content_type],
            size_bytes=path.stat().st_size,
            sha256=sha256 or _hash(file),
            width=width,
            height=height,
            duration_seconds=duration,
        )


def _unknown(path: Path) -> UnusableFile:
    if path.stat().st_size == 0:
        return UnusableFile("empty", gettext("The file is empty."))
    return UnusableFile(
        "unknown_type", gettext("The file is not a JPEG, PNG, WebP, GIF or AVIF picture, nor a film we know.")
    )


def _measure(file: BinaryIO, path: Path, content_type: str) -> tuple[int, int, float | None]:
    if content_type in READERS:
        return (*_measure_image(file, content_type, path.stat().st_size), None)
    return _measure_film(path, content_type)


def _read_header(path: Path, content_type: str, refused: UnusableFile) -> tuple[int, int, float | None]:
    """What a picture of any size, or a film that our decoder did not survive, says of itself; else `refused`."""
    if content_type in READERS:
        found = None if refused.code == "broken" else run_child("size", READERS[content_type], str(path))
        if found is None:
            raise refused
        return found["width"], found["height"], None
    measured = boxes.measure(path) if CONTAINERS[content_type] == "mov" else None
    if measured is None:
        raise refused
    return measured


def _measure_image(file: BinaryIO, content_type: str, size_bytes: int) -> tuple[int, int]:
    # The WebP and AVIF readers take the whole file into memory when they open it.
    if size_bytes > MOST_IMAGE_BYTES:
        raise UnusableFile("too_large", gettext("The picture is larger than 128 MiB."))
    # Counted here: their decoders would walk through all of them only to say how many they are.
    counted = {"image/gif": gif_frames, "image/webp": webp_frames}.get(content_type)
    if counted and (counted(file, most=MOST_FRAMES) or 0) > MOST_FRAMES:
        raise _too_many_frames()
    file.seek(0)
    try:
        with Image.open(file, formats=[READERS[content_type]]) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise _too_many_pixels()
            if not counted and getattr(image, "n_frames", 1) > MOST_FRAMES:
                raise _too_many_frames()
            sideways = orientation(image) in SIDEWAYS
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _too_many_pixels() from None
    except UnusableFile:
        raise
    except Exception as error:
        # Pillow's readers raise whatever broken bytes lead them to (OSError, SyntaxError, struct.error, KeyError …).
        raise UnusableFile("broken", gettext("The picture cannot be read.")) from error
    return (height, width) if sideways else (width, height)


def orientation(image: Image.Image) -> int | None:
    """The EXIF orientation of an opened picture. `getexif` of a PNG would decode the whole of it first."""
    exif = Image.Exif()
    if raw := image.info.get("exif"):
        exif.load(raw)
    found: int | None = exif.get(ORIENTATION)
    return found


def _too_many_pixels() -> UnusableFile:
    return UnusableFile("too_many_pixels", gettext("The picture has more than 50 million pixels."))


def _too_many_frames() -> UnusableFile:
    return UnusableFile(
        "too_many_frames", gettext("The picture has more than %(most)s frames.") % {"most": MOST_FRAMES}
    )


def _measure_film(path: Path, content_type: str) -> tuple[int, int, float]:
    found = run_child("measure", CONTAINERS[content_type], str(path))
    if found is None:
        raise UnusableFile("broken", gettext("The film cannot be read."))
    if not 0 < found["width"] * found["height"] <= MOST_PIXELS:
        raise UnusableFile("too_many_pixels", gettext("The film has no frames of a size we can show."))
    return found["width"], found["height"], found["seconds"]


def _hash(file: io.BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()
