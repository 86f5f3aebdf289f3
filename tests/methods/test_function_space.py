"""Strings in the space of outputs: distances, gradients, and geodesics that are known."""

from dataclasses import replace
from functools import cache, partial
from itertools import pairwise

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import rel_entr, softmax
from small import images, line
from zoo import RING, connect

from landscape_cli.core.energy import Parts, total_gradient
from landscape_cli.core.output_path import (
    Shortening,
    between,
    divergences,
    jensen_shannon,
    shortened,
    squared,
)
from landscape_cli.core.string import inside
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.methods.function_space import FunctionSpace
from landscape_cli.models.base import initial_thetas, model_surface, with_stored_statistics
from landscape_cli.models.cnn import CNN
from landscape_cli.models.layers import connected, normalized
from landscape_cli.models.mlp import MLP

KEY = jax.random.key(0)
DRAWS = np.random.default_rng(0)
MSE, CE = Functional("mse"), Functional("cross_entropy")


LINE, IMAGES = line(), images(12)
DATA = {MSE: LINE, CE: IMAGES}


class Linear(nn.Module):
    """f(x) = x · w, and the same with every weight a monotone function of its parameter."""

    bent: bool = False
    outputs: int | None = None

    @nn.compact
    def __call__(self, inputs):
        """Outputs for every example."""
        weights = self.param("kernel", nn.initializers.normal(1.0), (inputs.shape[-1], 1))
        return inputs @ (jnp.sinh(weights) if self.bent else weights)


class Normed(nn.Module):
    """One layer, batch norm, one layer."""

    norm: str = "batch"
    groups: int = 1
    outputs: int | None = None

    @nn.compact
    def __call__(self, inputs, train=False):
        """Outputs for every example."""
        hidden = connected(self, inputs.reshape(len(inputs), -1), 0, 3)
        hidden = jnp.tanh(normalized(self, hidden, 0, train))
        return connected(self, hidden, 1, self.outputs or 1)


SMALL = CNN(channels=(2,), kernel=3, widths=(4,), activation="tanh")
NETWORKS = [
    pytest.param(MLP((3,)), MSE, id="regression"),
    pytest.param(SMALL, CE, id="classes"),
    pytest.param(Normed(), CE, id="batch norm"),
]


def ends(model, data, precision="float64"):
    thetas = initial_thetas(model, data, KEY, 2, precision)
    return thetas[:1], thetas[1:]


@cache
def posed(model, functional):
    """(surface, start, end); not to be changed."""
    data = DATA[functional]
    return model_surface(model, data, functional), *ends(model, data)


@partial(jax.jit, static_argnames="network")
def applied(network, theta, inputs):
    """Straight from the network; batch norm by its own rule on the examples."""
    params = {"params": network.layout.unravel(theta)}
    if not hasattr(network, "context"):
        return network.module.apply(params, inputs)
    return network.module.apply(params, inputs, train=True, mutable=["batch_stats"])[0]


def outputs(surface, theta):
    return np.asarray(applied(surface.network, theta, surface.data[0]))


def by_hand(surface, beads):
    """Σ over segments of the divergence, in NumPy and SciPy."""
    total = 0.0
    for one, other in pairwise(beads):
        a, b = outputs(surface, one), outputs(surface, other)
        if np.issubdtype(surface.data[1].dtype, np.integer):
            p, q = softmax(a, axis=1), softmax(b, axis=1)
            m = (p + q) / 2
            total += ((rel_entr(p, m) + rel_entr(q, m)).sum(1) / 2).mean()
        else:
            total += ((a - b) ** 2).mean()
    return total


def test_divergences_of_outputs():
    a, b = DRAWS.normal(size=(2, 7, 5)) * 3
    p, q = softmax(a, axis=1), softmax(b, axis=1)
    m = (p + q) / 2
    expected = (rel_entr(p, m) + rel_entr(q, m)).sum(1) / 2
    divergence = jax.jit(jensen_shannon)
    np.testing.assert_allclose(divergence(a, b), expected, rtol=1e-12)
    far = divergence(np.array([1e3, 0.0]), np.array([0.0, 1e3]))
    assert far == pytest.approx(np.log(2)), "never more, and no infinity"
    np.testing.assert_allclose(divergence(a, a), 0, atol=1e-15)
    assert squared(jnp.array([1.0, 2.0]), jnp.array([3.0, 2.0])) == 2.0


