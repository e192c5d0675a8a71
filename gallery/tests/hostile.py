"""Files that mean harm, made in memory: bombs, polyglots, lies, and halves."""

import gzip
import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from gallery.tests import samples

SCRIPT = b"<script>parent.document.title='owned'</script>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>" + SCRIPT + b"</svg>"
HTML = b"<!doctype html><html><body>" + SCRIPT + b"</body></html>"


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(*chunks: bytes) -> bytes:
    """A small PNG with these chunks behind its header."""
    whole = samples.picture("PNG")
    return whole[:33] + b"".join(chunks) + whole[33:]


def text_bomb() -> bytes:
    """A compressed text of 128 MiB."""
    return png_with(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(128 << 20), 9)))


def profile_bomb() -> bytes:
    """A colour profile of 128 MiB."""
    return png_with(chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(128 << 20), 9)))


def wide(width: int = 64_000, height: int = 700) -> bytes:
    """A whole PNG of one bit a pixel, far wider than anything that is made."""
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def many_frames_png(frames: int = 100_000) -> bytes:
    """A PNG that says that it moves through so many frames."""
    return png_with(chunk(b"acTL", struct.pack(">II", frames, 0)))


def riff(name: bytes, data: bytes) -> bytes:
    """One chunk of a RIFF file."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def many_frames_webp(frames: int = 100_000) -> bytes:
    """A WebP of so many frames of one pixel."""
    still = samples.picture("WEBP", size=(1, 1), lossless=True)[12:]
    frame = riff(b"ANMF", bytes(12) + b"\x0a\0\0\0" + still)
    head = riff(b"VP8X", b"\x02" + bytes(9)) + riff(b"ANIM", bytes(6))
    return riff(b"RIFF", b"WEBP" + head + frame * frames)


def many_frames_gif(frames: int = 1_000_000) -> bytes:
    """A GIF of so many frames without anything in them."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    return screen + (b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\0") * frames + b"\x3b"


def large_gif() -> bytes:
    """A GIF whose screen is as large as can be said, around one pixel."""
    whole = samples.picture("GIF", size=(1, 1))
    return whole[:6] + b"\xff\xff\xff\xff" + whole[10:]


def large_jpeg() -> bytes:
    """A JPEG whose header promises 65,500 × 65,500 pixels."""
    whole = samples.picture("JPEG")
    at = whole.index(b"\xff\xc0")
    return whole[: at + 5] + struct.pack(">HH", 65_500, 65_500) + whole[at + 9 :]


def many_scans(scans: int = 2_000) -> bytes:
    """A progressive JPEG that goes over all of its pixels again and again."""
    whole = samples.picture("JPEG", size=(6000, 6000), progressive=True)
    at = whole.rindex(b"\xff\xda")
    return whole[:at] + whole[at:-2] * scans + b"\xff\xd9"


