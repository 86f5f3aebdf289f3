"""Resizing agrees with JAX's linear method, anti-aliasing included."""

import jax
import numpy as np
import pytest

from landscape_cli.data.images import Scale, check_size, prepare

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


@pytest.mark.parametrize("size", [28, 16, 40])
def test_colors_are_resized_one_by_one(size):
    colors = np.stack([PIXELS, 255 - PIXELS, PIXELS[::-1]], axis=-1)
    got = prepare(colors, 255.0, size)
    assert got.shape == (3, size, size, 3)
    for i in range(3):
        alone = prepare(colors[..., i], 255.0, size)[..., 0]
        np.testing.assert_allclose(got[..., i], alone, atol=1e-6)  # order of float32 sums


def test_scale_is_that_of_every_channel():
    colors = np.stack([PIXELS, PIXELS // 3, np.full_like(PIXELS, 200)], axis=-1)
    scale = Scale.of(colors)
    exact = colors / 255
    np.testing.assert_allclose(scale.mean, exact.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(scale.deviation[:2], exact.std((0, 1, 2))[:2], rtol=1e-12)
    images = scale.apply(prepare(colors, 255.0, 28))
    assert images.dtype == np.float32
    np.testing.assert_allclose(images.std((0, 1, 2)), [1, 1, 0], atol=1e-4)
    # One gray everywhere has no deviation; rounding (1e-7) over the floor (1e-6) stays small.
    assert np.abs(images[..., 2]).max() < 0.2
    np.testing.assert_array_equal(Scale().apply(exact.astype(np.float32)), np.float32(exact))


@pytest.mark.parametrize("size", [0, -1, 257])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(ValueError, match=f"size must be between 1 and 256 pixels, got {size}"):
        check_size(size)
