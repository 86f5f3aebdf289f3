"""A network and a copy of it are brought together; what is no symmetry is refused."""

import numpy as np
import pytest
from networks import KEY, barrier, chord, copy_of, drawn, surface_of
from small import slow

from landscape_cli.errors import UserError
from landscape_cli.gauges.activation_matching import ActivationMatching
from landscape_cli.gauges.scales import Scales
from landscape_cli.gauges.signs import Signs
from landscape_cli.gauges.straight_through import StraightThrough
from landscape_cli.gauges.weight_matching import WeightMatching
from landscape_cli.models.base import model_surface, with_stored_statistics
from landscape_cli.models.cnn import CNN
from landscape_cli.models.densenet import DenseNet
from landscape_cli.models.mlp import MLP
from landscape_cli.models.resnet import ResNet
from landscape_cli.models.ring import Ring
from landscape_cli.symmetry import symmetry_of

IMAGE = (8, 8, 2)
NETWORKS = {
    "tanh mlp": (MLP((24, 24), "tanh"), (6,)),
    "relu mlp": (MLP((24, 24), "relu"), (6,)),
    "cnn": (CNN((6, 12), kernel=3, widths=(16,)), IMAGE),
    "normed cnn": (CNN((6, 12), kernel=3, widths=(16,), norm="layer"), IMAGE),
    "resnet": (ResNet(8, 6, "A", "layer"), IMAGE),
    "plain resnet": (ResNet(8, 4, "B", "none"), IMAGE),
    "batch norm": (ResNet(8, 4, "A", "batch"), IMAGE),
    "group norm": (ResNet(8, 4, "B", "group", 2), IMAGE),
    "densenet": (DenseNet(10, 4), IMAGE),
}
GAUGES = {
    "weights": WeightMatching(scales=True, restarts=2),
    "activations": ActivationMatching(scales=True),
    "straight": StraightThrough(scales=True, restarts=2, steps=2),
}


QUICK = ("tanh mlp", "relu mlp", "cnn", "group norm")  # others are aligned below, or found alike
CASES = [
    pytest.param(network, "weights", marks=() if network in QUICK else pytest.mark.slow)
    for network in NETWORKS
]
CASES += [
    pytest.param(network, "activations", marks=() if "mlp" in network else pytest.mark.slow)
    for network in NETWORKS
]
CASES += [("tanh mlp", "straight"), ("relu mlp", "straight"), slow("cnn", "straight")]


@pytest.mark.parametrize(("network", "gauge"), CASES)
def test_a_copy_is_brought_back(network, gauge):
    """Permuted, with other signs where that is the same network, and other factors."""
    surface = surface_of(*NETWORKS[network])
    (theta,) = drawn(surface, 1)
    copy = copy_of(surface, theta, signs=True, scales=True)
    energies = chord(surface, theta, copy)
    assert energies[-1] == pytest.approx(energies[0], rel=1e-9)
    assert np.linalg.norm(copy - theta) > 1
    (moved,) = GAUGES[gauge].align(surface, theta[None], copy[None], KEY)
    assert np.linalg.norm(moved - theta) < 1e-4
    assert barrier(surface, theta, moved) < 1e-5


def test_orders_alone_are_exact():
    """Without factors nothing is rounded: the copy comes back bit by bit."""
    surface = surface_of(*NETWORKS["resnet"])
    (theta,) = drawn(surface, 1)
    copy = copy_of(surface, theta)
    (moved,) = WeightMatching(restarts=2).align(surface, theta[None], copy[None], KEY)
    assert np.array_equal(moved, theta)


@pytest.mark.parametrize(
    ("network", "gauge", "kind"),
    [
        ("tanh mlp", Signs(), "signs"),
        ("relu mlp", Scales(), "scales"),
        ("resnet", Scales(), "scales"),
    ],
)
def test_signs_alone_and_factors_alone(network, gauge, kind):
    """The order is put back by hand, so that nothing but signs or factors is left to find."""
    surface = surface_of(*NETWORKS[network])
    (theta,) = drawn(surface, 1)
    symmetry = symmetry_of(surface, "copy")
    copy = symmetry.tree(copy_of(surface, theta, seed=1, **{kind: True}))
    orders = symmetry.units.random(np.random.default_rng(1))  # those of `copy_of`
    copy = symmetry.theta(symmetry.units.permuted(copy, [np.argsort(o) for o in orders]))
    assert np.linalg.norm(copy - theta) > 1
    (moved,) = gauge.align(surface, theta[None], copy[None], KEY)
    assert np.linalg.norm(moved - theta) < 1e-8


def test_statistics_that_are_coordinates_move_with_their_channels():
    surface, lift = with_stored_statistics(surface_of(*NETWORKS["batch norm"]))
    plain = surface_of(*NETWORKS["batch norm"])
    theta = lift(drawn(plain, 1))[0]
    copy = copy_of(surface, theta)
    assert surface.energies(copy) == pytest.approx(surface.energies(theta), rel=1e-9)
    (moved,) = WeightMatching(restarts=2).align(surface, theta[None], copy[None], KEY)
    assert np.array_equal(moved, theta)


def test_outputs_stay_and_references_too():
    surface = surface_of(*NETWORKS["cnn"])
    one, other = drawn(surface, 2)
    given = one.copy(), other.copy()
    for gauge in GAUGES.values():
        (moved,) = gauge.align(surface, one[None], other[None], KEY)
        assert surface.energies(moved) == pytest.approx(surface.energies(other), rel=1e-9)
        assert np.linalg.norm(moved - one) < np.linalg.norm(other - one)
    assert np.array_equal(one, given[0]) and np.array_equal(other, given[1])


