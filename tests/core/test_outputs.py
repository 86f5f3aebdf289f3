"""Distances between the functions of networks, against the network applied by hand."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import Normed

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core.outputs import output_steps
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.functional import Functional
from landscape_cli.models.base import (
    fitted,
    initial_thetas,
    model_surface,
    network_layout,
    with_stored_statistics,
)
from landscape_cli.models.mlp import MLP
from landscape_cli.symmetry import examples


def test_steps_of_a_network_by_hand():
    data = Polynomial((0.0, 3.0, -10.0, 8.0), train=16, test=8).load(jax.random.key(0))
    model = MLP(widths=(4,))
    surface = model_surface(model, data, Functional("mse"))
    thetas = initial_thetas(model, data, jax.random.key(0), 4)
    layout, module = network_layout(fitted(model, data), data), fitted(model, data)
    answers = [
        np.asarray(module.apply({"params": layout.unravel(jnp.asarray(theta))}, data.train.inputs))
        for theta in thetas
    ]
    assert np.ptp(data.train.weights) > 0.04, "nodes of a quadrature"
    squares = np.stack([((b - a) ** 2).mean(1) for a, b in pairwise(answers)])
    expected = np.sqrt(squares @ data.train.weights)
    looped = replace(surface, strategy="loop")
    for each in (surface, looped):
        np.testing.assert_allclose(output_steps(each, thetas, 16), expected, rtol=1e-12)
    assert not output_steps(surface, thetas[[0, 0]], 99).any()


@pytest.mark.parametrize("train", [64, 1024])
def test_some_examples_stand_for_all(train):
    """The first 256 of 1,024 nodes cover a seventh of the interval: lengths were a third off."""
    load = lambda count: Polynomial((0.0, 1.0), train=count).load(jax.random.key(0))
    model, few = MLP(widths=(4,)), load(20)
    thetas = 3 * initial_thetas(model, few, jax.random.key(0), 4)
    exact = output_steps(model_surface(model, few, Functional("mse")), thetas, 20)
    surface = model_surface(model, load(train), Functional("mse"))
    np.testing.assert_allclose(output_steps(surface, thetas, 256), exact, rtol=2e-3)
    # What methods and gauges take plain means over: all where they weigh the same.
    inputs, _, weights = surface.data
    found = np.asarray(examples(surface, 256))
    assert len(found) == 256
    for power in (1, 2, 3):
        mean = np.asarray(weights) @ np.asarray(inputs)[:, 0] ** power
        assert (found**power).mean() == pytest.approx(mean, rel=1e-2)
    alike = replace(surface, data=(inputs, inputs, np.ones(train)))
    assert len(examples(alike, 2048)) == train and len(examples(alike, 10)) == 10


def test_batch_norm_is_applied_as_in_the_energy():
    draws = np.random.default_rng(0)
    split = Examples(draws.normal(size=(6, 8, 8, 1)), draws.integers(0, 3, 6), np.full(6, 1 / 6))
    data = Dataset("noise", split, split, classes=3)
    model = Normed(channels=(2, 3))
    surface = model_surface(model, data, Functional("cross_entropy"))
    thetas = initial_thetas(model, data, jax.random.key(0), 3)
    anew = output_steps(surface, thetas, 6)
    wider, lift = with_stored_statistics(surface)
    # Statistics stored at the very points are those computed anew there.
    np.testing.assert_allclose(output_steps(wider, lift(thetas), 6), anew, rtol=1e-9)
    assert (anew > 0).all()
