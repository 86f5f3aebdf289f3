import json

import numpy as np
import pytest

from landscape_cli import plots
from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.minima import Connection, Minima


def network(count=5, connections=None, shift=0.0, **words):
    energies = 0.01 * np.arange(1, count + 1) + shift
    distances = np.abs(np.arange(count)[:, None] - np.arange(count)) + 0.0
    if connections is None:
        connections = [Connection(0, i, 1.0 + shift + 0.1 * i) for i in range(1, count)]
        connections += [Connection(1, 2, 0.5 + shift, round=1, state="loose", beads=7)]
    return Minima.of(
        ["minimum"] * count + ["copy", "not reached"], [*range(count), 0, -1], energies,
        np.full(count, 1e-6), distances, connections,
        model="net", functional="train mean squared error", most_connections=9, levels=[2.0, 0.3],
        **words,
    )  # fmt: skip


def test_it_comes_back_with_its_tree(tmp_path):
    (tmp_path / "x.nc").write_bytes(netcdf(network()))
    back = read_record(tmp_path / "x.nc")
    assert isinstance(back, Minima) and back.name == "network_of_minima"
    # 0-1 at 1.1 and 1-2 at 0.5 take the place of 0-2 at 1.2
    assert back.data["in_tree"].values.tolist() == [True, False, True, True, True]
    assert back.data["bound"].values[0, 2] == pytest.approx(1.1)
    summary = back.summary()
    assert (summary["minima"], summary["starts"], summary["starts_copy"]) == (5, 7, 1)
    assert summary["trees"] == 1 and summary["rounds"] == 2
    assert summary["tree_height_max"] == pytest.approx(1.4)
    assert summary["tree_height_mean"] == pytest.approx((0.5 + 1.1 + 1.3 + 1.4) / 4)
    spread = np.std([0.5, 1.1, 1.3, 1.4], ddof=1)  # no standard error: edges are not independent
    assert summary["tree_height_spread"] == pytest.approx(spread)
    assert "tree_height_error" not in summary
    assert summary["first_round_height_mean"] == pytest.approx(1.25)
    assert summary["height_over_minimum"] == pytest.approx(1.075 / 0.03)
    assert "upper bound" in summary["heights_are"]
    assert (summary["components@2"], summary["components@0.3"]) == (1, 5)
    json.dumps(summary)


def test_a_bound_is_tight_where_nothing_rises_above_the_higher_minimum():
    pairs = [Connection(0, 1, 0.02), Connection(0, 2, 0.04)]  # minima at 0.01, 0.02, 0.03
    assert network(3, pairs).tight().tolist() == [True, False, False]
    assert network(3, pairs, tight=0.3).tight().tolist() == [True, True, True]
    assert network(3, pairs[:1]).tight().tolist() == [True, False, False], "not joined at all"


def test_bounds_below_zero_are_tight_as_those_above():
    record = network(2, [Connection(0, 1, -4.8)], shift=-4.92, tight=0.05)
    assert record.tight().tolist() == [True], "2 % above the higher minimum, at -4.9"


def test_a_formula_has_no_ratio_of_heights():
    """Its zero means nothing."""
    pairs = [Connection(0, 1, 3.0)]
    of_formula = Minima.of(
        ["minimum"] * 2, range(2), [1.0, 2.0], np.zeros(2), np.ones((2, 2)), pairs,
        functional="energy", levels=[],
    )  # fmt: skip
    assert np.isnan(of_formula.summary()["height_over_minimum"])


def test_pairs_without_a_path_count_as_tried():
    record = network(3, [Connection(0, 1, np.nan, state="diverged"), Connection(0, 2, 0.9)])
    assert record.tried[0, 1] and np.isinf(record.heights[0, 1])
    assert record.summary()["connections_without_path"] == 1 and record.summary()["trees"] == 2


@pytest.mark.parametrize(
    "record",
    [
        network(), network(1, []), network(3, []), network(50), network(4, shift=-5.0),
        network(3, [Connection(0, 1, np.nan)]), network(3, [Connection(0, 1, 0.03)]),
    ],
    ids=["whole", "one", "nothing yet", "many", "negative", "no path", "a forest"],
)  # fmt: skip
def test_figures_of_odd_results(record):
    with plots.style():
        figures = record.figures()
    assert set(figures) == {"tree", "components", "bounds"}
    assert all(plots.render(figure, "svg").startswith(b"<?xml") for figure in figures.values())
    json.dumps(record.summary())


def test_the_tree_says_that_its_heights_are_bounds():
    from matplotlib.text import Text

    with plots.style():
        figure = network().figures()["tree"]
    said = [text.get_text() for text in figure.findobj(Text)]
    assert any("upper bound" in words for words in said)
    assert any("train mean squared error" in words for words in said)


def test_the_budget_in_the_heading_is_that_of_the_run():
    record = network()
    assert record.data.attrs["most_connections"] == 9 and "budget" not in record.data.attrs
    record.data.attrs.setdefault("budget", "smoke")  # as a run's folder does
    with plots.style():
        figure = record.figures()["tree"]
    assert "budget\xa0smoke" in figure.get_suptitle()


def test_without_a_minimum_figures_say_how_descents_ended():
    states = ["diverged", "diverged", "not reached"]
    record = Minima.of(
        states, np.full(3, -1), np.zeros(0), np.zeros(0), np.zeros((0, 0)), [], levels=[]
    )
    with plots.style():
        figures = record.figures()
    for figure in figures.values():
        ax = figure.axes[0]
        assert not ax.axison and not figure.legends
        words = "no minimum was found:\n3 descents, 1 not reached, 2 diverged"
        assert ax.texts[0].get_text() == words


def test_figures_without_anything_to_draw_say_why_under_their_heading():
    with plots.style():
        figure = network(3, []).figures()["bounds"]
    (ax,) = figure.axes
    assert not ax.axison and ax.texts[0].get_text() == "no two minima are joined"
    assert figure.get_suptitle().startswith("net")
