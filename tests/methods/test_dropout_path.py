"""Paths of a proof: what it says of every segment is checked on outputs, to rounding."""

from functools import cache, partial
from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import Normed, images, line
from zoo import RING, connect, dense_peak

from landscape_cli.core.dropout import Chain, halved, route, segments
from landscape_cli.core.surface import Surface
from landscape_cli.core.symmetry.units import flat
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.methods.dropout_path import DropoutPath, _chain, _theta
from landscape_cli.models.base import initial_thetas, model_surface, with_stored_statistics
from landscape_cli.models.cnn import CNN
from landscape_cli.models.layers import connected
from landscape_cli.models.mlp import MLP
from landscape_cli.symmetry import symmetry_of

KEY = jax.random.key(0)
DRAWS = np.random.default_rng(0)
MSE, CE = Functional("mse"), Functional("cross_entropy")


LINE, IMAGES = line(), images(10)
DATA = {MSE: LINE, CE: IMAGES}


class Residual(nn.Module):
    """A layer, and another that is added to it."""

    outputs: int | None = None

    @nn.compact
    def __call__(self, inputs):
        """Outputs for every example."""
        hidden = connected(self, inputs, 0, 4)
        hidden = hidden + jnp.tanh(connected(self, jnp.tanh(hidden), 1, 4))
        return connected(self, hidden, 2, self.outputs or 1)


NETWORKS = [
    pytest.param(MLP((6,)), MSE, id="one layer"),
    pytest.param(MLP((5, 4), activation="sigmoid"), MSE, id="odd"),
    pytest.param(MLP((4, 6, 2, 5), activation="relu"), MSE, id="four layers"),
    pytest.param(MLP((4, 4), bias=False), MSE, id="no biases"),
    pytest.param(CNN((3, 4), kernel=3, widths=(6,)), CE, id="cnn"),
    pytest.param(Normed(), CE, id="batch norm"),
]
EVERY = pytest.mark.parametrize(("model", "functional"), NETWORKS)


@cache
def posed(model, functional):
    """(surface, symmetry, chain, the arrays of two networks); not to be changed."""
    data = DATA[functional]
    surface = model_surface(model, data, functional)
    symmetry = symmetry_of(surface, "here")
    thetas = initial_thetas(model, data, KEY, 2) * 1.5  # biases stay zero
    thetas = thetas + 0.1 * np.random.default_rng(1).normal(size=thetas.shape)
    nets = [flat(symmetry.tree(theta)) for theta in thetas]
    return surface, symmetry, _chain(symmetry), nets


@partial(jax.jit, static_argnames="network")
def applied(network, theta, inputs):
    """Straight from the network; batch norm by its own rule on the examples."""
    params = {"params": network.layout.unravel(theta)}
    if not hasattr(network, "context"):
        return network.module.apply(params, inputs)
    return network.module.apply(params, inputs, train=True, mutable=["batch_stats"])[0]


def outputs(surface, theta):
    return np.asarray(applied(surface.network, theta, surface.data[0]))


def halves(chain, case):
    """Kept halves of two networks: drawn, the same, or as different as can be."""
    generator = np.random.default_rng(2)
    one, other = chain.halves(generator), chain.halves(generator)
    if case == "same":
        return one, one
    if case == "disjoint":
        rest = [np.setdiff1d(np.arange(x.size), k) for x, k in zip(chain.layers, one, strict=True)]
        return one, [r[: len(k)] for r, k in zip(rest, one, strict=True)]
    return one, other


@EVERY
@pytest.mark.parametrize("case", ["drawn", "same", "disjoint"])
def test_outputs_rest_or_follow_the_last_layer(model, functional, case):
    """On every segment outputs stay as they are or are linear, which convex losses need."""
    surface, symmetry, chain, (start, end) = posed(model, functional)
    path = route(chain, start, end, *halves(chain, case))
    thetas = [_theta(symmetry, net) for net in path.vertices]
    assert len(thetas) - 1 <= segments(len(chain.layers))
    np.testing.assert_array_equal(thetas[0], _theta(symmetry, start))
    np.testing.assert_array_equal(thetas[-1], _theta(symmetry, end))
    scale = max(np.abs(outputs(surface, theta)).max() for theta in thetas)
    assert sum(not still for still in path.still) == 2 * len(chain.layers) + 1
    for (one, other), still in zip(pairwise(thetas), path.still, strict=True):
        first, last = outputs(surface, one), outputs(surface, other)
        for t in (0.23, 0.5, 0.81):
            between = outputs(surface, (1 - t) * one + t * other)
            expected = first if still else (1 - t) * first + t * last
            np.testing.assert_allclose(between, expected, rtol=0, atol=1e-10 * scale)


def by_hand(data, net, kept, first):
    """Outputs of an MLP with sigmoids whose layers from `first` on keep half, in NumPy."""
    arrays = {path[-1]: array for path, array in net.items()}
    hidden = data.train.inputs
    for layer, units in enumerate(kept):
        pre = hidden @ arrays[f"kernel_{layer}"] + arrays[f"bias_{layer}"]
        hidden = 1 / (1 + np.exp(-pre))
        if layer >= first:
            mask = np.isin(np.arange(hidden.shape[1]), units)
            hidden = hidden * mask * hidden.shape[1] / mask.sum()
    return hidden @ arrays[f"kernel_{len(kept)}"] + arrays[f"bias_{len(kept)}"]


