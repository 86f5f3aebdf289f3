"""The energy's second derivative along a direction against formulas and finite differences."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from small import Normed
from zoo import BOWL, WELLS

from landscape_cli.core.curvature import along
from landscape_cli.functional import Functional
from landscape_cli.models.base import initial_thetas, model_surface, with_stored_statistics
from landscape_cli.models.mlp import MLP
from landscape_cli.models.quadratic_bowl import QuadraticBowl


def unit(rows, params, seed=0):
    draws = np.random.default_rng(seed).normal(size=(rows, params))
    return draws / np.linalg.norm(draws, axis=1, keepdims=True)


def by_differences(surface, points, directions, step):
    """Central second differences of energies."""
    at = lambda s: surface.energies(points + s * directions)
    return (at(step) - 2 * at(0.0) + at(-step)) / step**2


def test_a_quadratic_has_its_own_curvature_everywhere():
    directions = unit(7, 3)
    exact = (QuadraticBowl(3, 10.0).curvatures * directions**2).sum(axis=1)
    points = np.random.default_rng(1).normal(size=(7, 3))
    np.testing.assert_allclose(along(BOWL.surface, points, directions), exact, rtol=1e-13)


def test_a_pass_is_curved_down_across_and_up_along():
    """At the origin F = (x² - 1)² + ½ y² + ½ z² has the Hessian diag(-4, 1, 1)."""
    found = along(WELLS, np.zeros((3, 3)), np.eye(3))
    np.testing.assert_allclose(found, [-4, 1, 1], atol=1e-14)
    assert along(WELLS, np.zeros((1, 3)), 3 * np.eye(3)[:1]) == pytest.approx(-36)


def networks(model, dataset, count=5, **settings):
    surface = model_surface(model, dataset, **settings)
    thetas = initial_thetas(model, dataset, jax.random.key(0), count)
    return surface, thetas


@pytest.fixture(scope="module")
def cubic():
    from landscape_cli.data.polynomial import Polynomial

    return Polynomial((0.0, 3.0, -10.0, 8.0), train=16, test=8).load(jax.random.key(0))


def test_networks_against_finite_differences(cubic):
    surface, thetas = networks(MLP(widths=(4, 4)), cubic, functional=Functional("mse"))
    directions = unit(len(thetas), surface.dimension)
    found = along(surface, thetas, directions)
    # Fourth derivatives over h² below 1e-6, rounding over h² below 1e-7
    np.testing.assert_allclose(
        found, by_differences(surface, thetas, directions, 1e-4), atol=1e-5, rtol=1e-5
    )


def test_blocks_strategies_and_chunks_agree(cubic):
    surface, thetas = networks(MLP(widths=(4,)), cubic, functional=Functional("mse"))
    directions = unit(len(thetas), surface.dimension)
    found = along(surface, thetas, directions)
    for other in (
        {"block": 5},
        {"strategy": "loop"},
        {"strategy": "loop", "block": 5},
        {"chunk": 2},
    ):
        again = along(replace(surface, **other), thetas, directions)
        np.testing.assert_allclose(again, found, rtol=1e-12)


@pytest.mark.parametrize("stored", [False, True])
def test_batch_norm_is_part_of_the_curvature(stored):
    """Statistics computed anew change with θ; stored ones do not."""
    from landscape_cli.contracts import Dataset, Examples

    draws = np.random.default_rng(0)
    images = draws.normal(size=(6, 8, 8, 1))
    split = Examples(images, draws.integers(0, 3, 6), np.full(6, 1 / 6))
    dataset = Dataset("noise", split, split, classes=3)
    surface, thetas = networks(
        Normed(channels=(2, 3)), dataset, 2, functional=Functional("cross_entropy")
    )
    directions = unit(2, surface.dimension)
    if stored:
        surface, lift = with_stored_statistics(surface)
        wide = lift(thetas)
        directions = np.pad(directions, [(0, 0), (0, wide.shape[1] - thetas.shape[1])])
        thetas = wide
    found = along(surface, thetas, directions)
    np.testing.assert_allclose(
        found, by_differences(surface, thetas, directions, 1e-5), rtol=1e-3, atol=1e-3
    )


def test_what_has_no_curvature_is_said():
    assert along(WELLS, np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
    rough = replace(WELLS, smooth=False)
    assert np.isnan(along(rough, np.zeros((2, 3)), unit(2, 3))).all()
    missing = np.array([[np.nan] * 3, [1.0, 0, 0]])
    assert np.isnan(along(WELLS, np.zeros((2, 3)), missing)).tolist() == [True, False]
