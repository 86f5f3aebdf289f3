"""Barriers against size: every number again, from networks trained by hand."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from landscape_cli.experiments import barrier_scan
from landscape_cli.experiments.barrier_scan import BarrierScan
from setups import Mirrored, closed_form, cubic

from landscape_cli.contracts import PathMethod
from landscape_cli.core.string import Found
from landscape_cli.core.verdict import peak
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.methods.neb import NEB
from landscape_cli.methods.straight import Straight
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.double_well import DoubleWell
from landscape_cli.models.mlp import MLP


@dataclass(frozen=True)
class Detour(PathMethod):
    """By way of the middle of the chord, moved off it."""

    level_free: ClassVar[bool] = True

    def connect(self, surface, starts, ends, levels, pairs, progress, initial=None, seed=0):
        assert np.isinf(levels).all()
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            beads = np.stack([start, (start + end) / 2 + 0.1, end])
            top = peak(surface, beads, 40)
            yield row, Found("loose", beads, np.inf, top.energy, gradient_evaluations=7)


def last(recipe, setup):
    """The record that is left when a run has finished."""
    *_, found = recipe.run(setup)
    return found


def trained_by_hand(setup, widths):
    """Networks of one size, on both splits."""
    model = MLP(widths=widths)
    train, test = (
        model_surface(model, setup.dataset, Functional("mse", split))
        for split in ("train", "test")
    )
    thetas = initial_thetas(model, setup.dataset, setup.key("networks"), 2 * setup.pairs)
    run = setup.trainer.descend(train, thetas, setup.levels, setup.key("training"), setup.progress)
    return train, test, run.thetas


def test_chords_of_every_size_by_hand():
    setup = cubic()
    record = last(BarrierScan(widths=(2, 4), depths=(1, 2)), setup)
    assert record.data["barrier"].dims == ("width", "depth", "level", "path", "split", "pair")
    t = np.linspace(0, 1, 4001)[:, None]
    for i, width in enumerate((2, 4)):
        for j, depth in enumerate((1, 2)):
            *surfaces, thetas = trained_by_hand(setup, (width,) * depth)
            assert int(record.data["params"][i, j]) == thetas.shape[-1]
            for level in range(2):
                for pair in range(2):
                    start, end = thetas[2 * pair : 2 * pair + 2, level]
                    for k, surface in enumerate(surfaces):
                        line = surface.energies(start + t * (end - start))
                        barrier = line.max() - (line[0] + line[-1]) / 2
                        found = float(record.data["barrier"][i, j, level, 0, k, pair])
                        assert found == pytest.approx(barrier, rel=1e-4, abs=1e-9)
    assert (record.data["state"] == "joined").all()


def test_gauge_and_method_have_rows_of_their_own():
    setup = replace(cubic(), gauge=Mirrored(), method=Detour())
    record = last(BarrierScan(widths=(4,)), setup)
    assert record.data["path"].values.tolist() == ["chord", "chord, Mirrored", "Detour"]
    barriers = record.data["barrier"].values
    assert np.isfinite(barriers).all() and not np.allclose(
        barriers[:, :, :, 0], barriers[:, :, :, 1]
    )
    assert (record.data["gradient_evaluations"].sel(path="Detour") == 7).all()
    lengths = record.data["normalized_length"]
    np.testing.assert_allclose(lengths.sel(path="chord"), 1)
    assert (lengths.sel(path="Detour") > 1).all()
    assert (record.data["barrier"].sel(path="chord") > -1e-12).all(), "an end is on the path"


@dataclass(frozen=True)
class Chord(Detour):
    """A plug-in's own."""

    straight: ClassVar[bool] = True


def test_a_method_that_is_the_chord_says_so_itself():
    """It went by the name of our class; the chord is among the ways anyway."""
    for method, ways in ((Straight(), 1), (Chord(), 1), (Detour(), 2)):
        record = next(iter(BarrierScan(widths=(2,)).run(cubic(method=method))))
        assert record.data.sizes["path"] == ways


def test_dense_is_for_every_sixth_of_a_chord(monkeypatch):
    """It was said to be for the whole of it, and 50 cost 324."""
    spent = []
    looked = lambda *args: spent.append(peak(*args)) or spent[-1]
    monkeypatch.setattr(barrier_scan, "peak", looked)
    last(BarrierScan(widths=(2,), dense=7), cubic(levels=(0.1,), pairs=1))
    assert len(spent) == 2 and {top.energies for top in spent} == {6 * (7 + 1) + 3 * 3 * 2}


def test_pairs_that_do_not_get_there_are_rows():
    setup = cubic(levels=(0.1, 0.02, 1e-9), trainer=cubic().trainer.__class__(steps=400))
    record = last(BarrierScan(widths=(2, 4)), setup)
    states = record.data["state"].values
    assert (states[..., -1, :] == "end not reached").all() and (
        states[..., 0, :] == "joined"
    ).all()
    assert np.isnan(record.data["barrier"].values[:, :, -1]).all()
    summary = record.summary()
    assert summary["joined_w2_d1@1e-09"] == 0 and summary["pending"] == 0
    nowhere = last(BarrierScan(widths=(2,)), cubic(levels=(1e-9,)))
    assert (nowhere.data["state"] == "end not reached").all()


def test_records_come_size_by_size():
    pending = [
        record.summary()["pending"] for record in BarrierScan(widths=(2, 3, 4)).run(cubic())
    ]
    assert pending == sorted(pending, reverse=True) and pending[0] == 12 and pending[-1] == 0
    assert len(set(pending)) == 4


def test_the_models_own_size_is_taken_where_none_is_asked_for():
    record = last(BarrierScan(widths=(), depths=()), cubic())
    assert record.data["width"].values.tolist() == [4] and record.data["depth"].values == [1]


@pytest.mark.parametrize(
    ("setup", "recipe", "message"),
    [
        (closed_form(DoubleWell(2)), BarrierScan(), "model: DoubleWell has no channels"),
        (cubic(method=TautString()), BarrierScan(), "method: TautString looks inside a level set"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(setup, recipe, message):
    with pytest.raises(UserError, match=message):
        last(recipe, setup)


@pytest.mark.parametrize(
    ("field", "value"),
    [("widths", (4, 0)), ("widths", (4, 4)), ("depths", (0,)), ("depths", (2, 2)), ("dense", 0)],
)
def test_what_is_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field} must"):
        BarrierScan(**{field: value})


def test_the_plan_is_that_of_the_largest_network():
    plan = BarrierScan(widths=(8, 2), depths=(1, 2)).plan(cubic(pairs=3))
    assert plan.surface.dimension == 2 * 8 + 8 * 8 + 8 + 8 + 1  # 1-8-8-1 with biases
    assert plan.strings == 3 * 2 * 4, "chords of every size"
    assert (plan.networks, plan.trainings, plan.levels) == (6, 4, 2)
    ways = cubic(pairs=3, method=NEB(beads=5), gauge=Mirrored())
    assert BarrierScan(widths=(8,)).plan(ways).strings == 3 * 3 * 2, "chords as they are and moved"