@pytest.mark.parametrize("gauge", GAUGES)
def test_a_pair_is_aligned_the_same_in_any_company(gauge):
    surface = surface_of(*NETWORKS["relu mlp"])
    thetas = drawn(surface, 4)
    together = GAUGES[gauge].align(surface, thetas[:2], thetas[2:], KEY)
    alone = GAUGES[gauge].align(surface, thetas[:1], thetas[2:3], KEY)
    assert np.array_equal(together[:1], alone)
    broken = thetas.copy()
    broken[1] = np.nan
    beside = GAUGES[gauge].align(surface, broken[:2], broken[2:], KEY)
    assert np.array_equal(beside[0], together[0])
    assert np.array_equal(beside[1], thetas[3]), "nothing to align with"
    none = GAUGES[gauge].align(surface, thetas[:0], thetas[:0], KEY)
    assert none.shape == (0, surface.dimension)


@pytest.mark.parametrize(
    "gauge", [slow(g) if name == "straight" else g for name, g in GAUGES.items()] + [Signs()]
)
def test_the_order_of_pairs_changes_nothing(gauge):
    """Groups take turns in an order drawn from the pair itself, not from its row."""
    surface = surface_of(MLP((4, 4), "tanh"), (1,))
    one, other = drawn(surface, 12), drawn(surface, 12, seed=1)
    moved = gauge.align(surface, one, other, KEY)
    assert np.array_equal(gauge.align(surface, one[::-1], other[::-1], KEY)[::-1], moved)
    assert np.array_equal(gauge.align(surface, one[1:], other[1:], KEY), moved[1:])


@pytest.mark.parametrize("gauge", [*GAUGES.values(), Signs()])
def test_levels_share_the_copy_of_the_lowest_that_both_reached(gauge):
    """Every number of a network comes from the same place, with the same sign, at all levels."""
    surface = surface_of(MLP((4, 4), "tanh"), (1,))
    begin, change = drawn(surface, 12), drawn(surface, 12, seed=1)
    thetas = np.stack([begin, begin + change, begin + 2 * change], axis=1)
    one, other = thetas[:6], thetas[6:].copy()
    other[0, 2] = np.nan  # one level less
    moved = gauge.align(surface, one, other, KEY)
    assert np.isnan(moved[0, 2]).all()
    for pair, lowest in enumerate([1, 2, 2, 2, 2, 2]):
        given, copy = other[pair, lowest], moved[pair, lowest]
        alone = gauge.align(surface, one[[pair], lowest], given[None], KEY)
        assert np.array_equal(alone[0], copy)
        places = np.abs(copy[:, None] - np.abs(given) * np.sign(copy[:, None])).argmin(1)
        signs = np.sign(copy * given[places])
        levels = slice(lowest + 1)
        assert np.array_equal(moved[pair, levels], signs * other[pair, levels][:, places])
        energies = surface.energies(moved[pair, levels])
        assert np.allclose(energies, surface.energies(other[pair, levels]), rtol=1e-9)


def test_factors_are_those_of_every_level():
    """Orders are shared; how far a unit is stretched is asked for again at every point."""
    surface = surface_of(*NETWORKS["relu mlp"])
    one, other = drawn(surface, 2), drawn(surface, 2, seed=1)
    moved = Scales().align(surface, one[None], other[None], KEY)[0]
    assert np.array_equal(moved, Scales().align(surface, one, other, KEY))


@pytest.mark.parametrize(
    ("gauge", "network", "words"),
    [
        (Scales(), "tanh mlp", "gauge=scales: no hidden unit of MLP may be multiplied"),
        (Signs(), "relu mlp", "gauge=signs: no hidden unit of MLP may change its sign"),
        (Signs(), "resnet", "gauge=signs: no hidden unit of ResNet"),
    ],
)
def test_a_gauge_that_the_network_does_not_have(gauge, network, words):
    surface = surface_of(*NETWORKS[network])
    thetas = drawn(surface, 2)
    with pytest.raises(UserError, match=words):
        gauge.align(surface, thetas[:1], thetas[1:], KEY)
    with pytest.raises(UserError, match=words):
        gauge.check(surface)


@pytest.mark.parametrize("gauge", [*GAUGES.values(), Signs(), Scales()])
def test_a_closed_form_has_no_hidden_units(gauge):
    surface = model_surface(Ring(3))
    with pytest.raises(UserError, match=r"gauge=[a-z_]+: a closed form has no hidden units"):
        gauge.align(surface, np.ones((1, 3)), np.ones((1, 3)), KEY)


def test_a_network_without_hidden_units():
    surface = surface_of(MLP((), "relu"), (6,))
    thetas = drawn(surface, 2)
    with pytest.raises(UserError, match="weight_matching: no hidden units of MLP may change"):
        WeightMatching().align(surface, thetas[:1], thetas[1:], KEY)


def test_a_wrong_symmetry_is_never_returned(monkeypatch):
    surface = surface_of(*NETWORKS["tanh mlp"])
    thetas = drawn(surface, 2)
    wrong = symmetry_of(surface, "copy").tree(thetas[1] + 0.01)
    monkeypatch.setattr(WeightMatching, "move", lambda *_: lambda reference, own: wrong)
    with pytest.raises(RuntimeError, match="gives other outputs"):
        WeightMatching().align(surface, thetas[:1], thetas[1:], KEY)