def jpeg_with(comment: bytes) -> bytes:
    """A JPEG with a comment behind its first marker."""
    whole = samples.picture("JPEG")
    return whole[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + whole[2:]


def archive() -> bytes:
    """A ZIP with a page in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("index.html", HTML)
    return buffer.getvalue()


def large_avif() -> bytes:
    """An AVIF that says that it is 65,535 × 65,535."""
    whole = samples.picture("AVIF")
    at = whole.index(b"ispe") + 8
    return whole[:at] + struct.pack(">II", 65_535, 65_535) + whole[at + 8 :]


def film(format: str = "mp4", codec: str = "libx264") -> bytes:
    """A real film."""
    with tempfile.TemporaryDirectory() as folder:
        return samples.film(Path(folder) / "film", format=format, codec=codec).read_bytes()


def box(name: bytes, data: bytes) -> bytes:
    """One box of an MP4."""
    return struct.pack(">I", len(data) + 8) + name + data


FTYP = box(b"ftyp", b"isom\0\0\x02\0isomiso2avc1mp41")


def without_index() -> bytes:
    """A film of which only the pictures were written, not where they are."""
    return film().replace(b"moov", b"free")


def large_film() -> bytes:
    """A film whose track and sample say that it is 65,535 × 65,535; its pictures know better."""
    whole = film()
    at = whole.index(b"avc1", whole.index(b"stsd")) + 28
    whole = whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :]
    at = whole.index(b"tkhd") + 80
    return whole[:at] + struct.pack(">II", 65_535 << 16, 65_535 << 16) + whole[at + 8 :]


def endless_film() -> bytes:
    """A film that says that it lasts for ever."""
    whole = film()
    at = whole.index(b"mvhd") + 16
    return whole[:at] + struct.pack(">II", 1, 0xFFFFFFFF) + whole[at + 8 :]


# Name → bytes, the type as which a paid output is kept (empty: it is not), and whether it can be shown then.
FILES: dict[str, tuple[Callable[[], bytes], str, bool]] = {
    "a 64,000 × 64,000 PNG": (samples.bomb, "image/png", False),
    "a 12,000 × 12,000 PNG": (lambda: samples.bomb(side=12_000), "image/png", False),
    "a 64,000 px wide PNG": (wide, "image/png", True),
    "a PNG with 128 MiB of text": (text_bomb, "", False),
    "a PNG with a profile of 128 MiB": (profile_bomb, "", False),
    "a PNG of 100,000 frames": (many_frames_png, "image/png", True),
    "a PNG that is cut": (lambda: samples.picture(size=(640, 480))[:-40], "", False),
    "a PNG with a chunk of 4 GiB": (lambda: samples.picture()[:33] + b"\xff\xff\xff\xffIDAT" + bytes(64), "", False),
    "a PNG with a page behind it": (lambda: samples.picture() + HTML, "image/png", True),
    "a WebP of 100,000 frames": (many_frames_webp, "image/webp", True),
    "a WebP that is cut": (lambda: samples.picture("WEBP", size=(640, 480))[:-40], "", False),
    "a WebP that is sound": (lambda: riff(b"RIFF", b"WAVE" + riff(b"data", bytes(64))), "", False),
    "a GIF of 1,000,000 frames": (many_frames_gif, "image/gif", True),
    "a GIF of 65,535 × 65,535": (large_gif, "image/gif", False),
    "a GIF that is an archive too": (lambda: samples.picture("GIF") + archive(), "image/gif", True),
    "a GIF that is a script too": (lambda: b"GIF89a/*" + bytes(8) + b"*/=1;alert(1)//;", "", False),
    "a JPEG of 65,500 × 65,500": (large_jpeg, "image/jpeg", False),
    "a JPEG of 2,000 scans": (many_scans, "image/jpeg", False),
    "a JPEG with a script in its comment": (lambda: jpeg_with(HTML), "image/jpeg", True),
    "a JPEG that is a PDF too": (lambda: jpeg_with(b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>"), "image/jpeg", True),
    "a JPEG of nothing": (lambda: b"\xff\xd8\xff\xe0" + b"\xff\xd9" * 9, "", False),
    "an AVIF of 65,535 × 65,535": (large_avif, "", False),
    "an AVIF that is cut": (lambda: samples.picture("AVIF", size=(640, 480))[:-40], "", False),
    "a drawing with a script": (lambda: SVG, "", False),
    "a packed drawing": (lambda: gzip.compress(SVG), "", False),
    "a page": (lambda: HTML, "", False),
    "a page behind a byte order mark": (lambda: b"\xef\xbb\xbf" + HTML, "", False),
    "XML with an entity": (
        lambda: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
        "",
        False,
    ),
    "a PostScript program": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "", False),
    "an archive": (archive, "", False),
    "a program": (lambda: b"MZ" + bytes(256), "", False),
    "a playlist of a file": (lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "", False),
    "a list of films": (lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", "", False),
    "a film without index": (without_index, "", False),
    "a film of 30,000,000 empty boxes": (lambda: FTYP + box(b"free", b"") * 30_000_000, "", False),
    "a PNG of 10,000,000 empty chunks": (lambda: png_with(chunk(b"zzZz", b"") * 10_000_000), "", False),
    "a film that is cut": (lambda: film()[:-200], "", False),
    "a film of 65,535 × 65,535": (large_film, "video/mp4", True),
    "a film that lasts for ever": (endless_film, "video/mp4", True),
    "a film that is a page": (lambda: FTYP + box(b"mdat", HTML) + box(b"moov", HTML), "", False),
    "a WebM that is cut": (lambda: film("webm", "libvpx")[:-300], "", False),
    "a Matroska film": (lambda: film("matroska"), "", False),
    "nothing": (lambda: b"", "", False),
}
