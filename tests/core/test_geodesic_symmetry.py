"""Symmetries of trained networks: the same string seen otherwise is as long."""

from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np
import pytest
from zoo import connect, dense_peak, rotation

from landscape_cli.contracts import Progress
from landscape_cli.core.surface import Surface
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.functional import Functional
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import initial_thetas, model_surface, network_layout
from landscape_cli.models.mlp import MLP
from landscape_cli.trainers.adam import Adam

NET = MLP(widths=(4, 4))
LEVELS = (0.05, 0.01, 0.003)
PAIRS = 4


@dataclass(frozen=True)
class Turned:
    """An energy in rotated coordinates; `data` is (turn, data of the energy)."""

    energy: object

    def __call__(self, theta, data):
        turn, inner = data
        return self.energy(turn @ theta, inner)


@lru_cache
def trained():
    """Surface, layout, and the ends of four pairs where they first cross every level."""
    key = jax.random.key(3)
    dataset = Polynomial(coefficients=(0.0, 3.0, -10.0, 8.0)).load(key)
    surface = model_surface(NET, dataset, Functional("mse"))
    begun = initial_thetas(NET, dataset, key, 2 * PAIRS)
    found = Adam(steps=4000).descend(surface, begun, LEVELS, key, Progress())
    assert found.reached.all()
    return surface, network_layout(NET, dataset), found.thetas[::2], found.thetas[1::2]


def permuted(layout, thetas):
    """Hidden units of both layers in another order; every network stays the same function."""
    first, second = np.array([2, 0, 3, 1]), np.array([1, 3, 2, 0])
    rows = []
    for theta in thetas.reshape(-1, thetas.shape[-1]):
        params = dict(layout.unravel(theta))
        params["kernel_0"] = params["kernel_0"][:, first]
        params["bias_0"] = params["bias_0"][first]
        params["kernel_1"] = params["kernel_1"][first][:, second]
        params["bias_1"] = params["bias_1"][second]
        params["kernel_2"] = params["kernel_2"][second]
        rows.append(np.asarray(layout.ravel(params)))
    return np.array(rows).reshape(thetas.shape)


@lru_cache
def strings(view):
    surface, layout, starts, ends = trained()
    if view == "reversed":
        starts, ends = ends, starts
    if view == "permuted":
        starts, ends = permuted(layout, starts), permuted(layout, ends)
    if view == "rotated":
        turn = rotation(surface.dimension, 7)
        surface = Surface(
            Turned(surface.energy), (turn, surface.data), surface.dimension, chunk=surface.chunk
        )
        starts, ends = starts @ turn, ends @ turn
    flat = lambda thetas: thetas.reshape(-1, thetas.shape[-1])
    levels, pairs = np.tile(LEVELS, PAIRS), np.repeat(np.arange(PAIRS), len(LEVELS))
    return surface, connect(TautString(), surface, flat(starts), flat(ends), levels, pairs)


def test_networks_are_joined_and_inside():
    surface, found = strings("as it is")
    for each in found:
        assert each.connected and each.normalized_length >= 1
        assert dense_peak(lambda theta: surface.energies(theta[None])[0], each.beads[::4], 2) <= (
            each.level
        )
        energies = surface.energies(
            np.concatenate([np.linspace(a, b, 200) for a, b in zip(each.beads, each.beads[1:])])
        )
        assert energies.max() <= each.level * (1 + 1e-9)
    assert sum(each.state == "taut" for each in found) >= 6


@pytest.mark.parametrize("view", ["reversed", "permuted", "rotated"])
def test_another_view_of_a_pair_is_as_long(view):
    _, wanted = strings("as it is")
    _, found = strings(view)
    for one, other in zip(found, wanted, strict=True):
        print(view, other.level, other.state, one.state, other.normalized_length,
              one.normalized_length / other.normalized_length - 1, other.kkt_residual)
    for one, other in zip(found, wanted, strict=True):
        assert one.connected == other.connected
        assert one.normalized_length == pytest.approx(other.normalized_length, rel=5e-3)
