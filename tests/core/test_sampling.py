"""Dynamic String Sampling: feasible, longer than taut, within its budget; shortcuts."""

from dataclasses import replace
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from small import near
from zoo import connect, dense_peak, ring, rotation

from landscape_cli.core import sampling
from landscape_cli.core.descent import Descended, adam
from landscape_cli.core.sampling import Sampled, Sampling, sample, shortcut
from landscape_cli.core.string import length, normalized_length
from landscape_cli.core.surface import Surface
from landscape_cli.errors import UserError
from landscape_cli.methods.dynamic_string import DynamicString
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import model_surface
from landscape_cli.models.ring import Ring

RING = model_surface(Ring(3))
LEVELS = np.array([0.5, 0.1, 0.02])
START = rotation(3, 4)[0]
STARTS = np.tile(START, (3, 1))


def sampled(**settings):
    return sample(RING, adam(0.01), STARTS, -STARTS, LEVELS, Sampling(**settings))


def test_the_taut_string_is_shorter_and_both_are_feasible():
    loose = connect(DynamicString(), RING, STARTS, -STARTS, LEVELS)
    taut = connect(TautString(), RING, STARTS, -STARTS, LEVELS)
    for one, other in zip(loose, taut, strict=True):
        assert one.connected and other.connected
        assert dense_peak(ring, one.beads) <= one.level
        assert dense_peak(ring, other.beads) <= other.level
        assert 1 <= other.normalized_length < one.normalized_length
        assert other.sampled_length > other.normalized_length


def hills(points, data=None, exp=np.exp):
    """Two hills of height 1 at x = ±0.5, low ground between and around them."""
    x, y = points[..., 0], points[..., 1]
    heights = exp(-(((x - 0.5) / 0.2) ** 2)) + exp(-(((x + 0.5) / 0.2) ** 2))
    return heights * exp(-((y / 0.2) ** 2)) + 0.1 * y**2


HILLS = Surface(partial(hills, exp=jnp.exp), (), 2)
ACROSS = np.tile([[-1.0, 0.05]], (2, 1)), np.tile([[1.0, 0.05]], (2, 1)), np.array([2.0, 0.3])


@pytest.mark.parametrize("insertion", ["worst", "midpoint"])
def test_a_peak_between_the_samples_gets_a_bead(insertion):
    """One sample a segment sees the low ground between the hills, and not the hills."""
    method = DynamicString(points=1, insertion=insertion)
    over, blind = sample(HILLS, adam(0.01), *ACROSS, method.sampling)
    assert over.inside and blind.inside and len(over.beads) == len(blind.beads) == 2
    assert dense_peak(hills, blind.beads) > 0.9
    high, low = connect(method, HILLS, *ACROSS)
    assert high.state == "straight" and high.gradient_evaluations == 0
    assert low.state == "loose" and len(low.beads) > 2
    assert dense_peak(hills, low.beads) <= 0.3
    assert low.gradient_evaluations > 0 and low.energy_evaluations > high.energy_evaluations


@pytest.mark.parametrize("budget", [{"depth": 1}, {"max_beads": 3}, {"bead_steps": 1}])
def test_a_peak_between_the_samples_is_mended_within_the_budget(budget):
    _, low = connect(DynamicString(points=1, **budget), HILLS, *ACROSS)
    assert low.state == "not connected" and low.peak > 0.3
    assert len(low.beads) <= 4
    segment = low.beads[low.worst_segment : low.worst_segment + 2]
    assert dense_peak(hills, segment) == pytest.approx(low.peak, rel=2e-3)


def test_a_published_slack_looks_at_its_own_samples_only():
    _, low = connect(DynamicString(points=1, tau=1.1), HILLS, *ACROSS)
    assert low.state == "straight" and low.peak > 0.9


@pytest.mark.parametrize("insertion", ["worst", "midpoint"])
def test_sampled_strings_are_inside(insertion):
    for string in sampled(insertion=insertion):
        assert string.inside
        assert dense_peak(ring, string.beads, 26) <= string.level * 1.02  # its own grid: 24
        assert np.array_equal(string.beads[[0, -1]], [START, -START])
        middle = ring(string.beads[1:-1])
        assert (middle <= 0.7 * string.level).all(), "beads descend to alpha times the level"
        assert string.gradients > 0 and string.energies > 0


def test_alpha_times_the_level_may_lie_below_the_lowest_energy():
    """A ring on a floor of 1: no bead can go down to 0.77, and 1.1 is all that was asked for."""
    raised = Surface(lambda theta, data: 1 + RING.energy(theta, data), (), 3)
    method, levels = DynamicString(bead_steps=500), np.array([1.3, 1.1, 1.02])
    ends = 0.6 * rotation(3, 4)[1] - 0.8 * STARTS  # not opposite: no bead slides back
    for string in connect(method, raised, STARTS, ends, levels):
        assert string.connected and len(string.beads) > 2
        # Who is below the level when steps run out is not kicked.
        assert string.gradient_evaluations == 500 * (len(string.beads) - 2)
    high = replace(method, bead_steps=1)  # above the level, kicked or not
    for string in connect(high, raised, STARTS, ends, levels):
        assert not string.connected and string.gradient_evaluations == 2 * (len(string.beads) - 2)


