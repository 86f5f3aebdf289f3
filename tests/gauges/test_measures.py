"""What each gauge makes least, against all orders tried one by one and sums written by hand."""

from itertools import permutations, product

import jax
import numpy as np
import pytest
from networks import KEY, copy_of, drawn, surface_of, toy
from scipy.optimize import linear_sum_assignment

from landscape_cli.core.energy import spread_out
from landscape_cli.core.symmetry.merging import spread
from landscape_cli.gauges.activation_matching import ActivationMatching
from landscape_cli.gauges.none import NoGauge
from landscape_cli.gauges.scales import Scales
from landscape_cli.gauges.straight_through import StraightThrough
from landscape_cli.gauges.weight_matching import WeightMatching
from landscape_cli.models.mlp import MLP
from landscape_cli.symmetry import symmetry_of

SHAPE = (5,)
SMALL, ODD = MLP((4, 3), "relu"), MLP((3, 3), "tanh")


@pytest.fixture
def wide():
    """A surface of two layers of 16 units."""
    return surface_of(MLP((16, 16), "relu"), SHAPE)


def all_copies(surface, theta, signs=()):
    """Every copy by order, and by signs."""
    symmetry = symmetry_of(surface, "copy")
    sizes = [group.size for group in symmetry.units.groups]
    flips = [list(product(signs or (1.0,), repeat=size)) for size in sizes]
    for orders in product(*(permutations(range(size)) for size in sizes)):
        moved = symmetry.units.permuted(symmetry.tree(theta), [np.array(o) for o in orders])
        for chosen in product(*flips):
            factors = {g: np.array(f) for g, f in enumerate(chosen)}
            yield symmetry.theta(symmetry.signs.times(moved, factors) if signs else moved)


@pytest.mark.parametrize(("module", "signs"), [(SMALL, ()), (ODD, (-1.0, 1.0))])
def test_weight_matching_finds_the_closest_copy_of_all(module, signs):
    surface = surface_of(module, SHAPE)
    one, other = drawn(surface, 2)
    least = min(np.linalg.norm(copy - one) for copy in all_copies(surface, other, signs))
    (moved,) = WeightMatching(restarts=20).align(surface, one[None], other[None], KEY)
    assert np.linalg.norm(moved - one) == pytest.approx(least, rel=1e-12)
    assert least < 0.99 * np.linalg.norm(other - one)


def test_without_signs_there_are_only_orders():
    odd = surface_of(ODD, SHAPE)
    one, other = drawn(odd, 2)
    least = min(np.linalg.norm(copy - one) for copy in all_copies(odd, other))
    gauge = WeightMatching(signs=False, restarts=20)
    (moved,) = gauge.align(odd, one[None], other[None], KEY)
    assert np.linalg.norm(moved - one) == pytest.approx(least, rel=1e-12)


def test_restarts_are_never_worse(wide):
    thetas = drawn(wide, 12)
    found = [
        np.linalg.norm(
            WeightMatching(restarts=n).align(wide, thetas[:6], thetas[6:], KEY) - thetas[:6],
            axis=1,
        )
        for n in (0, 8)
    ]
    assert (found[1] <= found[0] + 1e-12).all() and (found[1] < found[0] - 1e-6).any()


def activations(surface, theta, inputs):
    """(unit, example) of both hidden layers, in NumPy."""
    params = symmetry_of(surface, "copy").tree(theta)["params"]
    one = np.maximum(params["kernel_0"].T @ inputs.T + params["bias_0"][:, None], 0)
    return one, np.maximum(params["kernel_1"].T @ one + params["bias_1"][:, None], 0)


def test_activation_matching_is_one_assignment_per_layer(wide):
    one, other = drawn(wide, 2)
    inputs = toy(SHAPE).train.inputs
    (moved,) = ActivationMatching().align(wide, one[None], other[None], KEY)
    layers = zip(*(activations(wide, theta, inputs) for theta in (one, other, moved)), strict=True)
    for reference, own, found in layers:
        distances = ((reference[:, None] - own[None]) ** 2).sum(-1)
        rows, columns = linear_sum_assignment(distances)
        least = distances[rows, columns].sum()
        assert ((reference - found) ** 2).sum() == pytest.approx(least, rel=1e-9)


