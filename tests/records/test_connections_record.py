"""The figures of `Connections`: methods told apart, named from the highest down."""

import re

import numpy as np
import pytest

from landscape_cli import plots
from landscape_cli.records.connections import Connections
from landscape_cli.records.words import in_words

METHODS = [f"method {i}" for i in range(13)]


def connections(heights):
    """One pair whose path by each method rises to the height given for it."""
    record = Connections.empty(
        ["none"], METHODS, [(0, 1)], [0.1], ["train"], t=101, functional="train error", seed=0
    )
    for i, height in enumerate(heights):
        profile = height * (0.1 + np.sin(np.pi * np.linspace(0, 1, 101)))
        record.fill(
            *(0, i, 0, 0), state="taut", profile=profile, height=height, length=1.2, chord=1.0
        )
    return record


def test_methods_differ_in_marks_and_are_named_in_order_of_height():
    heights = np.random.default_rng(0).permutation(np.geomspace(1e-3, 1.0, len(METHODS)))
    with plots.style():
        figures = connections(heights).figures()
    expected = [METHODS[i] for i in np.argsort(-heights)]
    for stem, more in {"profiles": [], "heights": ["median over pairs", "one pair"]}.items():
        said = [text.get_text() for text in figures[stem].legends[0].get_texts()]
        assert said == expected + more
    lines = figures["profiles"].axes[0].lines
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == len(METHODS)
    assert len({line.get_markevery() for line in lines}) == len(METHODS)


def test_short_paths_are_told_apart_beside_long_ones():
    record = connections(np.geomspace(1e-3, 1.0, 5))
    record.data["length"].values[0, :5, 0, 0] = 1.0, 1.1, 1.2, 1.5, 21.0
    with plots.style():
        ax = record.figures()["heights"].axes[0]
    ax.figure.draw_without_rendering()
    ticks = dict(
        zip([text.get_text() for text in ax.get_xticklabels()], ax.get_xticks(), strict=True)
    )
    assert [ticks[name] for name in ("1", "1.1", "1.5", "2")] == pytest.approx([0, 0.1, 0.5, 1])
    places = [
        ax.transAxes.inverted().transform(ax.transData.transform((x, 0.1)))[0] for x in (0.1, 0.2)
    ]
    assert places[1] - places[0] > 0.08, "of the width of the axis"


def test_an_empty_figure_says_so():
    with plots.style():
        figures = connections([]).figures()
    for figure in figures.values():
        assert "no path to draw" in [text.get_text() for text in figure.axes[0].texts]
        assert plots.render(figure, "svg").startswith(b"<?xml")


@pytest.mark.parametrize("stem", ["profiles", "heights"])
def test_the_legend_keeps_clear_of_the_title(stem):
    record = connections(np.geomspace(1e-3, 1.0, len(METHODS)))
    record.data.attrs |= {"model": "a_network", "parameters": 12345, "data": "some_data"}
    record.data.attrs |= {"examples": 50000, "budget": "a_budget_of_mine"}
    with plots.style():
        figure = record.figures()[stem]
        plots.render(figure, "png")
        title = figure._suptitle.get_window_extent()
        assert not figure.legends[0].get_window_extent().overlaps(title)


def test_what_is_pending_is_said():
    record = connections(np.ones(4))
    record.fill(0, 1, 0, 0, state="not connected")
    record.leave_out(0, 4)
    with plots.style():
        titles = [figure.get_suptitle() for figure in record.figures().values()]
    assert all("UNFINISHED:\xa08\xa0of\xa013\xa0rows\xa0pending" in title for title in titles)
    assert record.headline() == (
        "3 of 13 rows connected (3 taut, 1 not connected, 8 pending, 1 left out)"
    )
    with plots.style():
        assert "UNFINISHED" not in connections(np.ones(13)).figures()["heights"].get_suptitle()


def test_the_lowest_level_at_which_most_pairs_are_connected_is_shown():
    record = Connections.empty(["none"], ["a"], [(0, 1), (0, 2)], [0.3, 0.2, 0.1], ["train"])
    for pair, level in [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]:
        record.fill(0, 0, pair, level, state="taut")
    ((_, _, part),) = record.rows()
    assert record.numbers(part)["level"] == 0.2


@pytest.mark.parametrize(
    ("gauges", "head", "first"), [(1, "method", "neb"), (2, "method, gauge", "neb, a")]
)
def test_a_row_of_what_is_shown_is_named_after_its_method(gauges, head, first):
    """Two columns were called `level`: the lowest one, and the methods."""
    methods = ["neb", "straight"]
    record = Connections.empty(["a", "b"][:gauges], methods, [(0, 1)], [0.3, 0.2], ["train"])
    for gauge in range(gauges):
        for method in range(2):
            record.fill(gauge, method, 0, 1, state="taut")
    text = in_words({}, {}, {"connections": record.summary()})
    table = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    (titles,) = [row for row in table if "level" in row]
    assert titles[:2] == [head, "level"] and titles.count("level") == 1
    assert table[table.index(titles) + 1][:3] == [first, "0.2", "1 of 1"]


def test_an_axis_may_span_all_numbers():
    """As of the smallest levels; their ratio overflowed."""
    with plots.style():
        ax = plots.new_figure().subplots()
        ax.set_xscale("log")
        ax.set_xlim(1e-300, 1e20)
        plots.number_axis(ax)
        assert 2 < len(ax.get_xticks()) < 200


def test_the_table_says_medians_of_the_pairs_that_were_tried():
    networks = [(0, 1), (2, 3), (4, 5), (6, 7)]
    record = Connections.empty(["none"], ["neb"], networks, [0.1], ["train"], t=3)
    for pair, height in enumerate([0.05, 0.2, 30.0]):
        state = "loose" if height < 0.1 else "not connected"
        record.fill(0, 0, pair, 0, state=state, height=height, gradient_evaluations=3 + pair)
    record.fill(0, 0, 3, 0, state="end not reached")
    ((*_, part),) = record.rows()
    numbers = record.numbers(part)
    assert numbers["connected"] == "1 of 3" and numbers["height"] == 0.2
    assert numbers["gradient_evaluations"] == 4.0, "a mean over pairs"
