"""What moves a bead: tangents against the published cases, spacing against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from landscape_cli.core import respace
from landscape_cli.core import tangent as core
from landscape_cli.core.string import arclength, at, segment_lengths
from landscape_cli.core.tangent import Forces, moves

# One program each; outside of any, every single operation is a program.
tangents = jax.jit(core.tangents, static_argnums=0)
weights = jax.jit(core.weights, static_argnums=0)
respaced = jax.jit(respace.respaced, static_argnums=3)


def published(before, here, after, low, mid, high):
    """Henkelman and Jónsson 2000, equations 8 to 12, case by case; R and V of three beads."""
    back, ahead = here - before, after - here
    if high > mid > low:
        tangent = ahead
    elif high < mid < low:
        tangent = back
    else:
        most = max(abs(high - mid), abs(low - mid))
        least = min(abs(high - mid), abs(low - mid))
        if high < low:
            most, least = least, most
        tangent = ahead * most + back * least
    return tangent / np.linalg.norm(tangent)


def walk(beads, dimension, seed=0):
    return np.random.default_rng(seed).normal(size=(beads, dimension)).cumsum(0)


def test_improved_tangents_are_the_published_ones():
    beads, losses = walk(200, 4), np.random.default_rng(1).normal(size=200)
    ours = tangents("improved", jnp.asarray(beads), jnp.asarray(losses))
    theirs = [published(*beads[i - 1 : i + 2], *losses[i - 1 : i + 2]) for i in range(1, 199)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("losses", [(0, 1, 1), (0, 0, 1), (1, 1, 0), (1, 0, 0)])
def test_a_tangent_turns_without_a_jump_where_a_bead_becomes_an_extremum(losses):
    beads, losses = jnp.asarray(walk(3, 3)), np.array(losses, float)

    def jump(kind, change):
        near = [jnp.asarray(losses + sign * np.array([0, change, 0])) for sign in (-1, 1)]
        one, other = (np.asarray(tangents(kind, beads, x)) for x in near)
        return float(np.linalg.norm(one - other))

    assert jump("improved", 1e-6) < 1e-5 < 0.1 < jump("swapped", 1e-6)
    assert jump("improved", 1e-9) < 1e-8, "it shrinks with the change"


@pytest.mark.parametrize("middle", [2.0, -2.0])
def test_nor_where_the_neighbors_of_an_extremum_change_places(middle):
    beads = jnp.asarray(walk(3, 3))
    left, right = (tangents("improved", beads, jnp.array([x, middle, 0.0])) for x in (-1e-9, 1e-9))
    np.testing.assert_allclose(left, right, atol=1e-8)


def test_swapped_weights_are_those_of_the_published_code():
    """PAPERS.md 2.2: at an extremum with V_{i-1} > V_{i+1}, l_min t_prev + l_max t_next."""
    before, after = weights("swapped", jnp.array([0.5, 2.0, 0.0]))
    assert (float(before[0]), float(after[0])) == pytest.approx((1.5 / 2.0, 1.0))
    before, after = weights("swapped", jnp.array([0.0, 1.0, 3.0]))
    assert (float(before[0]), float(after[0])) == (0.0, 1.0), "between, toward the higher"


@pytest.mark.parametrize("kind", ["improved", "swapped", "central"])
def test_tangents_of_a_string_and_of_its_reverse(kind):
    beads, losses = walk(30, 3), np.random.default_rng(2).normal(size=30).round(0)  # with ties
    there = tangents(kind, jnp.asarray(beads), jnp.asarray(losses))
    back = tangents(kind, jnp.asarray(beads[::-1]), jnp.asarray(losses[::-1]))
    np.testing.assert_allclose(there, -np.asarray(back)[::-1], atol=1e-12)
    flat = tangents(kind, jnp.asarray(beads), jnp.zeros(30))
    np.testing.assert_allclose(np.linalg.norm(flat, axis=1), 1)


def everything(settings, seed=0, spare=0):
    """Moves of a random string, with `spare` copies of its end; and what they are made of."""
    random, count = np.random.default_rng(seed), 12
    beads, losses = walk(count, 5, seed), random.normal(size=count)
    gradients = random.normal(size=(count - 2, 5))
    wide = np.concatenate([beads, np.repeat(beads[-1:], spare, 0)])
    found = moves(
        settings, jnp.asarray(wide), jnp.asarray(np.append(losses, np.full(spare, losses[-1]))),
        jnp.asarray(np.concatenate([gradients, random.normal(size=(spare, 5))])),
        jnp.arange(count - 2 + spare) < count - 2,
    )  # fmt: skip
    tangent = np.asarray(tangents(settings.tangent, jnp.asarray(beads), jnp.asarray(losses)))
    return np.asarray(found.push), np.asarray(found.slide), tangent, beads, losses, gradients


def along(rows, tangent):
    return (rows * tangent).sum(1)


def test_a_band_is_pushed_across_and_slides_along():
    push, slide, tangent, beads, _, gradients = everything(Forces(spring=0.4))
    np.testing.assert_allclose(along(push, tangent), 0, atol=1e-12)
    left = gradients + push
    np.testing.assert_allclose(left, along(left, tangent)[:, None] * tangent, atol=1e-12)
    uneven = np.diff(segment_lengths(beads))
    np.testing.assert_allclose(along(slide, tangent), 0.1 * uneven, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(slide, axis=1), 0.1 * abs(uneven), atol=1e-12)


def test_a_string_is_pushed_down_and_infinite_springs_slide_nothing():
    push, slide, *_, gradients = everything(Forces(project=False))
    np.testing.assert_array_equal(push, -gradients)
    assert not slide.any() and not everything(Forces())[1].any()


def test_weight_decay_comes_before_the_projection():
    push, _, tangent, beads, _, gradients = everything(Forces(weight_decay=0.3))
    total = gradients + 0.3 * beads[1:-1]
    np.testing.assert_allclose(push, along(total, tangent)[:, None] * tangent - total, atol=1e-12)


def test_tops_climb():
    push, slide, tangent, _, losses, gradients = everything(Forces(spring=0.4, climb=True))
    plain = everything(Forces(spring=0.4))
    inner = losses[1:-1]
    top = (inner > losses[:-2]) & (inner > losses[2:])
    assert 0 < top.sum() < len(top)
    mirrored = -gradients + 2 * along(gradients, tangent)[:, None] * tangent
    np.testing.assert_allclose(push[top], mirrored[top], atol=1e-12)
    assert not slide[top].any()
    for ours, theirs in zip((push, slide), plain, strict=False):
        np.testing.assert_array_equal(ours[~top], theirs[~top])


def test_a_second_nudge_is_across_the_string_and_across_the_gradient():
    push, slide, tangent, *_ = everything(Forces(spring=0.4, doubly=True))
    once, same, *_ = everything(Forces(spring=0.4))
    np.testing.assert_array_equal(slide, same)
    extra = push - once
    assert np.linalg.norm(extra, axis=1).min() > 1e-3
    np.testing.assert_allclose(along(extra, tangent), 0, atol=1e-12)
    np.testing.assert_allclose(along(extra, once), 0, atol=1e-11)


@pytest.mark.parametrize("settings", [Forces(), Forces(spring=0.4, doubly=True, climb=True)])
def test_copies_of_the_end_change_nothing_and_stay(settings):
    for short, wide in zip(everything(settings), everything(settings, spare=3), strict=True):
        np.testing.assert_allclose(wide[: len(short)], short, atol=1e-12)
        assert not wide[len(short) :].any()


def put(beads, places, interpolation, spare=0):
    """`respaced`, with `spare` copies of the end."""
    wide = np.concatenate([beads, np.repeat(beads[-1:], spare, 0)])
    places = np.append(places, np.ones(spare))
    inner = jnp.arange(len(wide) - 2) < len(beads) - 2
    found = respaced(jnp.asarray(wide), jnp.asarray(places), inner, interpolation)
    return np.asarray(found)[: len(beads)]


@pytest.mark.parametrize("spare", [0, 4])
def test_beads_are_put_where_they_belong(spare):
    beads, even = walk(9, 3), np.linspace(0, 1, 9)
    random = np.sort(np.random.default_rng(3).uniform(size=9))
    for places in (even, np.concatenate([[0], random[1:-1], [1]])):
        linear = put(beads, places, "linear", spare)
        np.testing.assert_allclose(linear, at(beads, places), atol=1e-13)
        cubic = put(beads, places, "cubic", spare)
        spline = CubicSpline(arclength(beads), beads, bc_type="natural")
        np.testing.assert_allclose(cubic, spline(places), atol=1e-12)
        for found in (linear, cubic):
            np.testing.assert_array_equal(found[[0, -1]], beads[[0, -1]])


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_a_string_without_length_stays(interpolation):
    still = np.ones((5, 2))
    np.testing.assert_array_equal(put(still, np.linspace(0, 1, 5), interpolation), still)
    double = np.array([[0, 0], [0, 0], [1, 0], [1, 1], [1, 1]], float)  # beads on beads
    moved = put(double, np.linspace(0, 1, 5), interpolation)
    np.testing.assert_allclose(moved[2], [1, 0], atol=0.2)
    assert np.isfinite(moved).all()
