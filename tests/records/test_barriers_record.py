import json

import numpy as np
import pytest

from landscape_cli import plots
from landscape_cli.records.barriers import Barriers
from landscape_cli.records.encoding import netcdf, read_record

LEVELS = [0.5, 0.1]


def barriers(
    widths=(4, 16, 64), depths=(2,), paths=("chord", "chord, matching"), filled=True, at=0.3
):
    made = Barriers.empty(
        widths, depths, LEVELS, paths, ["train", "test"], 3,
        model="net", functional="train cross-entropy", unit="nats",
    )  # fmt: skip
    if filled:
        made.data["state"].values[:] = "joined"
        size = np.asarray(widths, float).reshape(-1, 1, 1, 1, 1, 1)
        pair = np.array([0.9, 1.0, 1.1])
        split = np.array([[1.0], [5.0]])  # the run's own comes first
        made.data["barrier"].values[:] = at / size * split * pair
    return made


def test_it_comes_back_with_means_and_errors(tmp_path):
    made = barriers()
    made.data["state"].values[2, 0, 1, 0] = "end not reached"
    made.data["barrier"].values[2, 0, 1, :, :, 0] = np.nan
    (tmp_path / "x.nc").write_bytes(netcdf(made))
    back = read_record(tmp_path / "x.nc")
    assert isinstance(back, Barriers) and back.name == "barrier_scan"
    summary = back.summary()
    # 0.9, 1 and 1.1: standard deviation 0.1, over √3
    assert summary["barrier_chord_w4_d2@0.5"] == pytest.approx(0.075)
    assert summary["error_chord_w4_d2@0.5"] == pytest.approx(0.0075 / np.sqrt(3))
    assert summary["joined_w64_d2@0.1"] == 2 and summary["end_not_reached"] == 1
    assert summary["barrier_chord_matching_w64_d2@0.1"] == pytest.approx(0.3 / 64 * 1.05)
    json.dumps(summary)


@pytest.mark.parametrize(
    ("record", "names"),
    [
        pytest.param(
            *each, id=name, marks=pytest.mark.slow if name in ("widths", "depths") else ()
        )
        for name, each in {
            "widths": (barriers(), {"barrier_width", "barrier_training"}),
            "depths": (
                barriers(widths=(4,), depths=(1, 2, 3)),
                {"barrier_depth", "barrier_training"},
            ),
            "both": (
                barriers(widths=(4, 2), depths=(1, 2)),
                {"barrier_width", "barrier_depth", "barrier_training"},
            ),
            "one size": (barriers(widths=(4,), paths=("chord",)), {"barrier_training"}),
            "nothing yet": (barriers(filled=False), {"barrier_width", "barrier_training"}),
            "no barrier": (barriers(at=0.0), {"barrier_width", "barrier_training"}),
            "below the ends": (barriers(at=-0.2), {"barrier_width", "barrier_training"}),
        }.items()
    ],
)
def test_figures_of_odd_results(record, names):
    with plots.style():
        figures = record.figures()
    assert set(figures) == names
    assert all(plots.render(figure, "svg").startswith(b"<?xml") for figure in figures.values())
    json.dumps(record.summary())


def test_size_is_a_logarithmic_axis_with_a_line_for_every_level():
    with plots.style():
        figure = barriers().figures()["barrier_width"]
    ax = figure.axes[0]
    assert ax.get_xscale() == "log" and len(figure.axes) == 2
    shown = [line for line in ax.lines if len(line.get_xdata()) == 3 and line.get_ls() == "-"]
    assert len(shown) == len(LEVELS)
    np.testing.assert_allclose(shown[0].get_ydata(), 0.3 / np.array([4, 16, 64]))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["4", "16", "64"]


def test_without_a_barrier_figures_say_what_became_of_the_pairs():
    record = barriers(filled=False)
    record.data["state"].values[:] = "diverged"
    record.data["state"].values[0] = "end not reached"
    words = "0 of 18 rows joined (6 end not reached, 12 diverged)"
    assert record.headline() == words
    with plots.style():
        figures = record.figures()
    for figure in figures.values():
        (ax,) = figure.axes
        assert not ax.axison and not figure.legends
        assert ax.texts[0].get_text() == f"no barrier to draw:\n{words}"
    assert barriers().headline() == "18 of 18 rows joined"
