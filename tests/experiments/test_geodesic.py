"""Ends of the recipe `geodesic`: which copies of the networks are joined, level by level."""

from dataclasses import replace

import numpy as np
import pytest
from landscape_cli.experiments.geodesic import Geodesic
from setups import closed_form, cubic

from landscape_cli.gauges.weight_matching import WeightMatching
from landscape_cli.models.mlp import MLP
from landscape_cli.models.quadratic_bowl import QuadraticBowl
from landscape_cli.models.ring import Ring
from landscape_cli.trainers.sgd import Sgd


def ends(setup, **settings):
    """(pair, level, end, param) where strings begin and end."""
    records = {record.name: record for record in Geodesic(**settings).run(setup)}
    strings, rows = records["strings"], records["geodesics"].data
    assert (rows["state"] != "end not reached").all()
    grid = np.ndindex(rows.sizes["pair"], rows.sizes["level"])
    beads = np.array([strings.beads(*at)[[0, -1]] for at in grid])
    return beads.reshape(rows.sizes["pair"], rows.sizes["level"], *beads.shape[1:])


@pytest.mark.parametrize("paired", [True, False])
def test_training_that_diverges_is_a_row_marked_so(paired):
    """Of two networks one gets below the first level and leaves again; nobody gets to the last."""
    setup = cubic((0.2, 1e-9), pairs=2, trainer=Sgd(learning_rate=1.2, momentum=0.9, steps=400))
    *_, record = (r for r in Geodesic(paired=paired).run(setup) if r.name == "geodesics")
    states, diverged = record.data["state"].values, record.data["diverged"].values
    assert diverged.any()
    assert (states[diverged.reshape(2, 2).any(1), 1] == "end diverged").all()
    assert not (states == "end diverged")[~diverged.reshape(2, 2).any(1)].any()
    assert not np.isfinite(record.data["length"].values[states == "end diverged"]).any()
    assert set(record.figures()) >= {"length", "training", "overview"}


@pytest.mark.parametrize("paired", [True, False])
def test_levels_share_a_copy_where_they_share_their_pairs(paired):
    setup = cubic((0.2, 0.1, 0.05), pairs=4, model=MLP((4, 4)))
    raw = ends(setup, paired=paired)
    moved = ends(replace(setup, gauge=WeightMatching()), paired=paired)
    assert np.array_equal(moved[:, :, 0], raw[:, :, 0])
    assert not np.array_equal(moved[:, :, 1], raw[:, :, 1])
    own, copy = np.abs(raw[:, :, 1]), np.abs(moved[:, :, 1])
    for pair in range(4):
        places = np.abs(copy[pair, -1][:, None] - own[pair, -1]).argmin(1)
        assert np.array_equal(np.sort(places), np.arange(copy.shape[-1]))
        assert np.array_equal(copy[pair, -1], own[pair, -1][places])
        if paired:
            assert np.array_equal(copy[pair], own[pair][:, places])


def test_the_plan_counts_trainings():
    """New networks for every level cross one each; closed forms know their ends, or train."""
    count = lambda plan: (plan.strings, plan.networks, plan.levels, plan.trainings)
    assert count(Geodesic().plan(cubic(pairs=3))) == (6, 6, 2, 1)
    apart = Geodesic(paired=False).plan(cubic(pairs=3))
    assert count(apart) == (6, 6, 1, 2) and apart.descents == 2 * 6 * 2000
    known = Geodesic().plan(closed_form(Ring(2), pairs=3))
    assert (known.strings, known.networks, known.copies) == (3, 0, 0)
    trained = Geodesic().plan(closed_form(QuadraticBowl(), pairs=3))
    assert trained.networks == 6, "a formula without known minima"
