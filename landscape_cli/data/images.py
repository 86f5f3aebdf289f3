"""From bytes of pixels to the arrays a network takes: scale, resize, channel axis."""

from __future__ import annotations

import numpy as np

LARGEST = 256  # pixels; guards memory against a slip of the keyboard


def check_size(size: int) -> None:
    """Raise ValueError unless `size` is a sensible image width."""
    if not 1 <= size <= LARGEST:
        raise ValueError(f"size must be between 1 and {LARGEST} pixels, got {size}")


def prepare(pixels: np.ndarray, white: float, size: int) -> np.ndarray:
    """Scale pixels to [0, 1] and resize.

    Args:
        pixels: (example, height, width), between 0 and `white`.
        white: the pixel value that becomes 1.
        size: height and width wanted.

    Returns:
        (example, size, size, 1) float32.
    """
    images = pixels / np.float32(white)
    for axis in (1, 2):
        if images.shape[axis] != size:
            images = np.moveaxis(images, axis, -1) @ _hat(images.shape[axis], size)
            images = np.moveaxis(images, -1, axis)
    return np.ascontiguousarray(images[..., None], dtype=np.float32)


def _hat(old: int, new: int) -> np.ndarray:
    """(old, new) weights of linear interpolation, widened when shrinking so nothing is skipped."""
    shrink = max(old / new, 1.0)
    centers = (np.arange(new) + 0.5) * old / new - 0.5
    distance = np.abs(np.arange(old)[:, None] - centers) / shrink
    weights = np.maximum(0.0, 1.0 - distance)
    return (weights / weights.sum(axis=0)).astype(np.float32)