def test_beads_descend_below_a_negative_level_too():
    lowered = Surface(lambda theta, data: RING.energy(theta, data) - 1, (), 3)
    job = STARTS[:1], -STARTS[:1], np.array([-0.9]), Sampling(alpha=0.95)
    (string,) = sample(lowered, adam(0.01), *job)
    assert string.inside and len(string.beads) > 2
    assert (ring(string.beads[1:-1]) - 1 <= -0.9 * 1.05 + 1e-12).all()


def test_beads_go_deeper_from_the_fifth_round_on(monkeypatch):
    asked = []

    def stays(surface, optimizer, points, targets, steps, every, seed):
        """On the chord, and says that it arrived."""
        asked.append(targets[0])
        return Descended(points, np.full(len(points), 0.1), np.zeros(len(points), int))

    monkeypatch.setattr(sampling, "descend", stays)
    settings = Sampling(alpha=0.5, deeper=0.8, depth=7, kick=False, max_beads=10**4)
    sample(RING, adam(0.01), STARTS[:1], -STARTS[:1], np.array([0.1]), settings)
    np.testing.assert_allclose(asked, 0.05 * 0.8 ** np.array([0, 0, 0, 0, 1, 2, 3]))


def test_slack_needs_fewer_beads():
    strict = sampled(alpha=0.95)
    slack = sampled(alpha=0.95, tau=1.5)
    assert sum(len(s.beads) for s in slack) < sum(len(s.beads) for s in strict)
    for string in slack:
        assert string.inside
        assert dense_peak(ring, string.beads) <= 1.55 * string.level


def test_three_beads_are_inserted_where_the_chord_is_inside_already():
    near = rotation(3, 4)[0] + [0.01, 0.0, 0.0]
    settings = Sampling(three_beads=True)
    near /= np.linalg.norm(near)
    for wanted, published in ((2, replace(settings, three_beads=False)), (3, settings)):
        (string,) = sample(RING, adam(0.01), START[None], near[None], np.array([0.1]), published)
        assert string.inside and len(string.beads) == wanted


@pytest.mark.parametrize("budget", [{"depth": 1}, {"max_beads": 4}, {"bead_steps": 1}])
def test_budgets_end_a_string_and_are_no_proof(budget):
    string = sampled(**budget)[2]
    assert not string.inside
    assert len(string.beads) <= 6
    assert np.array_equal(string.beads[[0, -1]], [START, -START])


def test_as_many_beads_as_are_allowed_are_no_failure():
    most = len(sampled()[2].beads)
    assert sampled(max_beads=most)[2].inside and not sampled(max_beads=most - 1)[2].inside


def test_a_point_where_the_gradient_vanishes_is_left_by_a_kick():
    """The midpoint of antipodes of the ring is the top of the hill, exactly."""
    start = np.array([1.0, 0.0, 0.0])
    (string,) = sample(
        RING,
        adam(0.01),
        start[None],
        -start[None],
        np.array([0.1]),
        Sampling(insertion="midpoint"),
    )
    assert string.inside


def test_who_comes_to_rest_beside_an_end_slid_back():
    """Within 5 % of the segment, however wide of it."""
    segments = np.tile([[0.0, 0.0], [10.0, 0.0]], (4, 1, 1))
    thetas = np.array([[0.3, 0.3], [9.7, 0.0], [5.0, 0.0], [0.6, 0.0]])
    assert sampling._slid_back(thetas, segments).tolist() == [True, True, False, False]


def test_rounding_does_not_turn_a_kick_around():
    """Else another batch size would change a string by more than rounding."""
    points, segment = np.array([[0.2, 0.3, 0.4]]), np.stack([START, -START])[None]
    ends = np.stack([START, -START])
    kicked = lambda segment, depth, seed=0: sampling._kicked(
        RING, points, sampling._across(segment, [(ends, depth, 0)], seed), np.ones(1)
    )
    moved = kicked(segment, 3) - points
    np.testing.assert_allclose(kicked(segment * (1 + 1e-15), 3) - points, moved, atol=1e-12)
    assert np.linalg.norm(moved) == pytest.approx(0.05 * 2)
    assert moved[0] @ START == pytest.approx(0, abs=1e-12), "across the segment"
    for other in (kicked(segment, 4), kicked(segment, 3, seed=2)):
        assert np.linalg.norm(other - points - moved) > 0.01


