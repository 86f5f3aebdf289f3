import hashlib
import json
import math

import numpy as np
import pytest

from landscape_cli import plots
from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.furniture import counted
from landscape_cli.records.geodesic import STATES, Geodesics
from landscape_cli.records.geodesic_curves import arrivals
from landscape_cli.records.geodesic_figures import (
    length_figure,
    overview_figure,
    profiles_figure,
    training_figure,
)
from landscape_cli.records.geodesic_marks import (
    apart,
    draw_beads,
    draw_counts,
    draw_failures,
    draw_lengths,
    draw_published,
    level_limits,
)

LEVELS = [0.05, 0.02, 0.01, 0.001]
PUBLISHED = {
    "label": "a paper",
    "level": [0.01, 0.05, 0.3],
    "length": [1.5, 1.1, 1.0],
    "length_error": [0.03, 0.04, math.nan],
    "beads": [20.0, 5.0, 3.0],
}


def synthetic(pairs=6, levels=LEVELS, published=None, fail=0.3, pending=0):
    """Lengths that grow as the level falls; the lowest rows fail with probability `fail`."""
    generator = np.random.default_rng(1)
    record = Geodesics.empty(
        pairs,
        levels,
        2 * pairs,
        t=21,
        model="net",
        functional="train mean squared error",
        plateaux={"best constant": 0.04, "best line": 0.039, "far away": 50.0},
        published=published,
    )
    rows = [(pair, level) for pair in range(pairs) for level in range(len(levels))]
    for pair, level in rows[: len(rows) - pending]:
        if generator.random() < fail:
            state = ("not connected", "diverged", "end not reached")[(pair + level) % 3]
            record.fill(pair, level, state=state, worst_segment=2)
            continue
        record.fill(
            pair,
            level,
            state=("straight", "taut", "loose")[min(level, 2)],
            normalized_length=1 + 0.1 * level * (1 + generator.random()),
            beads=2 + 5 * level + pair,
            peak=levels[level] * 0.99,
            profile=levels[level] * np.linspace(0.9, 0.99, 21),
            gradient_evaluations=100,
            seconds=0.5,
        )
    curve = 0.3 * np.exp(-np.arange(30) / generator.uniform(3, 6, (2 * pairs, 1)))
    curve[0, 20:] = np.nan
    record.data["diverged"].values[0] = True
    record.data["lowest_energy"].values[:] = np.nanmin(curve, axis=1)
    record.set_training(10 * np.arange(30), curve)
    return record


def test_empty_rows_are_pending():
    record = Geodesics.empty(3, LEVELS, 6)
    assert (record.data["state"] == "pending").all() and not record.data["connected"].any()
    assert (record.data["worst_segment"] == -1).all() and record.tried.tolist() == [0] * 4
    summary = record.summary()
    assert summary["pending"] == 12 and math.isnan(summary["lowest_level_all_connected"])


def test_fill_sets_what_follows():
    record = Geodesics.empty(2, LEVELS, 4)
    record.fill(0, 1, state="taut", peak=0.015, normalized_length=1.2)
    record.fill(0, 0, state="straight")
    row = record.data.isel(pair=0, level=1)
    assert bool(row["connected"]) and float(row["margin"]) == pytest.approx(0.25)
    assert float(row["lowest_connected_level"]) == 0.02
    for state in STATES:  # none is cut off by a short string type, not even after a round trip
        record = Geodesics(record.data.assign(state=record.data["state"].astype("<U4")))
        record.fill(1, 1, state=state)
        assert record.data["state"].values[1, 1] == state
    assert math.isnan(record.data["lowest_connected_level"].values[1])


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"state": "lost"}, ValueError),
        ({"lenght": 1.0}, KeyError),
        ({"start_network": 1}, KeyError),
    ],
)
def test_fill_refuses_what_rows_do_not_have(values, error):
    with pytest.raises(error):
        Geodesics.empty(2, LEVELS, 4).fill(0, 0, **values)
    with pytest.raises(TypeError, match="colour"):
        Geodesics.empty(2, LEVELS, 4, colour="red")


