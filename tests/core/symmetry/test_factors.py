"""Which units may be multiplied: known for every activation, and kept out of everything else."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from landscape_cli.core.symmetry.factors import multiples
from landscape_cli.core.symmetry.units import unit_groups

INPUTS = np.random.default_rng(0).normal(size=(9, 4))
SHAPES = {"w": (4, 6), "b": (6,), "v": (6, 5), "c": (5,), "u": (5, 2)}
PARAMS = {name: jax.ShapeDtypeStruct(shape, np.float64) for name, shape in SHAPES.items()}
ODD, HOMOGENEOUS = ("tanh", "identity", "soft_sign"), ("relu", "identity", "leaky_relu")
ACTIVATIONS = ("tanh", "relu", "gelu", "sigmoid", "softplus", "soft_sign", "leaky_relu", "elu")


def network(activation):
    """Two hidden layers with biases."""

    def function(p, x):
        hidden = activation(activation(x @ p["w"] + p["b"]) @ p["v"] + p["c"])
        return hidden @ p["u"]

    return function


def found(function, signs, params=PARAMS, inputs=INPUTS):
    units = unit_groups(function, params, inputs)
    return sorted(multiples(units, params, inputs, signs).exponents)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_signs_are_for_odd_activations_and_factors_for_homogeneous_ones(name):
    function = network(getattr(jax.nn, name, None) or getattr(jax.numpy, name))
    assert found(function, signs=True) == ([0, 1] if name in ODD else [])
    assert found(function, signs=False) == ([0, 1] if name in HOMOGENEOUS else [])


def test_a_linear_network_has_both():
    assert found(network(lambda x: x), True) == found(network(lambda x: x), False) == [0, 1]


def test_layers_are_told_apart():
    """tanh first, relu second: signs of the first group, factors of the second."""

    def function(p, x):
        return jax.nn.relu(jax.numpy.tanh(x @ p["w"] + p["b"]) @ p["v"] + p["c"]) @ p["u"]

    assert found(function, True) == [0] and found(function, False) == [1]


class Normed(nn.Module):
    """A layer norm between a dense layer and its activation."""

    @nn.compact
    def __call__(self, inputs):
        hidden = nn.Dense(6)(inputs)
        return nn.Dense(2)(nn.relu(nn.LayerNorm(epsilon=1e-2)(hidden)))


def test_behind_a_norm_only_its_scale_and_bias_take_part():
    module = Normed()
    function = lambda params, inputs: module.apply({"params": params}, inputs)
    params = jax.eval_shape(module.init, jax.random.key(0), INPUTS)["params"]
    units = unit_groups(function, params, INPUTS)
    (exponents,) = multiples(units, params, INPUTS, signs=False).exponents.values()
    powers = {u.path: e for u, e in zip(units.groups[0].uses, exponents, strict=True)}
    assert powers == {
        ("Dense_0", "bias"): 0,
        ("Dense_0", "kernel"): 0,
        ("Dense_1", "kernel"): -1,
        ("LayerNorm_0", "bias"): 1,
        ("LayerNorm_0", "scale"): 1,
    }
