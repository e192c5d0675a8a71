"""The child that decodes: a program of its own that imports nothing but the two decoders.

measure CONTAINER SOURCE · size FORMAT SOURCE · clean FORMAT SOURCE TARGET
image FORMAT SOURCE FOLDER · film CONTAINER SOURCE FOLDER · preview FORMAT|CONTAINER SOURCE TARGET
Prints what it found as JSON; any exit status but 0 means that nothing it wrote counts.
"""

import json
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

# Thumbnails are WebP: where Pillow does not know it yet, it loads all of its forty formats to find it.
from PIL import Image, ImageOps, ImageStat, WebPImagePlugin  # noqa: F401  (loading it is its use)

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "AVIF"]
MEMORY_BYTES = 1536 * 1024 * 1024
CPU_SECONDS = 25
# Longer than whoever started it waits: it ends by itself where that process is gone.
WALL_SECONDS = 40
WRITTEN_BYTES = 256 * 1024 * 1024
MOST_PIXELS = 50_000_000
# The longest sides of the thumbnails. The second is the one that is shown where nobody says how wide it will be.
SIDES = (320, 640, 1280)
# A film may fade in from black; its poster is the first frame among these with something to see.
POSTER_CANDIDATES = 60
LEAST_MEAN, LEAST_SPREAD = 16.0, 8.0
# A preview: so long, so many frames in a second at most, so wide or high.
PREVIEW_MILLISECONDS, PREVIEW_STEP, PREVIEW_SIDE = 4000, 66, 480
MOST_DECODED = 600
CLOCK = Fraction(1, 1000)


def bound() -> None:
    """Limits that the kernel keeps, whatever the decoders are led to do."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN_BYTES, WRITTEN_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(WALL_SECONDS)
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def image(format: str, source: str, folder: str) -> dict[str, Any]:
    """Thumbnails, the placeholder colours, and whether there is more than one frame."""
    with Image.open(source, formats=[format]) as opened:
        moving = is_moving(opened, format)
        picture = shrunk(opened, SIDES[-1])
    return {"moving": moving, **thumbnails(picture, folder)}


def film(container: str, source: str, folder: str) -> dict[str, Any]:
    """Thumbnails of the first frame with something to see, and the placeholder colours."""
    best, most = None, -1.0
    for number, frame in enumerate(frames(container, source)):
        statistics = ImageStat.Stat(still(frame.reformat(width=64, height=36, format="gray")))
        mean, spread = statistics.mean[0], statistics.stddev[0]
        if spread > most:
            best, most = frame, spread
        if (mean >= LEAST_MEAN and spread >= LEAST_SPREAD) or number + 1 == POSTER_CANDIDATES:
            break
    if best is None:
        raise ValueError("no frame")
    picture = still(best).rotate(best.rotation, expand=True)
    picture.thumbnail((SIDES[-1], SIDES[-1]), reducing_gap=2.0)
    return {"moving": True, **thumbnails(picture, folder)}


def is_moving(picture: Image.Image, format: str) -> bool:
    """Whether there is more than one frame; a camera's second picture behind a JPEG is none."""
    return format != "JPEG" and bool(getattr(picture, "is_animated", False))


def thumbnails(picture: Image.Image, folder: str) -> dict[str, Any]:
    """Write `<width>.webp` in each size that does not enlarge; their widths, from the smallest, and the colours."""
    widths: list[int] = []
    for side in sorted({min(side, max(picture.size)) for side in SIDES}):
        small = picture.copy()
        small.thumbnail((side, side), reducing_gap=2.0)
        # Twice as fast as the usual method, and larger by a thirtieth.
        small.save(f"{folder}/{small.width}.webp", "WEBP", quality=80, method=2, icc_profile=profile_of(small))
        widths.append(small.width)
    return {"widths": widths, "placeholder": placeholder(picture)}


def measure(container: str, source: str) -> dict[str, Any]:
    """Width and height of a film as it is shown, and its seconds. More pixels than we take are not decoded."""
    with opened_film(container, source) as opened:
        stream = opened.streams.video[0]
        width, height = stream.codec_context.width, stream.codec_context.height
        if 0 < width * height <= MOST_PIXELS and next(opened.decode(stream)).rotation % 180:
            width, height = height, width
        seconds = 0.0
        if opened.duration:
            seconds = opened.duration / 1_000_000
        elif stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
    return {"width": width, "height": height, "seconds": round(seconds, 3)}


def size(format: str, source: str) -> dict[str, Any]:
    """Width and height of a picture of any size as it is shown, from its header."""
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(source, formats=[format]) as opened:
        exif = Image.Exif()
        if raw := opened.info.get("exif"):
            exif.load(raw)
        width, height = opened.size
        if exif.get(0x0112) in {5, 6, 7, 8}:
            width, height = height, width
    return {"width": width, "height": height}


