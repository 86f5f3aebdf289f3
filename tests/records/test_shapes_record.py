import json

import numpy as np
import pytest

from landscape_cli import plots
from landscape_cli.core import string
from landscape_cli.core.shape import curvatures, principal, turning_angles
from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.shapes import Shapes

METRICS = ["all", "weights", "filters", "outputs", "modulo matching"]


def arc(count, angle, radius=2.0):
    t = np.linspace(0, angle, count)
    return radius * np.stack([np.cos(t), np.sin(t), 0 * t], axis=1)


def shapes(strings, levels=(0.1, 0.01), metrics=METRICS):
    made = Shapes.empty(
        2, levels, metrics, model="net", functional="train cross-entropy", unit="nats",
    )  # fmt: skip
    for (pair, level), beads in strings.items():
        put(made, pair, level, beads)
    return made


def put(made, pair, level, beads, connected=True):
    coordinates, parts = principal(beads)
    length, chord = float(string.length(beads)), float(string.chord_length(beads))
    metrics = made.data["metric"].values
    made.fill(
        pair, level, connected=connected, position=string.arclength(beads),
        energy=np.full(len(beads), 0.05), turning=turning_angles(beads),
        curvature=curvatures(beads), hessian=np.linspace(-1, 1, len(beads)),
        coordinates=coordinates, parts=parts,
        lengths={name: (length * (1 + i), chord) for i, name in enumerate(metrics)},
    )  # fmt: skip


def test_it_comes_back_with_strings_of_all_sizes(tmp_path):
    made = shapes({(0, 0): arc(9, 1.0), (1, 0): arc(5, 1.0), (0, 1): arc(2, 1.0)})
    put(made, 1, 1, arc(17, np.pi), connected=False)
    put(made, 1, 0, arc(4, 1.0))  # a shorter string replaces a longer one
    (tmp_path / "x.nc").write_bytes(netcdf(made))
    back = read_record(tmp_path / "x.nc")
    assert isinstance(back, Shapes) and back.data.sizes["bead"] == 17
    assert back.data["bead_count"].values.tolist() == [[9, 2], [4, 17]]
    assert np.isnan(back.data["turning"].values[1, 0, 4:]).all()
    assert np.isnan(back.normalized_lengths[1, 1]).all(), "not connected"
    np.testing.assert_allclose(back.spacings[0, 0, :8], 1)
    summary = back.summary()
    assert (summary["strings"], summary["connected"]) == (4, 3)
    # Every bead but the ends turns by an arc: 7/8 and 2/3 of a radian
    assert summary["turning@0.1"] == pytest.approx(np.degrees((7 / 8 + 2 / 3) / 2))
    assert summary["sharpest_turn@0.1"] == pytest.approx(np.degrees((1 / 8 + 1 / 3) / 2))
    assert summary["hessian_max@0.1"] == 1 and summary["spacing_variation@0.1"] < 1e-12
    assert summary["turning@0.01"] == 0 and summary["length_all@0.01"] == pytest.approx(1)
    assert summary["length_modulo_matching@0.01"] == pytest.approx(5)
    assert summary["random_walk_in_one_axis"] == pytest.approx(0.6079, abs=1e-4)
    json.dumps(summary)


def test_the_variation_of_spacing_is_a_standard_deviation():
    made = shapes({})
    put(made, 0, 0, np.array([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0]]))  # 1/2 and 3/2 of the mean
    assert made.summary()["spacing_variation@0.1"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(
            shapes({(i, j): arc(9 + j, 1.0 + i + j) for i in (0, 1) for j in (0, 1)}),
            id="whole", marks=pytest.mark.slow,  # as nine levels are
        ),
        pytest.param(shapes({}), id="nothing"),
        pytest.param(shapes({(0, 0): arc(2, 1.0)}), id="a chord", marks=pytest.mark.slow),
        pytest.param(shapes({(0, 0): arc(3, 1.0)}, metrics=["all"]), id="one bend"),
        pytest.param(
            shapes({(0, j): arc(9, 1.0) for j in range(9)}, levels=np.geomspace(1, 1e-6, 9)),
            id="nine levels",
        ),
        pytest.param(shapes({(0, 0): np.ones((2, 3))}), id="equal ends"),
    ],
)  # fmt: skip
def test_figures_of_odd_results(made):
    with plots.style():
        figures = made.figures()
    assert set(figures) == {"shape", "hessian", "metrics", "principal_axes"}
    assert all(plots.render(figure, "svg").startswith(b"<?xml") for figure in figures.values())
    json.dumps(made.summary())


def test_the_picture_tells_the_control():
    from matplotlib.text import Text

    with plots.style():
        figure = shapes({(0, 0): arc(9, 1.0)}).figures()["principal_axes"]
    said = " ".join(text.get_text() for text in figure.findobj(Text)).replace("\xa0", " ")
    assert "random walk has 61 % + 15 %" in said and "λ = 0.1" in said