@pytest.mark.parametrize("core", [np.inf, np.nan])
def test_where_the_energy_is_not_finite_kicks_go_on_until_it_is(core):
    hole = lambda theta, data: jnp.where(theta @ theta < 0.25, core, theta @ theta)
    surface = Surface(hole, (), 2)
    points, across = np.array([[0.0, 0.0], [0.4, 0.0], [3.0, 0.0]]), np.tile([0.0, 1.0], (3, 1))
    before = surface.count.energies
    kicked = sampling._kicked(surface, points, across, np.array([core, core, 9.0]))
    np.testing.assert_allclose(kicked, [[0.0, 0.8], [0.4, 0.4], [3.0, 0.05]])
    assert surface.count.energies - before == 7 + 9, "only of those that are lost"
    beside = sampling._kicked(surface, np.array([[0.4, 0.25]]), -across[:1], np.array([core]))
    np.testing.assert_allclose(beside, [[0.4, 0.3]], err_msg="to the side that is nearer")
    everywhere = Surface(lambda theta, data: core + theta @ theta, (), 2)
    stuck = sampling._kicked(everywhere, points, across, np.full(3, core))
    assert np.isfinite(stuck).all()


def test_order_and_company_do_not_matter():
    whole = sampled()
    for row in (2, 0, 1):
        (alone,) = sample(
            RING, adam(0.01), STARTS[[row]], -STARTS[[row]], LEVELS[[row]], Sampling()
        )
        np.testing.assert_allclose(alone.beads, whole[row].beads, atol=1e-10)
        assert (alone.gradients, alone.energies) == (whole[row].gradients, whole[row].energies)


def test_shortcuts_never_lengthen_and_never_leave_the_set():
    strings = sampled(alpha=0.5)
    before = [replace(string) for string in strings]
    shortcut(RING, strings)
    assert sum(len(new.beads) for new in strings) < sum(len(old.beads) for old in before)
    for old, new in zip(before, strings, strict=True):
        assert length(new.beads) <= length(old.beads) * (1 + 1e-12)
        assert dense_peak(ring, new.beads, 34) <= new.level * 1.02  # its own grid: 32
        assert np.array_equal(new.beads[[0, -1]], old.beads[[0, -1]])
        assert normalized_length(new.beads) >= 1


@pytest.mark.parametrize("most", [3, 4, 5])
def test_a_string_that_fails_has_no_more_beads_than_it_may(most):
    """The bead too many was in it when it was given up."""
    method = DynamicString(max_beads=most, alpha=0.2, points=6)
    (found,) = connect(method, RING, STARTS[:1], -STARTS[:1], np.array([1e-3]))
    assert found.state == "not connected" and len(found.beads) == most
    assert found.peak > found.level and found.worst_segment in range(most - 1)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_neighbors_only_the_one_that_saves_more_is_cut_off(order):
    """A hump below two corners: each may go, and without both the string crosses it."""
    hump = Surface(
        lambda x, data: jnp.where((jnp.abs(x[0]) < 0.5) & (x[1] < 0.1), 1.0, 0.0), (), 2
    )
    corners = np.array([[-2.0, 0.0], [-1.0, 1.0], [0.8, 0.9], [2.0, 0.0]])
    string = Sampled(corners[::order], 0.5, bad=[])
    shortcut(hump, [string])
    np.testing.assert_array_equal(string.beads, corners[[0, 2, 3]][::order])


def test_shortcuts_leave_two_beads_of_a_convex_set():
    rng = np.random.default_rng(0)
    surface = Surface(lambda theta, data: theta @ theta, (), 3)
    begun = sample(surface, adam(0.01), STARTS[:1], -STARTS[:1], np.array([2.0]), Sampling())
    begun[0].beads = np.concatenate([STARTS[:1], 0.5 * rng.normal(size=(6, 3)), -STARTS[:1]])
    shortcut(surface, begun)
    assert len(begun[0].beads) == 2


def noisy_ring(theta, data):
    """A ring whose examples disagree about where it is."""
    weights, shifts = data
    return weights @ ((theta @ theta - 1) ** 2 + shifts @ theta)


def four(data, key):
    weights, shifts = data
    chosen = near(key, 4, len(weights))
    return weights[chosen] * len(weights) / 4, shifts[chosen]


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_beads_descend_on_mini_batches(strategy):
    shifts = 0.2 * np.random.default_rng(0).normal(size=(12, 3))
    data = jnp.full(12, 1 / 12), jnp.asarray(shifts - shifts.mean(0))
    surface = Surface(noisy_ring, data, 3, batch=four, strategy=strategy)
    method = DynamicString(batch=True, check=5, bead_steps=1000)
    job = STARTS, -STARTS, LEVELS
    found = connect(method, surface, *job)
    assert all(each.connected for each in found)
    for each in found:
        assert dense_peak(ring, each.beads) <= each.level, "on all examples, that is a ring"
        assert each.gradient_evaluations % 5 == 0
    (alone,) = connect(method, surface, *(part[1:2] for part in job))
    np.testing.assert_allclose(alone.beads, found[1].beads, atol=1e-10)
    exact = connect(replace(method, batch=False), surface, *job)
    assert np.abs(exact[2].beads[1] - found[2].beads[1]).max() > 1e-4


def test_mini_batches_have_to_be_drawn_by_someone():
    method = DynamicString(batch=True)
    refused = pytest.raises(UserError, match=r"method\.batch=true: .* set trainer\.batch")
    with refused:
        connect(method, RING, STARTS, -STARTS, LEVELS)
    with refused:
        method.cost(RING, 1, 1)
