"""Frames to an H.264 MP4 that starts to play before it is loaded whole."""

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from generation.sandbox.pictures.finish import Vignette
from generation.sandbox.pictures.layers import Scene

PUSH = 0.085
LOOK_EVERY_FRAMES = 8


class Unwanted(Exception):
    """The prediction ended while its film was being painted."""


def encode(
    scene: Scene,
    *,
    painted: tuple[int, int],
    size: tuple[int, int],
    seconds: float,
    rate: int,
    wanted: Callable[[], bool],
    quality: int = 19,
) -> bytes:
    """The film of a scene, painted at one size and shown at another; raises `Unwanted`."""
    frames = max(1, round(seconds * rate))
    vignette = Vignette(painted)
    with tempfile.TemporaryDirectory() as folder:
        # Moving the index to the front (faststart) needs a file that can be read again.
        path = Path(folder) / "film.mp4"
        container: Any = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, rate)
        stream.options = {"preset": "veryfast", "crf": str(quality), "profile": "high", "tune": "film"}
        stream.codec_context.thread_count = 1
        try:
            for number in range(frames):
                if number % LOOK_EVERY_FRAMES == 0 and not wanted():
                    raise Unwanted
                moment = number / rate
                picture = scene.frame(painted, seconds=moment, push=PUSH * eased(number / frames) * seconds / 5)
                frame = av.VideoFrame.from_ndarray(np.asarray(vignette.over(picture)), format="rgb24")
                if painted != size:
                    frame = frame.reformat(*size, format="yuv420p", interpolation="BICUBIC")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        finally:
            container.close()
        return path.read_bytes()


def eased(share: float) -> float:
    """A slow start, then an even pace."""
    return share * share * (2 - share) if share < 1 else 1.0