def in_blocks(*quick):
    """Every network in every way; quick are the regression, compiled soon, and those named."""
    ways = [(strategy, block) for strategy in ("vmap", "loop") for block in (None, 5)]
    soon = lambda network, way: network is NETWORKS[0] or (network.id, *way) in quick
    rows = [
        pytest.param(
            *network.values, *way, id=f"{network.id}-{way[0]}-{way[1]}",
            marks=() if soon(network, way) else pytest.mark.slow,
        )
        for network in NETWORKS
        for way in ways
    ]  # fmt: skip
    return pytest.mark.parametrize(("model", "functional", "strategy", "block"), rows)


@in_blocks(("classes", "loop", 5), ("batch norm", "vmap", 5), ("batch norm", "vmap", None))
def test_divergences_of_a_string(model, functional, strategy, block):
    plain, start, end = posed(model, functional)
    surface = replace(plain, strategy=strategy, block=block)
    beads = inside(start[0], end[0], np.linspace(0, 1, 5))
    found = divergences(surface, beads)
    assert found.shape == (4,)
    assert found.sum() == pytest.approx(by_hand(surface, beads), rel=1e-9)


@in_blocks(("classes", "vmap", 5), ("batch norm", "loop", 5))
def test_gradients_are_finite_differences(model, functional, strategy, block):
    """One plain step of gradient descent, undone, is the gradient of Σ D in every bead."""
    plain, start, end = posed(model, functional)
    surface = replace(plain, strategy=strategy, block=block)
    beads = inside(start[0], end[0], np.linspace(0, 1, 4))
    beads[1:-1] += 0.1 * np.random.default_rng(1).normal(size=beads[1:-1].shape)
    descent = Shortening("sgd", 1e-3, 0.0, 1, batch=False, smooth=False)
    moved = shortened(surface, beads[None], descent)[0]
    np.testing.assert_array_equal(moved[[0, -1]], beads[[0, -1]])
    gradient = (beads - moved) / 1e-3
    step, rows = 1e-6, np.random.default_rng(2).choice(surface.dimension, 12)
    for bead in (1, 2):
        for row in rows:
            ahead, back = beads.copy(), beads.copy()
            ahead[bead, row] += step
            back[bead, row] -= step
            slope = (by_hand(surface, ahead) - by_hand(surface, back)) / (2 * step)
            assert gradient[bead, row] == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_the_energy_of_a_bead_sees_its_two_neighbors():
    surface = model_surface(MLP((3,)), LINE, MSE)
    start, end = (theta[0] for theta in ends(MLP((3,)), LINE))
    beads = np.stack([start, (start + end) / 3, end])
    sides = [outputs(surface, bead)[None] for bead in beads[[0, 2]]]
    inputs, _, weights = surface.parts.blocks
    parts = Parts((inputs, *sides, weights))
    value, _ = jax.jit(total_gradient, static_argnums=0)(between(surface), parts, beads[1])
    assert value == pytest.approx(by_hand(surface, beads), rel=1e-12)


@pytest.mark.parametrize("bent", [False, True])
def test_geodesics_of_a_linear_model_are_known(bent):
    """Outputs move along a straight line, whatever the parameters are called."""
    model = Linear(bent)
    surface = model_surface(model, LINE, MSE)
    start, end = np.array([1.5, -2.0]), np.array([-0.5, 1.0])
    name, back = (np.sinh, np.arcsinh) if bent else (np.array, np.array)
    t = np.linspace(0, 1, 9)[:, None]
    expected = back((1 - t) * name(start) + t * name(end))
    direct = np.sqrt(((LINE.train.inputs @ (name(end) - name(start))) ** 2).mean())
    detour = [np.stack([start, [2.0, 2.0], end])]
    method = FunctionSpace(beads=9, steps=3000)
    for initial in (None, detour):
        job = surface, start[None], end[None], np.array([np.inf]), np.zeros(1, int)
        ((_, found),) = method.connect(*job, progress=None or _Quiet(), initial=initial)
        assert found.output_length == pytest.approx(direct, rel=1e-4), "never shorter"
        assert found.output_length >= direct * (1 - 1e-12)
        np.testing.assert_allclose(found.beads, expected, atol=0.01)


class _Quiet:
    def update(self, done, note=""):
        """Say nothing."""


@pytest.mark.parametrize(
    ("model", "functional"),
    [NETWORKS[0], pytest.param(SMALL, CE, id="classes", marks=pytest.mark.slow),
     NETWORKS[2]],
)  # fmt: skip
def test_networks_answer_more_alike_than_on_the_chord(model, functional):
    surface, start, end = posed(model, functional)
    (found,) = connect(FunctionSpace(beads=9, steps=200), surface, start, end, [np.inf])
    chord = inside(start[0], end[0], np.linspace(0, 1, 9))
    assert by_hand(surface, found.beads) < 0.9 * by_hand(surface, chord)
    steps = [by_hand(surface, found.beads[i : i + 2]) ** 0.5 for i in range(8)]
    assert found.output_length == pytest.approx(sum(steps), rel=1e-9)
    # Steps of a minimum are even; the chord's are not.
    assert np.std(steps) / np.mean(steps) < 0.3
    np.testing.assert_array_equal(found.beads[0], start[0])
    np.testing.assert_array_equal(found.beads[-1], end[0])
    assert found.gradient_evaluations == 200 * 7


