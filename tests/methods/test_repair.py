"""REPAIR: statistics are what they should be, by sums written in NumPy, and barriers fall."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.contracts import Dataset, Examples, Progress
from landscape_cli.core.symmetry.rescaling import between, layers, statistics
from landscape_cli.core.verdict import peak
from landscape_cli.data.digits import Digits
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.gauges.weight_matching import WeightMatching
from landscape_cli.methods.repair import Repair
from landscape_cli.methods.straight import Straight
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.cnn import CNN
from landscape_cli.models.linear_net import LinearNet
from landscape_cli.models.mlp import MLP
from landscape_cli.models.resnet import ResNet
from landscape_cli.models.ring import Ring
from landscape_cli.symmetry import symmetry_of
from landscape_cli.trainers.adam import Adam

KEY = jax.random.key(3)
BEADS = 5


def toy(shape, count=40):
    generator = np.random.default_rng(4)
    classes = generator.integers(0, 3, count).astype(np.int32)
    inputs = generator.normal(size=(count, *shape))
    examples = Examples(inputs, classes, np.full(count, 1 / count))
    return Dataset("toy", examples, examples, classes=3)


def two(module, shape):
    """(surface, thetas, inputs) of two random networks."""
    dataset = toy(shape)
    surface = model_surface(module, dataset, Functional("cross_entropy"))
    thetas = initial_thetas(module, dataset, jax.random.key(1), 2)
    thetas = thetas + 0.1 * np.random.default_rng(2).normal(size=thetas.shape)
    return surface, thetas, dataset.train.inputs


def connect(surface, thetas, method, level=np.inf):
    job = thetas[:1], thetas[1:], np.array([level]), np.arange(1)
    ((_, found),) = method.connect(surface, *job, Progress())
    return found


def moments(surface, theta, inputs, activation):
    """Mean and deviation of every hidden unit of an MLP, in NumPy."""
    params = symmetry_of(surface, "test").tree(theta)["params"]
    hidden, found = inputs.T, []
    for layer in range(sum(name.startswith("kernel") for name in params) - 1):
        before = params[f"kernel_{layer}"].T @ hidden
        before = before + params.get(f"bias_{layer}", np.zeros(len(before)))[:, None]
        found.append((before.mean(1), before.std(1)))
        hidden = activation(before)
    return found


@pytest.mark.parametrize("name", ["relu", pytest.param("tanh", marks=pytest.mark.slow)])
def test_means_and_deviations_are_those_between_the_ends(name):
    activation = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}[name]
    surface, thetas, inputs = two(MLP((12,) * 4, name), (6,))
    found = connect(surface, thetas, Repair(beads=BEADS))
    start, end = (moments(surface, theta, inputs, activation) for theta in thetas)
    chord = np.linspace(thetas[0], thetas[1], BEADS)
    for t, bead, raw in zip(np.linspace(0, 1, BEADS), found.beads, chord, strict=True):
        seen = moments(surface, bead, inputs, activation)
        for (mean, spread), (m, s), (n, r) in zip(seen, start, end, strict=True):
            assert np.allclose(mean, (1 - t) * m + t * n, atol=1e-9)
            assert np.allclose(spread, (1 - t) * s + t * r, atol=1e-9)
        before = moments(surface, raw, inputs, activation)[-1][1].mean()
        if 0 < t < 1:
            assert before < 0.9 * seen[-1][1].mean(), "averages vary less: what is repaired"


def test_ends_never_move_by_one_bit():
    surface, thetas, _ = two(MLP((12,) * 4, "relu"), (6,))
    found = connect(surface, thetas, Repair(beads=BEADS))
    assert np.array_equal(found.beads[[0, -1]], thetas)
    assert len(found.beads) == BEADS


def test_layers_without_a_bias_are_only_rescaled():
    surface, thetas, inputs = two(MLP((12,) * 3, "tanh", bias=False), (6,))
    found = connect(surface, thetas, Repair(beads=3))
    start, end, bead = (
        moments(surface, theta, inputs, np.tanh) for theta in (*thetas, found.beads[1])
    )
    for (_, spread), (_, s), (_, r) in zip(bead, start, end, strict=True):
        assert np.allclose(spread, (s + r) / 2, atol=1e-9)


@pytest.mark.parametrize(
    ("module", "shape", "count"),
    [
        (CNN((4, 6), kernel=3, widths=(8,)), (8, 8, 1), 3),
        # of kernels and of norms
        pytest.param(ResNet(8, 4, "B", "layer"), (8, 8, 1), 18, marks=pytest.mark.slow),
        (ResNet(8, 4, "A", "batch"), (8, 8, 1), 14),
        (LinearNet((4, 4)), (5,), 2),
    ],
)
def test_every_hidden_layer_is_repaired(module, shape, count):
    """Looked at in the repaired network itself, by the pass that also measures the ends."""
    surface, thetas, inputs = two(module, shape)
    symmetry = symmetry_of(surface, "test")
    units = symmetry.with_examples(len(inputs))
    assert len(layers(units)) == count
    beads = Repair(beads=3).repaired(symmetry, thetas, jnp.asarray(inputs))
    start, bead, end = (statistics(units, symmetry.tree(theta), inputs) for theta in beads)
    shifted = {layer.number for layer in layers(units) if layer.bias is not None}
    for layer, got, goal in zip(layers(units), bead, between(start, end, 0.5), strict=True):
        assert np.allclose(got[1], goal[1], atol=1e-4)
        if layer.number in shifted:
            assert np.allclose(got[0], goal[0], atol=1e-4)


def test_a_silent_unit_stays_finite():
    surface, thetas, _ = two(MLP((12, 12), "relu"), (6,))
    symmetry = symmetry_of(surface, "test")
    trees = [symmetry.tree(theta) for theta in thetas]
    for tree in trees:
        tree["params"]["kernel_1"][:, 3] = 0
    dead = np.stack([symmetry.theta(tree) for tree in trees])
    assert np.isfinite(connect(surface, dead, Repair(beads=3)).beads).all()


@pytest.fixture(scope="module")
def digits():
    """(surface, thetas) of two aligned networks of six layers of 64 relu units."""
    dataset, module = Digits().load(jax.random.key(0)), MLP((64,) * 6, "relu")
    surface = model_surface(module, dataset, Functional("cross_entropy"))
    thetas = initial_thetas(module, dataset, jax.random.key(1), 2)
    trainer = Adam(learning_rate=0.003, steps=1000)
    found = trainer.descend(surface, thetas, (0.1,), jax.random.key(2), Progress())
    assert found.reached.all()
    ends = found.thetas[:, 0]
    moved = WeightMatching(restarts=2).align(surface, ends[:1], ends[1:], KEY)
    return surface, np.concatenate([ends[:1], moved])


@pytest.mark.slow
def test_the_barrier_of_a_deep_network_falls(digits):
    surface, thetas = digits
    raw, repaired = (connect(surface, thetas, m) for m in (Straight(), Repair()))
    middle = surface.energies(np.stack([thetas.mean(0), repaired.beads[12]]))
    assert middle[1] < 0.8 * middle[0]
    assert repaired.peak < raw.peak
    looked = peak(surface, repaired.beads, Repair().dense).energies
    assert repaired.energy_evaluations == looked + len(repaired.beads)


def test_a_broken_pair_does_not_spoil_the_others():
    surface, thetas, _ = two(MLP((12,) * 2, "relu"), (6,))
    broken = np.where(np.arange(surface.dimension) == 5, np.nan, thetas)
    alone = connect(surface, thetas, Repair(beads=3))
    job = np.stack([broken[0], thetas[0]]), np.stack([broken[1], thetas[1]])
    found = dict(
        Repair(beads=3).connect(surface, *job, np.full(2, np.inf), np.arange(2), Progress())
    )
    assert found[0].state == "diverged"
    assert np.array_equal(found[1].beads, alone.beads)


def test_what_is_refused():
    _, thetas, _ = two(MLP((12,) * 2, "relu"), (6,))
    job = thetas[:1], thetas[1:], np.array([np.inf]), np.arange(1), Progress()
    with pytest.raises(UserError, match="method=repair: a closed form has no hidden units"):
        ends = np.ones((1, 3))
        list(Repair().connect(model_surface(Ring(3)), ends, ends, *job[2:]))
    flat, ends, _ = two(MLP((), "relu"), (6,))
    with pytest.raises(UserError, match="method=repair: MLP has no hidden layer"):
        list(Repair().connect(flat, ends[:1], ends[1:], *job[2:]))
    for field, value in (("beads", 2), ("examples", 0), ("dense", 0)):
        with pytest.raises(ValueError, match=f"^{field}"):
            dataclasses.replace(Repair(), **{field: value})
