"""Trained networks: barriers fall where they should, and where they cannot they do not."""

from itertools import combinations, permutations, product

import jax
import numpy as np
import pytest
from networks import KEY, barrier

from landscape_cli.contracts import Dataset, Examples, Progress
from landscape_cli.data.digits import Digits
from landscape_cli.functional import Functional
from landscape_cli.gauges.activation_matching import ActivationMatching
from landscape_cli.gauges.straight_through import StraightThrough
from landscape_cli.gauges.weight_matching import WeightMatching
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.mlp import MLP
from landscape_cli.symmetry import symmetry_of
from landscape_cli.trainers.adam import Adam


@pytest.fixture(scope="module")
def digits():
    """(surface, thetas) of three networks with 64 relu units."""
    dataset, module = Digits().load(jax.random.key(0)), MLP((64,), "relu")
    surface = model_surface(module, dataset, Functional("cross_entropy"))
    thetas = initial_thetas(module, dataset, jax.random.key(1), 3)
    trainer = Adam(learning_rate=0.003, steps=1000)
    found = trainer.descend(surface, thetas, (0.1,), jax.random.key(2), Progress())
    assert found.reached.all()
    return surface, found.thetas[:, 0]


@pytest.mark.parametrize(
    "gauge",
    [
        WeightMatching(),
        WeightMatching(scales=True),
        ActivationMatching(),
        StraightThrough(steps=10),
    ],
    ids=["weights", "with scales", "activations", "straight through"],
)
def test_aligned_digits_have_a_lower_barrier(digits, gauge):
    """Half the raw barrier at most; measured: a tenth."""
    surface, thetas = digits
    first, second = map(list, zip(*combinations(range(3), 2), strict=True))
    moved = gauge.align(surface, thetas[first], thetas[second], KEY)
    for start, raw, end in zip(thetas[first], thetas[second], moved, strict=True):
        assert barrier(surface, start, end) < 0.5 * barrier(surface, start, raw)


def test_merged_digits_have_a_lower_mean(digits):
    """The mean of three networks in one order is a network; that of three raw ones is not."""
    surface, thetas = digits
    moved = WeightMatching().align_many(surface, thetas, KEY)
    raw, mean = surface.energies(np.stack([thetas.mean(0), moved.mean(0)]))
    assert mean < 0.5 * raw


def quadrant():
    """Label 1 where x1 < 0 < x2, on a grid that touches neither axis."""
    axis = (np.arange(40) + 0.5) / 20 - 1
    inputs = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    classes = ((inputs[:, 0] < 0) & (inputs[:, 1] > 0)).astype(np.int32)
    examples = Examples(inputs, classes, np.full(len(inputs), 1 / len(inputs)))
    return Dataset("quadrant", examples, examples, classes=2)


def exact(rows):
    """min(relu(-x1), relu(x2)) > 0: a - relu(a - b), where `rows` say which is a and which b."""
    output = np.array([[0.0, 1.0], [0.0, -1.0]])
    kernels = {"kernel_0": np.diag([-1.0, 1.0]), "kernel_1": np.array(rows, float).T}
    biases = {f"bias_{layer}": np.zeros(2) for layer in range(3)}
    return {"params": kernels | {"kernel_2": output} | biases}


@pytest.mark.slow
def test_the_quadrant_is_joined_by_no_order_of_units():
    """Ainsworth and others' counterexample: two exact solutions, a wall in all four gauges."""
    surface = model_surface(
        MLP((2, 2), "relu"), quadrant(), Functional("error", loss="cross_entropy")
    )
    symmetry = symmetry_of(surface, "copy")
    start, end = (symmetry.theta(exact(r)) for r in ([[1, 0], [1, -1]], [[0, 1], [-1, 1]]))
    assert surface.energies(np.stack([start, end])).tolist() == [0, 0]
    tree, two = symmetry.tree(end), list(permutations(range(2)))
    orders = [list(map(np.array, each)) for each in product(two, two)]
    copies = np.stack([symmetry.theta(symmetry.units.permuted(tree, each)) for each in orders])
    assert len(np.unique(copies, axis=0)) == 4
    assert surface.energies(copies).tolist() == [0] * 4
    heights = [barrier(surface, start, copy, 201) for copy in copies]
    assert min(heights) > 0.2, "a quarter of the square is what a constant answer gets wrong"
    for gauge in (WeightMatching(restarts=4), ActivationMatching()):
        (moved,) = gauge.align(surface, start[None], end[None], KEY)
        assert barrier(surface, start, moved, 201) > 0.2
