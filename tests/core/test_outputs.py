"""Distances between the functions of networks, against the network applied by hand."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

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
from landscape_cli.models.resnet import ResNet


def test_steps_of_a_network_by_hand():
    data = Polynomial((0.0, 3.0, -10.0, 8.0), train=16, test=8).load(jax.random.key(0))
    model = MLP(widths=(4,))
    surface = model_surface(model, data, Functional("mse"))
    thetas = initial_thetas(model, data, jax.random.key(0), 4)
    layout, module = network_layout(fitted(model, data), data), fitted(model, data)
    inputs = jnp.asarray(data.train.inputs[:10])
    answers = [
        np.asarray(module.apply({"params": layout.unravel(jnp.asarray(theta))}, inputs))
        for theta in thetas
    ]
    expected = [np.sqrt(((b - a) ** 2).mean()) for a, b in pairwise(answers)]
    np.testing.assert_allclose(output_steps(surface, thetas, 10), expected, rtol=1e-12)
    looped = replace(surface, strategy="loop")
    np.testing.assert_allclose(output_steps(looped, thetas, 10), expected, rtol=1e-12)
    assert not output_steps(surface, thetas[[0, 0]], 99).any()


def test_batch_norm_is_applied_as_in_the_energy():
    draws = np.random.default_rng(0)
    split = Examples(draws.normal(size=(6, 8, 8, 1)), draws.integers(0, 3, 6), np.full(6, 1 / 6))
    data = Dataset("noise", split, split, classes=3)
    model = ResNet(depth=8, channels=2, norm="batch")
    surface = model_surface(model, data, Functional("cross_entropy"))
    thetas = initial_thetas(model, data, jax.random.key(0), 3)
    anew = output_steps(surface, thetas, 6)
    wider, lift = with_stored_statistics(surface)
    # Statistics stored at the very points are those computed anew there.
    np.testing.assert_allclose(output_steps(wider, lift(thetas), 6), anew, rtol=1e-9)
    assert (anew > 0).all()
