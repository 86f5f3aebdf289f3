"""Random shifts and mirror images: what comes out is a window of what went in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.data.augment import Augmentation

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).random((200, 6, 5, 3)).astype(np.float32) + 1  # no zeros


def windows(image, crop):
    """Every window of a padded image, by move and whether mirrored."""
    height, width, _ = image.shape
    padded = np.pad(image, ((crop, crop), (crop, crop), (0, 0)))
    for down in range(2 * crop + 1):
        for right in range(2 * crop + 1):
            window = padded[down : down + height, right : right + width]
            yield (down, right, False), window
            yield (down, right, True), window[:, ::-1]


@pytest.mark.parametrize(("crop", "flip"), [(0, False), (0, True), (2, False), (2, True)])
def test_every_image_becomes_one_of_its_windows_and_all_windows_occur(crop, flip):
    got = np.asarray(Augmentation(crop, flip)(jnp.asarray(IMAGES), KEY))
    assert got.shape == IMAGES.shape and got.dtype == IMAGES.dtype
    seen = set()
    for before, after in zip(IMAGES, got, strict=True):
        fits = [which for which, window in windows(before, crop) if np.array_equal(window, after)]
        assert len(fits) == 1
        seen.update(fits)
    # 50 kinds of windows in 200 draws: each is missing with probability 0.02.
    possible = (2 * crop + 1) ** 2 * (2 if flip else 1)
    assert 0.9 * possible <= len(seen) <= possible
    assert {mirrored for _, _, mirrored in seen} == ({False, True} if flip else {False})


def test_moves_are_even_and_independent():
    """Marks in the middle of 20,000 images: means and correlations within five deviations."""
    marked = np.zeros((20_000, 9, 9, 1), np.float32)
    marked[:, 4, 4] = 1
    got = np.asarray(Augmentation(2, flip=False)(jnp.asarray(marked), KEY))[..., 0]
    _, down, right = np.nonzero(got)
    assert len(down) == len(marked)
    counts = np.histogram2d(down, right, bins=[range(2, 8)] * 2)[0]
    np.testing.assert_allclose(counts, 800, atol=5 * np.sqrt(800))


def test_a_pure_function_of_images_and_key():
    vary = Augmentation(2, True)
    images = jnp.asarray(IMAGES)
    first = vary(images, KEY)
    np.testing.assert_array_equal(first, vary(images, KEY))
    assert (first != vary(images, jax.random.key(1))).any()
    np.testing.assert_array_equal(first, jax.jit(vary)(images, KEY))
    np.testing.assert_array_equal(images, IMAGES)
    keys = jax.random.split(KEY, 3)
    together = jax.vmap(vary, (None, 0))(images, keys)
    for i in range(3):
        np.testing.assert_array_equal(together[i], vary(images, keys[i]))


def test_equal_settings_compile_once():
    traces = []

    def count(vary, images, key):
        traces.append(vary)
        return vary(images, key)

    jitted = jax.jit(count, static_argnums=0)
    for crop in (1, 1, 2):
        jitted(Augmentation(crop), jnp.asarray(IMAGES), KEY)
    assert len(traces) == 2


def test_nothing_to_do_is_the_identity():
    got = Augmentation(0, False)(jnp.asarray(IMAGES), KEY)
    np.testing.assert_array_equal(got, IMAGES)


def test_negative_crops_are_refused():
    with pytest.raises(ValueError, match="crop must be at least 0, got -1"):
        Augmentation(crop=-1)