def test_the_path_passes_through_the_halved_networks():
    """Whatever is not still leads from one halved network to the next, all layers at the end."""
    model = MLP((5, 4, 6), activation="sigmoid")
    surface, symmetry, chain, (start, end) = posed(model, MSE)
    kept, others = halves(chain, "drawn")
    path = route(chain, start, end, kept, others)
    moves = [i for i, still in enumerate(path.still) if not still]
    found = [outputs(surface, _theta(symmetry, path.vertices[i])) for i in moves]
    expected = [by_hand(LINE, start, kept, first) for first in (3, 2, 1, 0)]
    expected += [by_hand(LINE, end, others, first) for first in (0, 1, 2)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    for first in range(3):
        copy = outputs(surface, _theta(symmetry, halved(chain, start, kept, first)))
        np.testing.assert_allclose(copy, by_hand(LINE, start, kept, first), atol=1e-12)


@EVERY
def test_no_point_is_higher_than_what_the_proof_says(model, functional):
    surface, symmetry, chain, (start, end) = posed(model, functional)
    kept, others = halves(chain, "drawn")
    path = route(chain, start, end, kept, others)
    thetas = np.stack([_theta(symmetry, net) for net in path.vertices])
    copies = [
        _theta(symmetry, halved(chain, net, half, first))
        for net, half in ((start, kept), (end, others))
        for first in range(len(chain.layers) + 1)
    ]
    bound = surface.energies(np.stack(copies)).max()
    assert dense_peak(lambda theta: surface.energies(theta[None])[0], thetas, 12) <= bound * (
        1 + 1e-10
    )


def test_a_half_without_an_energy_is_not_the_lowest(monkeypatch):
    surface, symmetry, chain, (net, _) = posed(MLP((6,)), MSE)
    heights, drawn = iter([np.nan, 2.0, 1.0, 3.0]), []
    monkeypatch.setattr(Surface, "energies", lambda self, thetas: np.full(2, next(heights)))
    halves = Chain.halves
    monkeypatch.setattr(Chain, "halves", lambda *given: drawn.append(halves(*given)) or drawn[-1])
    assert DropoutPath(draws=4)._half(surface, symmetry, chain, net, 0) is drawn[2]


@EVERY
def test_the_method_joins_networks(model, functional):
    surface, symmetry, chain, (start, end) = posed(model, functional)
    rows = [_theta(symmetry, net)[None] for net in (start, end)]
    few, many = (
        connect(DropoutPath(draws=draws, dense=20), surface, *rows, [np.inf])[0]
        for draws in (1, 12)
    )
    for found in (few, many):
        np.testing.assert_array_equal(found.beads[0], rows[0][0])
        np.testing.assert_array_equal(found.beads[-1], rows[1][0])
        assert found.state == "loose" and found.normalized_length > 1
        assert found.gradient_evaluations == 0, "nothing is trained"
    # The first draw is among the twelve, and what bounds the path is what is chosen by.
    assert many.peak <= few.peak * (1 + 1e-12)
    cost = DropoutPath(draws=12, dense=20).cost(surface, 1, 1)
    assert many.energy_evaluations <= cost.most_energies and cost.most == 0
    assert many.beads.nbytes <= cost.kept
    once = DropoutPath(draws=1, dense=20).cost(surface, 1, 1)
    assert cost.energies - once.energies == 11 * 2 * len(chain.layers), "of both ends"


def test_wide_networks_stand_dropout_better():
    """Theorem 1 is about dropout-stable networks: a network of twins loses nothing at all."""
    surface, symmetry, _, (start, _) = posed(MLP((4,)), MSE)
    wide = MLP((8,))
    twins = {
        ("params", "kernel_0"): np.tile(start["params", "kernel_0"], 2),
        ("params", "bias_0"): np.tile(start["params", "bias_0"], 2),
        ("params", "kernel_1"): np.tile(start["params", "kernel_1"], (2, 1)) / 2,
        ("params", "bias_1"): start["params", "bias_1"],
    }
    broad = model_surface(wide, LINE, MSE)
    widened = symmetry_of(broad, "here")
    theta, half = _theta(widened, twins), [np.arange(4)]
    copy = _theta(widened, halved(_chain(widened), twins, half, 0))
    whole = surface.energies(_theta(symmetry, start)[None])[0]
    np.testing.assert_allclose(broad.energies(np.stack([theta, copy])), whole, rtol=1e-12)


def test_stored_statistics_belong_to_their_units():
    """bn=coordinates: mean and variance of a channel move with it."""
    plain = model_surface(Normed(), IMAGES, CE)
    surface, lift = with_stored_statistics(plain)
    thetas = lift(initial_thetas(Normed(), IMAGES, KEY, 2))
    (found,) = connect(DropoutPath(draws=3, dense=5), surface, thetas[:1], thetas[1:], [np.inf])
    assert np.isfinite(found.peak) and len(found.beads) > 8


@pytest.mark.parametrize(
    ("model", "functional", "words"),
    [
        pytest.param(MLP((4, 1)), MSE, "kernel_2 .* to spare", id="one unit"),
        pytest.param(MLP((1, 4)), MSE, "kernel_0 .* to spare", id="one unit first"),
        pytest.param(Residual(), MSE, "several layers", id="residual"),
        pytest.param(Normed(norm="layer"), CE, "a chain|see one another", id="layer norm"),
    ],
)
def test_networks_that_are_no_chain_are_refused_in_a_line(model, functional, words):
    data = DATA[functional]
    surface = model_surface(model, data, functional)
    thetas = initial_thetas(model, data, KEY, 2)
    with pytest.raises(UserError, match=words):
        connect(DropoutPath(draws=1), surface, thetas[:1], thetas[1:], [1.0])


def test_closed_forms_are_refused():
    with pytest.raises(UserError, match="dropout_path"):
        connect(DropoutPath(), RING.surface, [RING.start], [RING.end], [1.0])