def test_summary_by_hand():
    record = Geodesics.empty(4, [0.1, 0.01], 8)
    for pair, length in enumerate([1.0, 1.1, 1.6]):
        record.fill(pair, 0, state="taut", normalized_length=length, beads=3 + pair)
    record.fill(3, 0, state="loose", normalized_length=1.3, beads=9)
    costs = dict(gradient_evaluations=7, energy_evaluations=11)
    record.fill(0, 1, state="taut", normalized_length=2.0, seconds=1.5, **costs)
    record.fill(1, 1, state="not connected", normalized_length=9.0, seconds=2.0, **costs)
    record.fill(2, 1, state="end not reached")
    record.data["lowest_energy"].values[:] = np.linspace(0.001, 0.008, 8)
    summary = record.summary()
    assert summary["normalized_length@0.1"] == pytest.approx(1.25)
    deviations = np.array([1.0, 1.1, 1.6, 1.3]) - 1.25
    error = math.sqrt((deviations**2).sum() / 3 / 4)
    assert summary["standard_error@0.1"] == pytest.approx(error)
    assert summary["beads@0.1"] == 5.25
    assert summary["normalized_length@0.01"] == 2.0  # a failed row's length counts for nothing
    assert math.isnan(summary["standard_error@0.01"])
    counts = [summary[f"{name}@0.01"] for name in ("connected", "tried", "end_not_reached")]
    assert counts == [1, 2, 1] and summary["fraction_connected@0.01"] == 0.5
    totals = ("rows", "connected", "taut", "loose", "not_connected", "end_not_reached", "pending")
    assert [summary[name] for name in totals] == [8, 5, 4, 1, 1, 1, 1]
    assert summary["seconds"] == 3.5
    assert (summary["gradient_evaluations"], summary["energy_evaluations"]) == (14, 22)
    assert summary["lowest_level_all_connected"] == 0.1
    assert summary["lowest_level_any_connected"] == 0.01
    assert summary["lowest_energy_best_network"] == 0.001
    assert summary["lowest_energy_worst_network"] == 0.008


def test_a_search_that_diverged_was_tried_too():
    record = Geodesics.empty(4, [0.1], 8)
    for pair, state in enumerate(["taut", "diverged", "end not reached", "end diverged"]):
        record.fill(pair, 0, state=state)
    assert record.tried.tolist() == [2]
    assert record.summary()["end_diverged"] == 1
    assert record.summary()["fraction_connected@0.1"] == 0.5


def test_curves_that_diverge_leave_through_the_top():
    record = synthetic()
    calm = training_figure(record).axes[0].get_ylim()
    curves = record.data["training_curve"].values.copy()
    curves[0, 3:] = np.geomspace(1e3, 1e308, 27)
    record.set_training(record.data["training_step"].values, curves)
    assert training_figure(record).axes[0].get_ylim() == pytest.approx(calm, rel=0.2)
    record.data["diverged"].values[:] = True
    assert np.isfinite(overview_figure(record).axes[-1].get_ylim()).all()


def test_plateaux_that_are_not_finite_are_left_out():
    record = synthetic()
    record.data.attrs["plateaux"] = '{"best constant": null, "best line": 0.04}'
    assert record.plateaux == {"best line": 0.04}
    assert set(record.figures()) == {"length", "beads", "profiles", "training", "overview"}


def test_the_level_axis_reaches_a_plateau_that_is_near_and_none_that_is_far():
    record = Geodesics.empty(1, [0.1, 0.05], 2, plateaux={"near": 0.25, "far": 5.0})
    low, high = level_limits(record)
    assert 0.04 < low < 0.05 and 0.25 < high < 0.4
    low, high = level_limits(Geodesics.empty(1, [0.02], 2, published=PUBLISHED))
    assert low < 0.01 and high > 0.3, "and what is published"


def test_labels_are_kept_apart_from_the_highest_level_down():
    levels = np.array([0.01, 0.0101, 0.0102, 0.1])
    ax = plots.new_figure().subplots()
    record = Geodesics.empty(1, list(levels[::-1]), 2)
    assert apart(ax, record, levels, 26).tolist() == [3, 2]
    assert apart(ax, record, levels, 0).tolist() == [3, 2, 1, 0]


def test_published_energies_are_numbers_and_lines_of_their_own():
    published = {"level": [], "marks": {"loss of saddles": 0.03}, "numbers": {"saddles": 28}}
    record = synthetic(published=published)
    summary = record.summary()
    assert summary["published_loss_of_saddles"] == 0.03 and summary["published_saddles"] == 28
    axes = length_figure(record).axes[0]
    upright = [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1]
    assert 0.03 in upright and 0.03 not in [
        line.get_xdata()[0] for line in length_figure(synthetic()).axes[0].lines
    ]
    assert "published loss of saddles 0.03" in [t.get_text().strip() for t in axes.texts]