def test_activation_matching_takes_only_so_many_examples(wide):
    one, other = drawn(wide, 2)
    few = ActivationMatching(examples=4).align(wide, one[None], other[None], KEY)
    many = ActivationMatching().align(wide, one[None], other[None], KEY)
    assert not np.array_equal(few, many)
    whole = toy(SHAPE).train
    inputs = whole.inputs[spread_out(whole.weights, 4)]
    assert len(np.unique(inputs, axis=0)) == 4
    for reference, own, found in zip(
        *(activations(wide, theta, inputs) for theta in (one, other, few[0])), strict=True
    ):
        distances = ((reference[:, None] - own[None]) ** 2).sum(-1)
        rows, columns = linear_sum_assignment(distances)
        # Units that say nothing on four examples are told apart by weights: up to a millionth.
        least = distances[rows, columns].sum()
        assert ((reference - found) ** 2).sum() == pytest.approx(least, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_straight_through_is_lower_halfway(wide, optimizer):
    thetas = drawn(wide, 6)
    matched = WeightMatching().align(wide, thetas[:3], thetas[3:], KEY)
    gauge = StraightThrough(steps=40, learning_rate=0.05, optimizer=optimizer)
    through = gauge.align(wide, thetas[:3], thetas[3:], KEY)
    halfway = [wide.energies((thetas[:3] + moved) / 2) for moved in (matched, through)]
    assert (halfway[1] <= halfway[0]).all() and (halfway[1] < halfway[0] - 1e-3).any()


def test_factors_are_where_the_distance_is_least(wide):
    """Every factor moved a little makes the distance larger: finite differences."""
    one, other = drawn(wide, 2)
    symmetry = symmetry_of(wide, "copy")
    (moved,) = Scales().align(wide, one[None], other[None], KEY)
    least = np.linalg.norm(moved - one)
    assert least < np.linalg.norm(other - one)
    for group in symmetry.scales.exponents:
        for unit in range(16):
            for factor in (0.999, 1.001):
                factors = np.ones(16)
                factors[unit] = factor
                near = symmetry.scales.times(symmetry.tree(moved), {group: factors})
                assert np.linalg.norm(symmetry.theta(near) - one) > least


def test_balanced_networks_have_equal_norms_on_both_sides(wide):
    (theta,) = drawn(wide, 1)
    scales = symmetry_of(wide, "copy").scales
    tree = symmetry_of(wide, "copy").tree(theta)
    params = scales.times(tree, scales.balancing(tree))["params"]
    incoming = (params["kernel_1"] ** 2).sum(0) + params["bias_1"] ** 2
    outgoing = (params["kernel_2"] ** 2).sum(1)
    assert np.allclose(incoming, outgoing, rtol=1e-9)


def test_copies_of_one_network_are_merged_into_one(wide):
    (theta,) = drawn(wide, 1)
    copies = np.stack([copy_of(wide, theta, seed) for seed in range(3)])
    moved = WeightMatching(restarts=2).align_many(wide, copies, KEY)
    assert spread(copies) > 10
    assert spread(moved) < 1e-20
    assert NoGauge().align_many(wide, copies, KEY) is copies


def test_many_networks_come_closer_and_stay_themselves(wide):
    thetas = drawn(wide, 5)
    moved = WeightMatching().align_many(wide, thetas, KEY)
    assert spread(moved) < 0.9 * spread(thetas)
    assert np.allclose(wide.energies(moved), wide.energies(thetas), rtol=1e-9)
    again = WeightMatching().align_many(wide, thetas, jax.random.key(7))
    assert np.array_equal(moved, again), "the key says everything"
    for i in range(5):  # settled: no network comes closer to the mean of the others
        mean = np.delete(moved, i, axis=0).mean(0)
        (near,) = WeightMatching().align(wide, mean[None], moved[i][None], KEY)
        gained = np.linalg.norm(moved[i] - mean) - np.linalg.norm(near - mean)
        assert gained < 1e-6


def test_one_network_or_none(wide):
    thetas = drawn(wide, 1)
    assert np.array_equal(WeightMatching().align_many(wide, thetas, KEY), thetas)
    assert len(WeightMatching().align_many(wide, thetas[:0], KEY)) == 0
