"""The last touch: darker corners, a little grain."""

import numpy as np
from PIL import Image, ImageChops

from generation.sandbox.pictures.noise import Random


def corners(size: tuple[int, int], strength: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """How bright each pixel stays, 1 in the middle."""
    across = np.linspace(-1, 1, size[0], dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, size[1], dtype=np.float32)[:, None]
    away = (across**2 + down**2) / 2
    return (1 - np.float32(strength) * away**1.5).astype(np.float32)


class Vignette:
    """Darker corners, made once for many frames."""

    def __init__(self, size: tuple[int, int], strength: float = 0.22) -> None:
        mask = Image.fromarray((corners(size, strength) * 255).astype(np.uint8))
        self.mask = Image.merge("RGB", (mask, mask, mask))

    def over(self, picture: Image.Image) -> Image.Image:
        """The picture with dark corners."""
        return ImageChops.multiply(picture, self.mask)


def finished(picture: Image.Image, random: Random, *, grain: float = 0.010) -> Image.Image:
    """A still with its vignette, a soft curve and fine grain."""
    pixels = np.asarray(picture, np.float32) / np.float32(255)
    pixels = pixels * corners(picture.size, 0.26)[:, :, None]
    pixels += 0.05 * (pixels * pixels * (3 - 2 * pixels) - pixels)
    noise = random.standard_normal(pixels.shape[:2], np.float32) * np.float32(grain)
    pixels += noise[:, :, None] * (0.55 + 0.45 * (1 - np.abs(2 * pixels.mean(axis=2, keepdims=True) - 1)))
    return Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))