def test_distance_to_published_values():
    record = Geodesics.empty(2, [0.05, 0.02, 0.01], 4, published=PUBLISHED)
    for pair, length in enumerate([1.3, 1.5]):  # mean 1.4, standard error 0.1
        record.fill(pair, 0, state="taut", normalized_length=length, beads=4)
        record.fill(pair, 1, state="taut", normalized_length=length)
    summary = record.summary()
    assert summary["published_length@0.05"] == 1.1
    assert summary["length_z@0.05"] == pytest.approx(0.3 / math.hypot(0.1, 0.04))
    assert math.isnan(summary["length_z@0.01"])  # nothing connected there
    assert summary["published_beads@0.05"] == 5 and math.isnan(summary["beads_z@0.05"])
    assert not [name for name in summary if name.endswith("@0.02") and "published" in name]


@pytest.mark.parametrize(("level", "same"), [(0.05002, True), (0.0505, False)])
def test_a_published_level_is_ours_to_a_part_in_a_thousand(level, same):
    summary = Geodesics.empty(2, [level], 4, published=PUBLISHED).summary()
    assert (f"published_length@{level:g}" in summary) == same


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ({0.05: (1.1, 1.3), 0.01: (1.4, 1.5)}, "2 of 2"),  # z = 0.9 and -0.9
        ({0.05: (1.1, 1.3), 0.01: (1.7, 1.74)}, "1 of 2"),  # z = 6.1 at 0.01
        ({0.05: (1.31, 1.51), 0.01: (1.4, 1.5)}, "2 of 2"),  # z = 2.9 at 0.05
        ({0.05: (1.34, 1.54), 0.01: (1.4, 1.5)}, "1 of 2"),  # z = 3.2
        ({0.05: (1.1, 1.3), 0.01: (1.5,)}, "1 of 2, 1 with too few lengths of ours"),
        ({0.05: (), 0.01: ()}, "0 of 2, 2 with too few lengths of ours"),
    ],
)
def test_the_published_levels_we_agree_with_are_counted(lengths, words):
    """0.3 is published without an error bar, 0.02 is not published: neither counts."""
    levels = [0.3, 0.05, 0.02, 0.01]
    record = Geodesics.empty(2, levels, 4, published=PUBLISHED)
    for level, found in lengths.items():
        for pair, length in enumerate(found):
            record.fill(pair, levels.index(level), state="taut", normalized_length=length)
    name = "published_levels_within_three_standard_errors"
    assert record.summary()[name] == words
    assert name not in Geodesics.empty(2, levels, 4).summary()
    apart = Geodesics.empty(2, [0.5], 4, published=PUBLISHED).summary()
    assert apart[name] == "0 of 0", "no level in common"


EVERY = {"length", "beads", "profiles", "training", "overview"}
# Panels of the overview are all the other figures once more.
STEMS = pytest.mark.parametrize(
    "stems", [{"overview"}, pytest.param(EVERY, marks=pytest.mark.slow)], ids=len
)


def digest(record, stems):
    """Of figures as text, in which equal things have names, and of one as pixels."""
    with plots.style():
        figures = record.figures()
    assert set(figures) == EVERY
    kinds = [*((stem, "svg") for stem in stems), ("beads", "png")]
    return {
        (stem, kind): hashlib.sha256(plots.render(figures[stem], kind)).hexdigest()
        for stem, kind in kinds
    }


@STEMS
def test_equal_data_give_equal_bytes(stems):
    first, second = (digest(synthetic(published=PUBLISHED), stems) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "settings",
    [
        {"pairs": 1, "fail": 0},
        {"fail": 1},
        {"pending": 13},
        {"levels": [0.1]},
        {"levels": [0.11, 0.1], "pairs": 2},
        {"levels": [500.0, 1e-7]},
        {"pairs": 2, "pending": 8},
    ],
    ids=str,
)
@STEMS
def test_figures_of_odd_results(settings, stems):
    record = synthetic(**settings)  # warnings are errors: empty means, logs of zero, no room
    with plots.style():
        figures = record.figures()
    assert set(figures) == EVERY
    assert all(plots.render(figures[stem], "svg").startswith(b"<?xml") for stem in stems)
    json.dumps(record.summary())


