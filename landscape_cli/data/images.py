"""From bytes of pixels to the arrays a network takes: scale, resize, channel axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LARGEST = 256  # pixels; guards memory against a slip of the keyboard


def check_size(size: int) -> None:
    """Raise ValueError unless `size` is a sensible image width."""
    if not 1 <= size <= LARGEST:
        raise ValueError(f"size must be between 1 and {LARGEST} pixels, got {size}")


def prepare(pixels: np.ndarray, white: float, size: int) -> np.ndarray:
    """Scale pixels to [0, 1] and resize.

    Args:
        pixels: (example, height, width) or (example, height, width, channel), between 0 and
            `white`.
        white: the pixel value that becomes 1.
        size: height and width wanted.

    Returns:
        (example, size, size, channel) float32, with one channel where there was no such axis.
    """
    images = pixels / np.float32(white)
    for axis in (1, 2):
        if images.shape[axis] != size:
            images = np.moveaxis(images, axis, -1) @ _hat(images.shape[axis], size)
            images = np.moveaxis(images, -1, axis)
    return np.ascontiguousarray(images.reshape(*images.shape[:3], -1), dtype=np.float32)


@dataclass(frozen=True)
class Scale:
    """What standardizing subtracts and divides by, channel by channel.

    Attributes:
        mean: one number per channel, or one for all.
        deviation: likewise, positive.
    """

    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)

    @classmethod
    def of(cls, pixels: np.ndarray) -> Scale:
        """Mean and standard deviation of (example, height, width, channel) bytes over 255."""
        mean, deviation = [], []
        for channel in np.moveaxis(pixels, -1, 0):  # squares of bytes fit in 16 bits
            first = channel.mean(dtype=np.float64)
            second = np.square(channel, dtype=np.uint16).mean(dtype=np.float64)
            mean.append(float(first / 255))
            # Images of one gray have no deviation.
            deviation.append(max(float(np.sqrt(max(second - first**2, 0.0)) / 255), 1e-6))
        return cls(tuple(mean), tuple(deviation))

    def apply(self, images: np.ndarray) -> np.ndarray:
        """(example, height, width, channel) float32 images on this scale."""
        mean, deviation = (np.asarray(x, np.float32) for x in (self.mean, self.deviation))
        return (images - mean) / deviation


def _hat(old: int, new: int) -> np.ndarray:
    """(old, new) weights of linear interpolation, widened when shrinking so nothing is skipped."""
    shrink = max(old / new, 1.0)
    centers = (np.arange(new) + 0.5) * old / new - 0.5
    distance = np.abs(np.arange(old)[:, None] - centers) / shrink
    weights = np.maximum(0.0, 1.0 - distance)
    return (weights / weights.sum(axis=0)).astype(np.float32)
