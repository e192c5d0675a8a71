"""Uploads without what a camera wrote into them: the place, the device, the way it was held."""

from pathlib import Path

from django.utils.translation import gettext
from PIL import Image

from gallery.child import run_child
from gallery.files import READERS, FileFacts, UnusableFile, orientation

# What may hold a place besides EXIF itself; behind "mp" is a second picture with all of this of its own.
TELLING = (
    "exif",
    "xmp",
    "XML:com.adobe.xmp",
    "Raw profile type exif",
    "Raw profile type xmp",
    "photoshop",
    "comment",
    "mp",
)

LATE_CHUNKS = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def without_metadata(path: Path, facts: FileFacts) -> Path:
    """The picture upright and without metadata: itself where it has none, else a re-encoded copy beside it.

    Raises UnusableFile when it cannot be decoded.
    """
    with Image.open(path, formats=[READERS[facts.content_type]]) as image:
        tells = any(name in image.info for name in TELLING) or orientation(image) or _tells_in_extension(image)
    if not tells and not _tells_late(path, facts):
        return path
    cleaned = path.with_name("cleaned")
    if run_child("clean", READERS[facts.content_type], str(path), str(cleaned)) is None:
        raise UnusableFile("broken", gettext("The picture cannot be read."))
    return cleaned


def _tells_late(path: Path, facts: FileFacts) -> bool:
    """Whether a PNG may carry EXIF or text behind its pixels, where it is seen only by decoding them."""
    return facts.content_type == "image/png" and any(name in path.read_bytes() for name in LATE_CHUNKS)


def _tells_in_extension(image: Image.Image) -> bool:
    """Whether a GIF carries anything but how often it is played."""
    return not image.info.get("extension", (b"NETSCAPE2.0",))[0].startswith((b"NETSCAPE", b"ANIMEXTS"))