def test_strings_begin_with_even_steps():
    """The published code places its first beads unevenly; equal ends of a chord show it."""
    start, end = np.zeros(3), np.ones(3)
    method = FunctionSpace(beads=11)
    np.testing.assert_allclose(
        method._begun(start, end, None), np.linspace(0, 1, 11)[:, None] * np.ones(3), atol=1e-15
    )
    bent = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    steps = np.linalg.norm(np.diff(method._begun(start, end, bent), axis=0), axis=1)
    assert steps.max() / steps.min() < 1.2  # the one corner is cut; 3 as published


@pytest.mark.parametrize(
    ("model", "functional"),
    [
        pytest.param(MLP((3,)), MSE, id="regression", marks=pytest.mark.slow),
        NETWORKS[1],
        pytest.param(Normed(), CE, id="batch norm", marks=pytest.mark.slow),
    ],
)
def test_bead_by_bead_is_the_same(model, functional):
    """The host loop of convolutions and the one program take the same steps."""
    surface, start, end = posed(model, functional)
    beads = np.stack([inside(start[0], end[0], np.linspace(0, 1, 5))] * 2)
    beads[1, 1:-1] += 0.01
    settings = Shortening("adam", 1e-3, 0.9, 30, batch=False, smooth=True)
    one, other = (
        shortened(replace(surface, strategy=strategy, block=5), beads, settings)
        for strategy in ("vmap", "loop")
    )
    np.testing.assert_allclose(one, other, atol=1e-7)


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_mini_batches_lead_the_same_way(strategy):
    model = Linear()
    surface = replace(model_surface(model, LINE, MSE, batch=5), strategy=strategy)
    start, end = np.array([1.5, -2.0]), np.array([-0.5, 1.0])
    bent = np.stack([start, [1.5, 0.0], [0.0, 1.0], end])
    settings = Shortening("adam", 0.04, 0.9, 120, batch=True, smooth=False)
    found = shortened(surface, bent[None], settings)[0]
    np.testing.assert_allclose(found, inside(start, end, np.linspace(0, 1, 4)), atol=0.1)
    method, job = FunctionSpace(beads=4, steps=5, batch=True), ([start], [end], [np.inf])
    first, other, again = (connect(method, surface, *job, seed=seed)[0] for seed in (0, 1, 1))
    assert (first.beads[1:-1] != other.beads[1:-1]).any()
    np.testing.assert_array_equal(other.beads, again.beads)


def test_stored_statistics_are_coordinates():
    """With statistics of batch norm as coordinates the outputs use them, not the examples'."""
    plain = model_surface(Normed(), IMAGES, CE)
    surface, lift = with_stored_statistics(plain)
    start, end = (lift(theta) for theta in ends(Normed(), IMAGES))
    both = np.concatenate([start, end])
    expected = divergences(plain, both[:, : plain.dimension])
    np.testing.assert_allclose(divergences(surface, both), expected, rtol=1e-9)
    (found,) = connect(FunctionSpace(beads=5, steps=20), surface, start, end, [np.inf])
    assert found.state == "loose"


def test_what_cannot_be_is_refused_in_a_line():
    with pytest.raises(UserError, match=r"function_space.*network"):
        connect(FunctionSpace(), RING.surface, [RING.start], [RING.end], [1.0])
    surface = model_surface(MLP((3,)), LINE, MSE)
    start, end = ends(MLP((3,)), LINE)
    with pytest.raises(UserError, match=r"trainer\.batch"):
        connect(FunctionSpace(batch=True), surface, start, end, [1.0])


def test_no_string_takes_more_than_is_said():
    surface = model_surface(MLP((3,)), LINE, MSE)
    start, end = ends(MLP((3,)), LINE)
    method = FunctionSpace(beads=5, steps=10)
    (found,) = connect(method, surface, start, end, [np.inf])
    cost = method.cost(surface, 1, 1)
    assert found.gradient_evaluations == cost.most == surface.count.gradients
    assert found.energy_evaluations <= cost.most_energies
    assert found.beads.nbytes == cost.kept
    longer = replace(method, steps=30).cost(surface, 1, 1)
    assert longer.energies - cost.energies == 20 * 5, "every bead is looked at after every step"
