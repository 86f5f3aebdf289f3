"""Small convolutions as matrix products: the kernel written out along the rows of an image.

An output row depends on as many input rows as the kernel is high: y_o = Σ_t W_t x_{so + t - low},
with stride s and padding `low`. Laid end to end they are one vector, and the row is its product
with a (Toeplitz) matrix that holds every kernel element once for every output pixel. Most of that
matrix is zeros; but a CPU multiplies matrices ten times as fast as XLA convolves images of few
pixels and channels, and such products can be vmapped over networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

Pads = Sequence[tuple[int, int]]
LARGEST = 1 << 15  # elements of the matrix up to which the product was faster
_wanted: ContextVar[bool] = ContextVar("rows", default=False)


@contextmanager
def by_rows() -> Iterator[None]:
    """While a network is traced in it, small convolutions on a CPU are products.

    Whoever reads a traced network, as the symmetries do, does so outside and finds convolutions.
    """
    before = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(before)


def _taps(pixels: int, kernel: int, stride: int, low: int, outputs: int) -> np.ndarray:
    """(output, tap, pixel): 1 where an output sees a pixel through that element of the kernel."""
    seen = stride * np.arange(outputs)[:, None] + np.arange(kernel) - low
    return (seen[..., None] == np.arange(pixels)).astype(np.float32)


def rows(images: Array, kernel: Array, stride: int, padding: str | Pads) -> Array | None:
    """The convolution of images as one product; None where XLA's convolution is to do it.

    Args:
        images: (example, height, width, input).
        kernel: (height, width, input, output).
        stride: step in pixels.
        padding: as for `jax.lax.conv_general_dilated`.
    """
    if not _wanted.get() or jax.default_backend() != "cpu":
        return None
    count, *shape, inputs = images.shape
    high, wide, _, outputs = kernel.shape
    pads = (
        jax.lax.padtype_to_pads(shape, (high, wide), (stride, stride), padding)
        if isinstance(padding, str)
        else padding
    )
    up, across = (
        (pixels + sum(pad) - size) // stride + 1
        for pixels, pad, size in zip(shape, pads, (high, wide), strict=True)
    )
    if up < 1 or across < 1 or high * shape[1] * inputs * across * outputs > LARGEST:
        return None
    taps = jnp.asarray(_taps(shape[1], wide, stride, pads[1][0], across), kernel.dtype)
    matrix = jnp.einsum("puj,tucd->tjcpd", taps, kernel).reshape(-1, across * outputs)
    lines = jnp.pad(images.reshape(count, shape[0], -1), ((0, 0), pads[0], (0, 0)))
    last = stride * (up - 1) + 1
    seen = jnp.concatenate([lines[:, t : t + last : stride] for t in range(high)], axis=2)
    return (seen.reshape(count * up, -1) @ matrix).reshape(count, up, across, outputs)
