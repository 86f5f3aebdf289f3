import json

import numpy as np
import pytest

from landscape_cli import plots
from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.interpolations import (
    Interpolations,
    barriers,
    largest_rise,
    plateau_width,
)

ALPHAS = np.unique(np.round(np.concatenate([np.linspace(-1, 2, 25), np.linspace(0, 1, 101)]), 12))


def record(networks=4, gauges=("none", "matching"), splits=("train", "test")):
    made = Interpolations.empty(
        networks, [0.1, 0.01], list(splits), list(gauges), ALPHAS,
        model="net", functional="train mean squared error", seed=3,
    )  # fmt: skip
    return made


def filled(networks=4):
    """Parabolas of networks; two hills between solutions, the second half as high."""
    made = record(networks)
    levels = np.array([0.01, 0.1, np.nan, 0.01] * networks)[:networks]
    made.set_networks(levels, np.zeros(networks, bool))
    for network in np.flatnonzero(np.isfinite(levels)):
        fall = (1 - ALPHAS) ** 2 + 0.01
        made.fill_network(network, np.stack([fall, fall + 0.1]))
        made.set_track(network, np.array([0.4, 1.0]), np.array([0.3, 0.0]), 2.0)
    for height, gauge in ((1.0, "none"), (0.5, "matching")):
        hill = height * np.sin(np.pi * np.clip(ALPHAS, 0, 1)) + 0.01
        made.fill_pair(gauge, 0, np.stack([hill, hill + 0.2 * ALPHAS]), 3.0)
    return made


def test_rises_by_hand():
    x = np.linspace(0, 1, 6)
    assert largest_rise(x, np.array([5.0, 4, 3, 2, 1, 0])) == 0
    assert largest_rise(x, np.array([5.0, 2, 4, 1, 2, 0])) == 2, "rises do not add up"
    assert largest_rise(x, np.array([5.0, 1, 2, 1.5, 3, 0])) == 2, "a dip does not break one"
    assert largest_rise(np.array([-1, 0, 0.5, 1, 2]), np.array([0.0, 5, 4, 3, 99])) == 0
    assert np.isnan(largest_rise(x, np.array([5.0, 4, np.inf, 2, 1, 0])))


def test_plateaux_by_hand():
    x = np.linspace(0, 1, 101)
    steps = np.where(x <= 0.3, 2.0, 0.5)
    assert plateau_width(x, steps, 0.05) == pytest.approx(0.305)  # up to half of the next gap
    assert plateau_width(x, 2.0 - x, 0.05) == pytest.approx(0.1, abs=0.01)
    assert plateau_width(x, -2.0 + x, 0.05) == pytest.approx(0.1, abs=0.01), "below zero, too"
    uneven = np.array([0.0, 0.1, 0.2, 1.0])
    assert plateau_width(uneven, np.array([1.0, 1.0, 0.5, 1.0]), 0.05) == pytest.approx(0.55)


def test_barriers_by_hand():
    x = np.linspace(-1, 2, 301)
    slope = 1.0 + 2 * x
    assert barriers(x, slope) == pytest.approx((1.0, 0.0), abs=1e-12)  # the end itself
    hill = slope + 4 * np.clip(x * (1 - x), 0, None)
    assert barriers(x, hill)[1] == pytest.approx(1.0)
    # Derivative 2 + 4 - 8 x = 0 at x = 3/4: 2.5 + 0.75 over the mean 2
    assert barriers(x, hill)[0] == pytest.approx(1.25)
    assert np.isnan(barriers(x, np.where(x > 0.5, np.nan, 1.0))).all()


def test_it_comes_back_with_what_it_measured(tmp_path):
    (tmp_path / "x.nc").write_bytes(netcdf(filled()))
    back = read_record(tmp_path / "x.nc")
    assert isinstance(back, Interpolations) and back.name == "interpolation"
    summary = back.summary()
    assert summary["monotone_train"] == "3 of 3" and summary["largest_rise_test_max"] == 0
    assert (summary["trained"], summary["above_the_lowest_level"], summary["not_trained"]) == (
        2, 1, 1,
    )  # fmt: skip
    assert summary["barrier_train"] == pytest.approx(1.0)
    assert summary["barrier_train, matching"] == pytest.approx(0.5)
    assert summary["above_linear_test"] == pytest.approx(1.0)
    assert summary["off_line@0.1"] == pytest.approx(0.3) and summary["off_line@0.01"] == 0
    json.dumps(summary)


def test_rounding_is_no_rise():
    made = record()
    flat = np.full((2, len(ALPHAS)), 0.3)
    flat[:, 40] += 1e-16
    made.fill_network(0, flat)
    assert made.monotone[0].all()
    flat[1, 40] += 1e-9
    made.fill_network(0, flat)
    assert made.monotone[0].tolist() == [True, False]
    assert not made.monotone[1:].any(), "what was not measured is not monotone"


@pytest.mark.parametrize(("precision", "monotone"), [("float32", True), ("float64", False)])
def test_rounding_is_that_of_the_run(precision, monotone):
    made = Interpolations.empty(2, [0.1], ["train"], ["none"], ALPHAS, precision=precision)
    flat = np.full((1, len(ALPHAS)), 0.3)
    flat[:, 40] += 1e-7
    made.fill_network(0, flat)
    assert made.monotone[0] == monotone


def test_who_diverged_says_so():
    made = record()
    made.set_networks(np.array([0.01, 0.1, np.nan, np.nan]), np.arange(4) == 3)
    states = ["trained", "above the lowest level", "not trained", "diverged"]
    assert made.data["state"].values.tolist() == states and made.summary()["diverged"] == 1


def test_training_that_diverged_has_no_lines_and_says_so():
    made = record()
    made.set_networks(np.full(4, np.nan), np.arange(4) > 0)
    summary = made.summary()
    assert summary["monotone_train"] == "0 of 0" and np.isnan(summary["largest_rise_train_max"])
    with plots.style():
        figures = made.figures()
    for figure in figures.values():
        for ax in figure.axes:
            assert not ax.axison and not ax.lines
            words = "no network was trained down to a level:\ntraining diverged in 3 of 4"
            assert [text.get_text() for text in ax.texts] == [words]
    assert figures["from_beginning"].get_suptitle().endswith("3\xa0diverged")


@pytest.mark.parametrize("kind", ["whole", "nothing", "one split", "negative"])
def test_figures_of_odd_results(kind):
    made = {"whole": filled, "nothing": record}.get(kind, filled)()
    if kind == "one split":
        made = Interpolations(made.data.isel(split=[0]))
    if kind == "negative":
        made = Interpolations(made.data.assign(energy=made.data["energy"] - 5))
    with plots.style():
        figures = made.figures()
    assert set(figures) == {"from_beginning", "between_solutions", "off_line"}
    assert all(plots.render(figure, "svg").startswith(b"<?xml") for figure in figures.values())
    json.dumps(made.summary())


def test_every_median_point_names_its_level():
    levels = [0.1, 0.02, 0.01, 0.005, 0.001]
    made = Interpolations.empty(2, levels, ["train"], ["none"], ALPHAS)
    made.set_networks(np.full(2, 0.001), np.zeros(2, bool))
    along, aside = [0.01, 0.6, 0.74, 0.84, 1.0], [0.02, 0.152, 0.142, 0.152, 0.0]
    for network in range(2):
        made.set_track(network, np.array(along), np.array(aside), 1.0)
    with plots.style():
        ax = made.figures()["off_line"].axes[0]
    assert [text.get_text() for text in ax.texts] == [f"{level:g}" for level in levels]
