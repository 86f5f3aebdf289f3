"""Subsets keep the classes in proportion, are nested, and depend on the key alone."""

import jax
import numpy as np
import pytest

from landscape_cli.data.draws import generator, stratified_order, subset
from landscape_cli.errors import UserError

KEY = jax.random.key(0)
LABELS = np.repeat(np.arange(4), [10, 20, 30, 60])


def test_every_beginning_is_stratified():
    order = stratified_order(LABELS, generator(KEY, "test"))
    assert sorted(order) == list(range(len(LABELS)))
    for count in range(1, len(LABELS) + 1):
        got = np.bincount(LABELS[order[:count]], minlength=4)
        assert np.abs(got - np.bincount(LABELS) * count / len(LABELS)).max() <= 1


def test_subsets_are_nested_and_null_is_everything():
    def draw(count):
        return subset(LABELS, count, generator(KEY, "train"), "set", "train")

    np.testing.assert_array_equal(draw(30), draw(80)[:30])
    np.testing.assert_array_equal(draw(None), draw(len(LABELS)))


def test_streams_differ_by_key_and_purpose_only():
    first = generator(KEY, "train").random(5)
    np.testing.assert_array_equal(first, generator(jax.random.key(0), "train").random(5))
    assert not np.array_equal(first, generator(KEY, "test").random(5))
    assert not np.array_equal(first, generator(jax.random.key(1), "train").random(5))


def test_too_many_examples_are_refused():
    with pytest.raises(UserError, match=r"data\.test=121: set has 120 test examples; choose at"):
        subset(LABELS, 121, generator(KEY, "test"), "set", "test")
