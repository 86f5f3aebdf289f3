"""Resizing agrees with JAX's linear method, anti-aliasing included."""

import jax
import numpy as np
import pytest

from landscape_cli.data.images import check_size, prepare

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("size", [1, 7, 14, 20, 28, 32, 56])
def test_resize_agrees_with_jax(size):
    got = prepare(PIXELS, 255.0, size)
    want = jax.image.resize(PIXELS / np.float32(255), (3, size, size), "linear")
    assert got.shape == (3, size, size, 1) and got.dtype == np.float32
    np.testing.assert_allclose(got[..., 0], want, atol=2e-6)  # float32 sums


def test_scale_and_flat_images_are_kept():
    np.testing.assert_array_equal(prepare(PIXELS, 255.0, 28)[..., 0] * 255, PIXELS)
    flat = np.full((1, 28, 20), 51, np.uint8)
    np.testing.assert_allclose(prepare(flat, 255.0, 13), 0.2, rtol=1e-6)


@pytest.mark.parametrize("size", [0, -1, 257])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(ValueError, match=f"size must be between 1 and 256 pixels, got {size}"):
        check_size(size)
