"""Draws by name: the seed reaches them, and seed 0 draws what names alone do."""

import zlib

import numpy as np
import pytest

from landscape_cli.core.random import named_generator

ENDS = np.arange(6.0).reshape(2, 3)
CRC = zlib.crc32(ENDS.tobytes())


@pytest.mark.parametrize(
    ("names", "words"), [((7,), 7), ((0,), 0), ((ENDS,), CRC), ((ENDS, 0, 3), [CRC, 0, 3])]
)
def test_seed_0_adds_nothing_to_the_names(names, words):
    drawn = lambda seed: named_generator(seed, *names).uniform(size=5)
    np.testing.assert_array_equal(drawn(0), np.random.default_rng(words).uniform(size=5))
    np.testing.assert_array_equal(drawn(1), drawn(1))
    many = np.stack([drawn(seed) for seed in (0, 1, 2, 2**32 - 1)])
    assert len(np.unique(many)) == many.size


def test_a_seed_is_no_name():
    """Its place moved with the number of names: 5 under seed 7 was 7 and 5 under seed 0."""
    draws = [named_generator(5, 7), named_generator(0, 7, 5), named_generator(7, 5)]
    assert len({generator.uniform() for generator in draws}) == 3
    with pytest.raises(ValueError, match="at most three names, got 4"):
        named_generator(0, 1, 2, 3, 4)


def test_arrays_are_named_by_their_numbers():
    other = np.asfortranarray(ENDS)
    drawn = [named_generator(1, ends).uniform() for ends in (ENDS, other, ENDS + 1)]
    assert drawn[0] == drawn[1] != drawn[2]