def test_too_few_lengths_have_no_bootstrap_band():
    for pairs, shown in ((4, False), (5, True)):
        with plots.style():
            figure = length_figure(synthetic(pairs=pairs, fail=0))
        assert ("95 % bootstrap interval" in words(figure)) == shown


def drawn(draw, record, *more):
    with plots.style():
        ax = plots.new_figure().subplots()
        draw(ax, record, *more)
    return ax


@pytest.mark.parametrize(
    ("draw", "mean", "error"),
    [(draw_lengths, "mean", "error"), (draw_beads, "beads", "beads_error")],
)
def test_means_and_their_errors_stand_at_their_levels(draw, mean, error):
    """Levels come from the highest down, and axes rise."""
    record = synthetic(fail=0.2)
    found = record.statistics()
    (bars,) = drawn(draw, record).containers
    line, _, (errors,) = bars.lines
    np.testing.assert_allclose(line.get_xydata(), np.stack([LEVELS, found[mean]], 1)[::-1])
    expected = np.stack([found[mean] - found[error], found[mean] + found[error]], 1)
    np.testing.assert_allclose(np.array(errors.get_segments())[:, :, 1], expected[::-1])


def test_the_bootstrap_band_stands_at_its_levels():
    record = synthetic(pairs=5, fail=0)
    found = record.statistics(bootstrap=True)
    bands = drawn(draw_lengths, record).collections
    (band,) = (each for each in bands if each.get_label() == "95 % bootstrap interval")
    edge = band.get_paths()[0].vertices
    for level, low, high in zip(LEVELS, found["low"], found["high"], strict=True):
        here = edge[np.isclose(edge[:, 0], level), 1]
        assert (here.min(), here.max()) == pytest.approx((low, high))


def test_fractions_and_failures_stand_at_their_levels():
    record = Geodesics.empty(2, LEVELS, 4)
    for level in range(4):
        record.fill(0, level, state="taut" if level < 3 else "not connected")
        record.fill(1, level, state="taut" if level < 2 else "diverged")
    (line,) = drawn(draw_counts, record).lines
    np.testing.assert_array_equal(
        line.get_xydata(), [[1e-3, 0], [0.01, 0.5], [0.02, 1], [0.05, 1]]
    )
    marks = {
        line.get_label(): line.get_xydata().tolist() for line in drawn(draw_failures, record).lines
    }
    assert marks == {"not connected": [[1e-3, 0.25]], "diverged": [[0.01, 0.75], [1e-3, 0.75]]}


def test_published_points_have_their_own_errors():
    published = {"level": [0.05, 0.01], "length": [1.1, 1.5], "length_error": [0.04, 0.03]}
    ax = drawn(draw_published, synthetic(published=published), "length")
    line, _, (errors,) = ax.containers[0].lines
    np.testing.assert_allclose(line.get_xydata(), [[0.01, 1.5], [0.05, 1.1]])
    segments = np.array(errors.get_segments())
    np.testing.assert_allclose(segments[:, :, 1], [[1.47, 1.53], [1.06, 1.14]])


def test_strings_that_were_only_sampled_have_no_rings():
    """None of them could be taut."""
    shown = [str(line.get_label()) for line in drawn(draw_lengths, synthetic(fail=0)).lines]
    assert not [label for label in shown if label.startswith("loose")]


def test_open_rings_lie_on_top_of_the_mean():
    record = synthetic(fail=0)
    record.data["kkt_residual"].values[:] = 0.1
    with plots.style():
        ax = length_figure(record).axes[0]
    (rings,) = (line for line in ax.lines if str(line.get_label()).startswith("loose"))
    assert rings.get_zorder() > max(bars.lines[0].get_zorder() for bars in ax.containers)


@pytest.mark.parametrize(
    "levels", [np.linspace(0.05, 0.036, 8).round(3), np.linspace(0.3, 0.01, 30).round(3)], ids=len
)
def test_crowded_levels_keep_their_counts_and_ticks(levels):
    with plots.style():
        strip = length_figure(synthetic(pairs=3, levels=list(levels), fail=0)).axes[-1]
    if len(levels) == 8:
        assert [text.get_text() for text in strip.texts] == ["3/3"] * 8
    low, high = strip.get_xlim()
    assert sum(low <= tick <= high for tick in strip.get_xticks()) >= 3


