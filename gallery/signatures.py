"""What the first bytes of a file say it is, and whether its last ones are there."""

import os
import struct
from typing import BinaryIO

# Brands of still pictures and of sound in the ISO container: no film, whatever else they hold.
AVIF_BRANDS = {b"avif", b"avis"}
NOT_FILM = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"M4A ", b"M4B ", b"crx "}

# Chunks, boxes or blocks that are looked at in one file: more would hold up the process that looks.
MOST_STEPS = 100_000


def sniff(head: bytes) -> str:
    """The content type that the first 64 bytes prove, or an empty string; neither name nor header is asked."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head:
        return "video/webm"
    return ""


def _brand(head: bytes) -> str:
    major = head[8:12]
    brands = {major, *(head[at : at + 4] for at in range(16, min(struct.unpack(">I", head[:4])[0], len(head)), 4))}
    if brands & AVIF_BRANDS and major in AVIF_BRANDS | {b"mif1", b"msf1"}:
        return "image/avif"
    if major in NOT_FILM:
        return ""
    return "video/quicktime" if major == b"qt  " else "video/mp4"


def is_whole(file: BinaryIO, content_type: str) -> bool:
    """Whether the end of the file is where its own structure says: a cut download is not."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    walk = {
        "image/jpeg": _jpeg_ends,
        "image/png": _png_ends,
        "image/gif": lambda file, size: gif_frames(file, most=0) is not None,
        "image/webp": _riff_ends,
        "video/webm": _webm_ends,
    }.get(content_type, _boxes_end)
    try:
        return bool(walk(file, size))
    except (struct.error, IndexError):
        return False


def _jpeg_ends(file: BinaryIO, size: int) -> bool:
    """The end marker may be followed by a little padding, or by a second picture with an end of its own."""
    file.seek(max(size - 65536, 0))
    return file.read().rfind(b"\xff\xd9") > 0


def _png_ends(file: BinaryIO, size: int) -> bool:
    at: int = 8
    for _ in range(MOST_STEPS):
        if at + 12 > size:
            break
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        at += 12 + length
        if name == b"IEND":
            return bool(at <= size)
    return False


def _riff_ends(file: BinaryIO, size: int) -> bool:
    length: int = struct.unpack("<I", file.read(8)[4:])[0]
    return bool(length + 8 <= size)


def _boxes_end(file: BinaryIO, size: int) -> bool:
    """Walk the top-level boxes of an ISO container (MP4, MOV, AVIF)."""
    at, names = 0, set()
    for _ in range(MOST_STEPS):
        if at + 8 > size:
            break
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = struct.unpack(">Q", file.read(8))[0]
        elif length == 0:
            length = size - at
        if length < 8:
            return False
        names.add(name)
        at += length
    return at == size and not names.isdisjoint({b"moov", b"meta"})


def _webm_ends(file: BinaryIO, size: int) -> bool:
    """Header element, then one segment; a segment of unknown size (a live recording) ends where the file does."""
    file.seek(4)
    file.seek(_vint(file)[0], os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return False
    length, unknown = _vint(file)
    return unknown or file.tell() + length <= size


def _vint(file: BinaryIO) -> tuple[int, bool]:
    first = file.read(1)[0]
    width = 9 - first.bit_length()
    if width > 8:
        raise IndexError("no such length")
    value = int.from_bytes(bytes([first & (0xFF >> width)]) + file.read(width - 1))
    return value, value == (1 << 7 * width) - 1


def webp_frames(file: BinaryIO, *, most: int) -> int:
    """Frames of a WebP by its chunks, without a decoder, which would walk through all of them: at most `most` + 1."""
    file.seek(12)
    frames = 0
    for _ in range(MOST_STEPS):
        head = file.read(8)
        if len(head) < 8 or frames > most:
            break
        frames += head[:4] == b"ANMF"
        length = struct.unpack("<I", head[4:])[0]
        file.seek(length + length % 2, os.SEEK_CUR)
    return frames


def gif_frames(file: BinaryIO, *, most: int) -> int | None:
    """Frames of a GIF without decoding one: None when it is cut, `most` + 1 when there are more (0: no bound).

    Pillow would walk through all of them first, which a file of a million empty frames makes long. Of one with very
    many blocks the last byte tells whether it is cut.
    """
    file.seek(10)
    flags = file.read(3)[0]
    file.seek(3 << (flags & 7) + 1 if flags & 0x80 else 0, os.SEEK_CUR)
    frames = steps = 0
    while (block := file.read(1)) == b"\x2c" or block == b"\x21":
        if block == b"\x2c":
            frames += 1
            if most and frames > most:
                return frames
            flags = file.read(9)[8]
            file.seek(3 << (flags & 7) + 1 if flags & 0x80 else 0, os.SEEK_CUR)
        file.seek(1, os.SEEK_CUR)
        while length := file.read(1)[0]:
            file.seek(length, os.SEEK_CUR)
            steps += 1
        steps += 1
        if steps > MOST_STEPS:
            file.seek(-1, os.SEEK_END)
            return max(frames, most + 1) if file.read(1) == b"\x3b" else None
    return frames if block == b"\x3b" else None