def clean(format: str, source: str, target: str) -> dict[str, Any]:
    """The picture (all of its frames) upright, with its colours and nothing else."""
    with Image.open(source, formats=[format]) as opened:
        profile = opened.info.get("icc_profile")
        moving = is_moving(opened, format)
        options: dict[str, Any] = {"save_all": True} if moving else {}
        if format in {"JPEG", "WEBP", "AVIF"}:
            options["quality"] = 95
        if moving:
            options |= {name: opened.info[name] for name in ("duration", "loop") if name in opened.info}
        upright = opened if moving else ImageOps.exif_transpose(opened)
        for name in [name for name in upright.info if name not in {"transparency", "duration", "loop", "background"}]:
            del upright.info[name]
        upright.save(target, format, icc_profile=profile, exif=b"", **options)
    return {}


def preview(reader: str, source: str, target: str) -> dict[str, Any]:
    """The first seconds, small and without sound, as an MP4 that begins to play before it is there."""
    import av

    moments = picture_moments(reader, source) if reader in FORMATS else film_moments(reader, source)
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as made:
        stream: Any = None
        for milliseconds, picture in moments:
            if stream is None:
                stream = made.add_stream("libx264", rate=15, options={"crf": "29", "preset": "veryfast"})
                stream.width, stream.height = picture.size
                stream.pix_fmt, stream.codec_context.time_base, stream.thread_count = "yuv420p", CLOCK, 2
            frame: Any = as_frame(picture)
            frame.pts, frame.time_base = milliseconds, CLOCK
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
    return {}


def film_moments(container: str, source: str) -> Iterator[tuple[int, Image.Image]]:
    """Milliseconds and small pictures of a film's first seconds, at an even pace."""
    begin, due = None, 0
    for number, frame in enumerate(frames(container, source)):
        at = round((frame.time or 0) * 1000)
        begin = at if begin is None else begin
        if at - begin >= PREVIEW_MILLISECONDS or number == MOST_DECODED:
            return
        if at - begin >= due:
            due = at - begin + PREVIEW_STEP
            width, height = even_size(frame.width, frame.height)
            small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
            yield at - begin, still(small).rotate(frame.rotation, expand=True)


def picture_moments(format: str, source: str) -> Iterator[tuple[int, Image.Image]]:
    """The same of a moving picture."""
    at = due = 0
    with Image.open(source, formats=[format]) as opened:
        for number in range(MOST_DECODED):
            # Not asked for their number: a GIF's would be counted by reading through all of it.
            try:
                opened.seek(number)
            except EOFError:
                return
            if at >= due:
                due = at + PREVIEW_STEP
                yield at, opened.convert("RGB").resize(even_size(*opened.size), Image.Resampling.BOX)
            # As browsers do: what names no time, or next to none, is shown for a tenth of a second.
            shown = round(opened.info.get("duration", 0))
            at += shown if shown > 10 else 100
            if at >= PREVIEW_MILLISECONDS:
                return


def even_size(width: int, height: int) -> tuple[int, int]:
    """Within the side of a preview, never larger, each a multiple of two as the encoder wants it."""
    scale = min(1.0, PREVIEW_SIDE / max(width, height))
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def opened_film(container: str, source: str) -> Any:
    """The film, its container named, so that no playlist format gets a chance to open other addresses."""
    import av

    opened = av.open(source, format=container, options={"protocol_whitelist": "file"}, metadata_errors="replace")
    opened.streams.video[0].codec_context.thread_count = 2
    return opened


def frames(container: str, source: str) -> Iterator[Any]:
    """The frames of a film one after the other, unless they have more pixels than we take."""
    with opened_film(container, source) as opened:
        stream = opened.streams.video[0]
        if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
            raise ValueError("too many pixels")
        yield from opened.decode(stream)


def still(frame: Any) -> Image.Image:
    """One frame of a film as a picture."""
    picture: Image.Image = frame.to_image()
    return picture


def as_frame(picture: Image.Image) -> Any:
    """One picture as a frame of a film."""
    import av

    make: Any = av.VideoFrame.from_image
    return make(picture)


def shrunk(picture: Image.Image, side: int) -> Image.Image:
    """A copy within `side` pixels, upright, in colours that WebP can hold."""
    profile = picture.info.get("icc_profile") if picture.mode in {"RGB", "RGBA", "P"} else None
    if picture.mode in {"P", "PA", "1"}:
        # Numbers of colours have no mean.
        picture = in_colours(picture)
    elif picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    picture.thumbnail((side, side), reducing_gap=2.0)
    seen = in_colours(ImageOps.exif_transpose(picture))
    seen.info = {"icc_profile": profile} if profile else {}
    return seen


def in_colours(picture: Image.Image) -> Image.Image:
    """In red, green, blue, and where it has any, in transparency."""
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def profile_of(picture: Image.Image) -> bytes:
    """What its colours mean; empty where it does not say."""
    profile: bytes = picture.info.get("icc_profile", b"")
    return profile


def placeholder(picture: Image.Image) -> str:
    """The mean colours of the upper, middle and lower third as 18 hex digits."""
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        picture = Image.alpha_composite(ground, picture)
    thirds = picture.convert("RGB").resize((1, 3), Image.Resampling.BOX)
    return thirds.tobytes().hex()


OPERATIONS = {"measure": measure, "size": size, "image": image, "film": film, "preview": preview, "clean": clean}

if __name__ == "__main__":
    bound()
    operation: Any = OPERATIONS[sys.argv[1]]
    sys.stdout.write(json.dumps(operation(*sys.argv[2:])))