def test_margins_are_drawn_and_levels_left_out_are_counted():
    record = synthetic(levels=list(np.geomspace(0.1, 1e-4, 8)), fail=0)
    with plots.style():
        figures = record.figures()
    said = " ".join(words(figures["profiles"])).replace("\xa0", " ")
    assert "6 of 8 levels" in said and "margin below λ, 1 − F/λ" in said
    assert any("4 of 8 levels" in text for text in words(figures["overview"]))
    ax = figures["profiles"].axes[0]
    bottom, top = ax.get_ylim()
    assert bottom > top, "the wall is on top"
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 1 - np.linspace(0.9, 0.99, 21))
    assert bottom > 0 > top > -1e-3, "no string is above it"
    record.data["profile"].values[0, 0, 3] = 1.1 * record.levels[0]  # with published slack
    with plots.style():
        ax = profiles_figure(record).axes[0]
    assert min(np.min(line.get_ydata()) for line in ax.lines) == pytest.approx(-0.1)
    assert ax.get_ylim()[1] < -0.1, "what is above the wall is shown above it"


def test_training_begins_at_zero_and_ends_at_the_crossing():
    record = Geodesics.empty(1, [0.1, 0.01], 2)
    record.data["start_network"].values[:], record.data["end_network"].values[:] = 0, 1
    record.set_training(
        np.array([0, 10, 20, 30]),
        np.array([[1.0, 0.3, 0.05, np.nan], [2.0, 1.0, 0.5, 0.2]]),  # the second never gets there
    )
    record.fill(0, 1, state="end not reached", start_energy=0.009, end_energy=np.nan)
    np.testing.assert_array_equal(arrivals(record), [[20, 30, 0.05, 0.009]])
    with plots.style():
        figure = training_figure(record)
    assert figure.axes[0].get_xlim() == (0, 30)
    assert any("up to 10 steps earlier" in text.replace("\n", " ") for text in words(figure))


def test_who_is_recorded_at_the_crossing_arrived_there():
    record = Geodesics.empty(1, [0.01, 0.1], 2)  # the lowest level need not be the last
    record.data["start_network"].values[:], record.data["end_network"].values[:] = 0, 1
    record.set_training(np.array([0, 10]), np.array([[1.0, 0.005], [2.0, 0.3]]))
    record.fill(0, 0, state="end not reached", start_energy=0.005, end_energy=np.nan)
    np.testing.assert_array_equal(arrivals(record), [[10, 10, 0.005, 0.005]])


def test_one_of_a_kind_is_singular():
    found = [counted(1, "pair"), counted(2, "pair"), counted(0, "minimum", "minima")]
    assert found == ["1 pair", "2 pairs", "0 minima"]


