"""The child that decodes: a program of its own that imports nothing but the two decoders.

measure CONTAINER SOURCE · size FORMAT SOURCE · image SOURCE THUMBNAIL
film SOURCE THUMBNAIL POSTER · clean FORMAT SOURCE TARGET
Prints what it found as JSON; any exit status but 0 means that nothing it wrote counts.
"""

import json
import resource
import sys
import warnings
from typing import Any

from PIL import Image, ImageOps, ImageStat

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "AVIF"]
MEMORY_BYTES = 1536 * 1024 * 1024
CPU_SECONDS = 25
WRITTEN_BYTES = 256 * 1024 * 1024
MOST_PIXELS = 50_000_000
THUMBNAIL_SIDE = 512
POSTER_SIDE = 1280
# A film may fade in from black; its poster is the first frame among these with something to see.
POSTER_CANDIDATES = 60
LEAST_MEAN, LEAST_SPREAD = 16.0, 8.0


def bound() -> None:
    """Limits that the kernel keeps, whatever the decoders are led to do."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN_BYTES, WRITTEN_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def image(source: str, thumbnail: str) -> dict[str, Any]:
    """A thumbnail at most 512 px wide and high, and the placeholder colours."""
    with Image.open(source, formats=FORMATS) as opened:
        small = shrunk(opened, THUMBNAIL_SIDE)
    save(small, thumbnail)
    return {"placeholder": placeholder(small)}


def measure(container: str, source: str) -> dict[str, Any]:
    """Width and height of a film as it is shown, and its seconds. More pixels than we take are not decoded."""
    import av

    # The container is named, so that no playlist format gets a chance to open other addresses.
    options = {"protocol_whitelist": "file"}
    with av.open(source, format=container, options=options, metadata_errors="replace") as opened:
        stream = opened.streams.video[0]
        stream.codec_context.thread_count = 2
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


def film(source: str, thumbnail: str, poster: str) -> dict[str, Any]:
    """The poster at most 1280 px wide and high, its thumbnail, and the placeholder colours."""
    import av

    with av.open(source, options={"protocol_whitelist": "file"}) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 2
        best, most = None, -1.0
        for number, frame in enumerate(container.decode(stream)):
            statistics = ImageStat.Stat(still(frame.reformat(width=64, height=36, format="gray")))
            mean, spread = statistics.mean[0], statistics.stddev[0]
            if spread > most:
                best, most = frame, spread
            if (mean >= LEAST_MEAN and spread >= LEAST_SPREAD) or number + 1 == POSTER_CANDIDATES:
                break
        if best is None:
            raise ValueError("no frame")
        picture = still(best).rotate(best.rotation, expand=True)
    picture.thumbnail((POSTER_SIDE, POSTER_SIDE), reducing_gap=2.0)
    save(picture, poster)
    small = shrunk(picture, THUMBNAIL_SIDE)
    save(small, thumbnail)
    return {"placeholder": placeholder(small)}


def still(frame: Any) -> Image.Image:
    """One frame of a film as a picture."""
    picture: Image.Image = frame.to_image()
    return picture


def clean(format: str, source: str, target: str) -> dict[str, Any]:
    """The picture (all of its frames) upright, with its colours and nothing else."""
    with Image.open(source, formats=[format]) as opened:
        profile = opened.info.get("icc_profile")
        moving = getattr(opened, "n_frames", 1) > 1
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


def shrunk(picture: Image.Image, side: int) -> Image.Image:
    """A copy within `side` pixels, upright, in colours that WebP can hold."""
    profile = picture.info.get("icc_profile") if picture.mode in {"RGB", "RGBA", "P"} else None
    picture.thumbnail((side, side), reducing_gap=2.0)
    upright = ImageOps.exif_transpose(picture)
    seen = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    seen.info = {"icc_profile": profile} if profile else {}
    return seen


def save(picture: Image.Image, target: str) -> None:
    """Write a WebP of the quality that all derivatives have."""
    picture.save(target, "WEBP", quality=80, method=4, icc_profile=picture.info.get("icc_profile", b""))


def placeholder(picture: Image.Image) -> str:
    """The mean colours of the upper, middle and lower third as 18 hex digits."""
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        picture = Image.alpha_composite(ground, picture)
    thirds = picture.convert("RGB").resize((1, 3), Image.Resampling.BOX)
    return thirds.tobytes().hex()


OPERATIONS = {"measure": measure, "size": size, "image": image, "film": film, "clean": clean}

if __name__ == "__main__":
    bound()
    operation: Any = OPERATIONS[sys.argv[1]]
    sys.stdout.write(json.dumps(operation(*sys.argv[2:])))
