"""The recipe on surfaces whose lines are known, and against surfaces built by hand."""

import dataclasses

import numpy as np
import pytest
from landscape_cli.experiments.interpolation import Interpolation
from setups import Mirrored, closed_form, cubic

from landscape_cli.core.string import inside
from landscape_cli.functional import Functional
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.double_well import DoubleWell
from landscape_cli.models.quadratic_bowl import QuadraticBowl
from landscape_cli.trainers.adam import Adam


def last(recipe, setup):
    """The record that is left when a run has finished."""
    *_, found = recipe.run(setup)
    return found


def test_between_two_wells_stands_the_pass():
    setup = closed_form(DoubleWell(3, height=0.7), levels=(0.1, 0.01))
    record = last(Interpolation(), setup)
    np.testing.assert_allclose(record.data["barrier"].values[0, :, 0], 0.7, rtol=1e-12)
    np.testing.assert_allclose(record.data["above_linear"].values[0, :, 0], 0.7, rtol=1e-12)
    np.testing.assert_allclose(record.data["chord"].values[0], 2.0)
    # F = 0.7 (t² - 1)² on the line from -1 to 1, beyond the ends, too
    alphas = record.data["alpha"].values
    exact = 0.7 * ((2 * alphas - 1) ** 2 - 1) ** 2
    np.testing.assert_allclose(record.data["pair_energy"].values[0, 0, 0], exact, atol=1e-12)


def test_a_convex_surface_never_rises():
    record = last(Interpolation(), closed_form(QuadraticBowl(3, 10.0), levels=(0.5, 1e-4)))
    assert record.monotone.all() and (record.data["state"] == "trained").all()
    # Towards the minimum a quadratic is L(0) (1 - α)²; within 5 % of L(0) up to 1 - √0.95.
    assert record.data["plateau"].values == pytest.approx(1 - np.sqrt(0.95), abs=0.015)


def test_lines_of_networks_against_surfaces_built_by_hand():
    setup = cubic()
    record = last(Interpolation(points=4, dense=11), setup)
    key = setup.key("networks")
    begins = initial_thetas(setup.model, setup.dataset, key, 4)
    for index, split in enumerate(record.data["split"].values):
        surface = model_surface(setup.model, setup.dataset, Functional("mse", split))
        row = record.data["energy"].values[:, index]
        alphas = record.data["alpha"].values
        np.testing.assert_allclose(row[:, alphas == 0][:, 0], surface.energies(begins), rtol=1e-12)
        if split == "train":
            assert (row[:, alphas == 1] <= setup.levels[-1]).all()
    # The last level is the solution itself: at 1 on the line, and not off it.
    np.testing.assert_allclose(record.data["along"].values[:, -1], 1, rtol=1e-12)
    np.testing.assert_allclose(record.data["aside"].values[:, -1], 0, atol=1e-12)
    assert record.data["aside"].values[:, 0].max() > 0.01, "training is not a straight line"


def test_a_gauge_gets_a_row_of_its_own_and_keeps_the_outputs():
    setup = dataclasses.replace(cubic(), gauge=Mirrored())
    record = last(Interpolation(points=4, dense=11), setup)
    assert record.data["gauge"].values.tolist() == ["none", "Mirrored"]
    ends = record.data["alpha"].isin([0.0, 1.0])
    raw, moved = record.data["pair_energy"].values[..., ends]
    np.testing.assert_allclose(raw, moved, rtol=1e-10)
    lines = record.data["pair_energy"].values
    assert not np.allclose(lines[0], lines[1]), "another copy, another line"
    assert "barrier_train, Mirrored" in record.summary()


def test_networks_that_get_nowhere_stay_as_rows():
    setup = cubic(levels=(0.05, 1e-9))
    record = last(Interpolation(points=4, dense=11), setup)
    assert (record.data["state"] == "above the lowest level").all()
    assert np.isfinite(record.data["energy"]).all() and np.isnan(record.data["aside"][:, 1]).all()
    nowhere = last(Interpolation(points=4, dense=11), cubic(levels=(1e-9,)))
    assert (nowhere.data["state"] == "not trained").all()
    assert np.isnan(nowhere.data["energy"]).all()
    assert nowhere.summary()["monotone_train"] == "0 of 0"


def test_both_grids_hold_the_ends_exactly():
    for recipe in (Interpolation(), Interpolation(low=-0.3, high=1.7, points=7, dense=4)):
        alphas = recipe.alphas
        assert {0.0, 1.0} <= set(alphas) and (np.diff(alphas) > 1e-9).all()
        assert (alphas[0], alphas[-1]) == (recipe.low, recipe.high)
    line = inside(np.zeros(2), np.ones(2), Interpolation().alphas)
    assert line.shape == (len(Interpolation().alphas), 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("low", 0.1), ("low", -np.inf), ("high", 0.9), ("high", np.nan)),
        *(("points", 1), ("dense", 2), ("plateau", 0.0), ("plateau", np.nan)),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field} must"):
        Interpolation(**{field: value})


def test_the_plan_has_training_and_no_strings():
    plan = Interpolation().plan(closed_form(DoubleWell(2), pairs=3))
    assert (plan.strings, plan.networks, plan.levels) == (0, 6, 1)
    assert plan.descents == 6 * 2000, "closed forms are trained, too"


def test_where_a_network_began_is_no_solution():
    """Below the first level from the beginning: a line of no length, monotone by definition."""
    setup = cubic(levels=(100.0, 1e-9), trainer=Adam(learning_rate=1e200, steps=20))
    record = last(Interpolation(points=4, dense=11), setup)
    assert (record.data["state"] == "diverged").all()
    for name in ("energy", "line_length", "pair_energy"):
        assert np.isnan(record.data[name]).all()
    assert record.summary()["monotone_train"] == "0 of 0"