def words(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


def test_the_main_figure_says_what_it_shows():
    with plots.style():
        figure = length_figure(synthetic(published=PUBLISHED, pending=2))
    said = " ".join(words(figure)).replace("\xa0", " ")
    for part in (
        "level λ: train mean squared error",
        "normalized length",
        "a paper",
        "not connected",
    ):
        assert part in said
    assert "best constant 0.04" in said and "far away" not in said
    assert "UNFINISHED: 2 of 24 rows pending" in said
    assert figure.axes[-1].get_xscale() == "log"


@pytest.mark.parametrize("paired", [True, False])
def test_only_pairs_that_are_the_same_at_all_levels_are_joined_by_lines(paired):
    record = synthetic(fail=0)
    record.data.attrs["paired"] = "true" if paired else "false"
    with plots.style():
        figures = record.figures()
    for name in ("length", "beads", "overview"):
        faint = [line for ax in figures[name].axes for line in ax.lines if line.get_alpha() == 0.4]
        assert len(faint) == (12 if name == "overview" else 6)
        assert {line.get_linestyle() for line in faint} == {"-" if paired else "None"}
        assert {line.get_marker() for line in faint} == {"o"}
    said = " ".join(words(figures["length"]))
    assert ("trained for a level" in said) == (not paired)


def test_whether_pairs_are_the_same_is_kept_in_the_file(tmp_path):
    for paired in (True, False):
        (tmp_path / "x.nc").write_bytes(netcdf(Geodesics.empty(1, [0.1], 2, paired=paired)))
        back = read_record(tmp_path / "x.nc")
        assert isinstance(back, Geodesics) and back.paired is paired
    del back.data.attrs["paired"]
    assert back.paired, "a file from before there was the entry"


def test_what_was_not_trained_has_no_training_curves():
    record = Geodesics.empty(2, [0.1], 4, t=5)
    record.fill(0, 0, state="straight", normalized_length=1.0, beads=2, profile=np.zeros(5))
    with plots.style():
        figures = record.figures()
    assert set(figures) == {"length", "beads", "profiles", "overview"}
    assert [ax.get_title() or ax.get_title("left") for ax in figures["overview"].axes] == list(
        "abc"
    )


def test_words_are_not_written_across_a_published_curve():
    for published in (None, PUBLISHED):
        record = Geodesics.empty(2, LEVELS, 4, published=published)
        with plots.style():
            figures = record.figures()
        for name in ("length", "beads", "overview"):
            ax = figures[name].axes[0]
            inside = "no pair is connected" in [text.get_text() for text in ax.texts]
            assert inside == (published is None)
            assert (ax.get_title("right") == "no pair is connected") == (not inside)


def test_style_does_not_leak():
    import matplotlib

    before = matplotlib.rcParams.copy()
    with plots.style():
        plots.render(plots.new_figure(), "png")
    assert matplotlib.rcParams == before


def test_short_numbers():
    shown = [plots.number(x) for x in (0.05, 5e-4, 1234567, 0, 1.234e-5)]
    assert shown == ["0.05", "5e-4", "1.235e6", "0", "1.234e-5"]
    assert plots.number(0.0064581, 3) == "0.00646"


def test_what_is_pending_was_not_tried_and_nothing_more_is_said():
    record = Geodesics.empty(2, LEVELS, 4)
    (said,) = drawn(draw_counts, record).texts
    assert said.get_text() == "no pair was tried yet"
    for pair, level in np.ndindex(2, len(LEVELS)):
        record.fill(pair, level, state="end not reached")
    (said,) = drawn(draw_counts, record).texts
    assert said.get_text() == "at no level were there two ends to connect"


def test_lines_without_labels_are_in_the_legend_once():
    published = {"level": [], "marks": {"loss of saddles": 0.03}}
    with plots.style():
        figures = synthetic(published=published).figures()
    kinds = ("trivial predictors", "published energies")
    for name, times in {"overview": 1, "length": 0}.items():
        said = [text.get_text() for text in figures[name].legends[0].get_texts()]
        assert [said.count(kind) for kind in kinds] == [times, times], name


def test_training_that_diverged_is_drawn_as_far_as_it_went():
    record = Geodesics.empty(1, [0.1, 0.01], 2)
    curves = np.array([[0.2, 1e10, 1e200, 1e260, 1e300], [0.1, 1e9, 1e190, 1e251, np.nan]])
    record.set_training(np.arange(5), curves)
    record.data["diverged"].values[:] = True
    with plots.style():
        figure = training_figure(record)
        plots.render(figure, "svg")
    ax = figure.axes[0]
    low, high = ax.get_ylim()
    assert low < 0.01 and high > 1e200, "not cut off above where it began"
    heights = np.array([line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 5])
    assert (np.isfinite(heights).sum(axis=1) == 4).all(), "no plateau at the top"
    assert sum(low <= tick <= high for tick in ax.get_yticks()) < 12, "numbers do not overlap"
    assert "training diverged in 2 of 2 networks" in figure.get_suptitle().replace("\xa0", " ")


def test_the_headline_of_a_run():
    record = synthetic(pairs=2, levels=[0.05, 0.01, 0.001], fail=0.0, pending=0)
    record.fill(1, 2, state="not connected")
    record.fill(0, 2, state="end not reached")
    first = record.statistics()["mean"]
    assert record.headline() == (
        "4 of 6 connected (2 straight, 2 taut, 1 not connected, 1 end not reached); "
        f"normalized length {first[0]:.4f} at 0.05 and {first[1]:.4f} at 0.01"
    )
    nothing = synthetic(pairs=1, levels=[0.05], pending=1)
    assert nothing.headline() == "0 of 1 connected (1 pending)"
