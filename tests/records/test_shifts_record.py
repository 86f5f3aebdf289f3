import numpy as np
import pytest

from landscape_cli import plots
from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.shifts import Shifts, edge, gap

LEVELS = [0.18, 0.17, 0.16, 0.15]


def shifts():
    """Excess lengths 0, 0, 1, 0.5 of two equal pairs at the first α; nothing connected after."""
    record = Shifts.empty(
        (0.9, 1.0), 2, LEVELS, 0.1575, "test mean absolute error", model="net", seed=3
    )
    record.data["normalized_length"].values[0] = [1.0, 1.0, 2.0, 1.5]
    return record


def test_an_edge_by_hand():
    # From 2 at 0.16 to 1 at 0.17: 5 % of the excess is left at 95 % of the way.
    assert edge(np.array(LEVELS), np.array([1.0, 1.0, 2.0, 1.5])) == pytest.approx(0.1695)
    assert edge(np.array(LEVELS)[::-1], np.array([1.5, 2.0, 1.0, 1.0])) == pytest.approx(0.1695)
    assert np.isnan(edge(np.array(LEVELS), np.array([2.0, 1.5, 1.2, 1.1]))), "still up there"
    assert np.isnan(edge(np.array(LEVELS), np.full(4, np.nan)))


def test_pairs_that_differ_give_an_edge_an_error_the_same_in_every_call():
    record = shifts()
    record.data["normalized_length"].values[0, 1] += [0.0, 0.02, 0.3, 0.1]
    error, again = (record.edges()[1][0] for _ in range(2))
    assert error == again > 0


@pytest.mark.parametrize(("off", "passed"), [(0.025, True), (0.035, False)])
def test_an_edge_counts_within_three_of_its_errors(monkeypatch, off, passed):
    record = Shifts.empty((1.0,), 2, [0.2, *LEVELS], 0.17, "energy")
    monkeypatch.setattr(Shifts, "edges", lambda _: (np.array([0.17 + off]), np.array([0.01])))
    assert record.rows()[0].passed == passed


def test_it_comes_back_with_the_edges_it_predicts_and_finds(tmp_path):
    (tmp_path / "x.nc").write_bytes(netcdf(shifts()))
    back = read_record(tmp_path / "x.nc")
    assert isinstance(back, Shifts) and back.name == "plateau_shift"
    summary = back.summary()
    assert summary["edge_predicted, alpha 0.9"] == pytest.approx(0.175)
    assert summary["edge_found, alpha 0.9"] == pytest.approx(0.1695)
    assert summary["edge_error, alpha 0.9"] == pytest.approx(0, abs=1e-12), "the pairs are equal"
    assert summary["highest_mean_length, alpha 0.9"] == 2.0
    assert np.isnan(summary["edge_found, alpha 1"])
    first, second = back.rows()
    assert first.passed and first.found.startswith("0.1695")  # within one step of the level grid
    assert not second.passed and second.found == "no spike"


def test_an_edge_without_an_error_is_found_within_a_step_of_the_grid():
    """One pair of four is connected there: most resamples have no edge, so there is no error."""
    record = Shifts.empty((0.9,), 4, LEVELS, 0.1575, "test mean absolute error")
    record.data["normalized_length"].values[0, 0] = [np.nan, np.nan, 2.0, 1.5]
    record.data["normalized_length"].values[0, 1] = [1.0, 1.0, np.nan, np.nan]
    (value,), (error,) = record.edges()
    assert value == pytest.approx(0.1695) and np.isnan(error)
    (row,) = record.rows()
    assert row.passed


def test_the_step_is_that_of_the_grid_at_the_edge():
    levels = np.array([0.3, 0.2, 0.19, 0.18, 0.17])
    assert gap(levels, 0.17) == gap(levels, 0.175) == pytest.approx(0.01)
    assert gap(levels, 0.25) == gap(levels, 0.3) == pytest.approx(0.1)
    assert gap(levels[:1], 0.3) == 0
    wide = Shifts.empty((0.9,), 2, [0.3, 0.2, 0.19, 0.18, 0.17], 0.9 * 0.22, "energy")
    wide.data["normalized_length"].values[0] = [1.0, 2.0, 1.5, 1.5, 1.5]
    assert wide.rows()[0].passed, "read at 0.295, within 0.1 of 0.22"


def test_the_figure_is_drawn_from_the_data():
    with plots.style():
        (figure,) = shifts().figures().values()
        assert plots.render(figure, "svg").startswith(b"<?xml")
    assert figure.get_suptitle().replace("\xa0", " ") == "net · seed 3 · 2 pairs"
    for strip in figure.axes[2:]:
        assert strip.lines[0].get_ydata().tolist() == [1, 1, 1, 1], "all connected"
        assert strip.lines[1].get_ydata().tolist() == [0, 0, 0, 0]
