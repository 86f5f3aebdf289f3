"""Shapes of strings on surfaces where geodesics are known, and of networks by hand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from landscape_cli.experiments.path_shape import PathShape, filters_of
from setups import Mirrored, closed_form, cubic

from landscape_cli.contracts import Dataset, Examples, Gauge
from landscape_cli.gauges.none import NoGauge
from landscape_cli.methods.straight import Straight
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import fitted, network_layout, weight_mask
from landscape_cli.models.cnn import CNN
from landscape_cli.models.ring import Ring
from landscape_cli.networks import surface_of

BRIEF = TautString(bead_steps=600, max_beads=33, evaluations=150, every_start=True)


def records(recipe, setup):
    """The last version of every record."""
    return {record.name: record for record in recipe.run(setup)}


def test_the_geodesic_of_a_ring_is_two_tangents_and_an_arc():
    """Around the inner circle of {(r² - 1)² <= λ}, of radius √(1 - √λ)."""
    level = 0.1
    setup = closed_form(Ring(3), levels=(level,), pairs=1, method=BRIEF)
    record = records(PathShape(), setup)["path_shape"]
    row = record.data.isel(pair=0, level=0)
    radius = np.sqrt(1 - np.sqrt(level))
    count = int(row["bead_count"])
    assert bool(row["connected"]) and count >= 17
    # It leaves the start along a tangent, follows the circle, and leaves it along a tangent.
    touched = np.arccos(radius)
    turned = np.nansum(row["turning"].values)
    assert turned == pytest.approx(np.pi - 2 * touched, rel=0.03)
    middle = np.abs(row["position"].values - 0.5) < 0.1
    np.testing.assert_allclose(row["curvature"].values[middle], 1 / radius, rtol=0.05)
    # Along the circle d²F/ds² = 4 (r² - 1)
    np.testing.assert_allclose(row["hessian"].values[middle], -4 * np.sqrt(level), rtol=0.05)
    assert float(row["explained"].sum()) == pytest.approx(1, abs=1e-3), "it lies in a plane"
    assert record.data["metric"].values.tolist() == ["all"]
    lengths = radius * (np.pi - 2 * touched) + 2 * np.sqrt(1 - radius**2)
    assert record.normalized_lengths[0, 0, 0] == pytest.approx(lengths / 2, rel=5e-3)


def test_shapes_are_those_of_the_saved_strings():
    setup = cubic(levels=(0.06, 0.03), method=replace(BRIEF, evaluations=60))
    found = records(PathShape(examples=8), setup)
    shapes, strings = found["path_shape"], found["strings"]
    mask = weight_mask(setup.model, setup.dataset)
    for pair in range(2):
        for level in range(2):
            beads = strings.beads(pair, level)
            row = shapes.data.isel(pair=pair, level=level)
            assert int(row["bead_count"]) == len(beads) > 0
            steps = np.diff(beads, axis=0)
            for metric, kept in (("all", slice(None)), ("weights", mask)):
                length = np.linalg.norm(steps[:, kept], axis=1).sum()
                chord = np.linalg.norm((beads[-1] - beads[0])[kept])
                assert float(row["length"].sel(metric=metric)) == pytest.approx(length, rel=1e-12)
                assert float(row["chord"].sel(metric=metric)) == pytest.approx(chord, rel=1e-12)
            assert np.isnan(row["turning"].values[len(beads) :]).all()
    lengths = shapes.normalized_lengths
    assert np.isfinite(lengths).all()
    assert (lengths[..., :3] >= 1 - 1e-12).all(), "flat metrics: no path is shorter than the chord"
    assert {"geodesics", "strings", "path_shape"} == set(found)


def test_outputs_are_compared_as_finely_on_the_chord():
    found = records(PathShape(pieces=3), cubic(levels=(0.05,), method=Straight()))["path_shape"]
    row = found.data.isel(level=0)
    np.testing.assert_array_equal(row["length"], row["chord"])  # the string is the chord
    finer = records(PathShape(pieces=200), cubic(levels=(0.05,), method=Straight()))["path_shape"]
    outputs = [r.data["length"].sel(metric="outputs").values for r in (found, finer)]
    assert (outputs[1] >= outputs[0] - 1e-12).all(), "pieces add up to no less than the whole"


@dataclass(frozen=True)
class Nearer(Gauge):
    """The copy with all signs turned round, where that is closer."""

    def moves(self, surface, references, thetas, key):
        turned = Mirrored().align(surface, references, thetas, key)
        apart = lambda rows: np.linalg.norm(rows - references, axis=1)
        stay, turn = (g.moves(surface, references, thetas, key) for g in (NoGauge(), Mirrored()))
        nearer = (apart(turned) < apart(thetas)).tolist()
        return [(stay, turn)[near][row] for row, near in enumerate(nearer)]


def test_lengths_modulo_a_gauge():
    setup = replace(cubic(levels=(0.05,), method=Straight()), gauges={"signs": Nearer()})
    record = records(PathShape(), setup)["path_shape"]
    row = record.data.isel(level=0)
    assert row["metric"].values.tolist()[-1] == "modulo signs"
    ends = records(PathShape(), setup)["strings"].data["beads"].values[:, 0, [0, -1]]
    turned = Mirrored().align(surface_of(setup), ends[:, 0], ends[:, 1], None)
    expected = np.minimum(
        *(np.linalg.norm(other - ends[:, 0], axis=1) for other in (ends[:, 1], turned))
    )
    np.testing.assert_allclose(row["chord"].sel(metric="modulo signs"), expected, rtol=1e-12)


def test_a_filter_is_what_leads_into_one_unit():
    data = cubic().dataset
    layout = network_layout(fitted(cubic().model, data), data)  # 1-4-1
    assert dict(zip(layout.paths, layout.shapes, strict=True))[("kernel_0",)] == (1, 4)
    filters = filters_of(layout)
    assert filters.tolist() == [-1] * 5 + [0, 1, 2, 3] + [4] * 4
    assert ((filters >= 0) == layout.weight_mask).all()


def test_a_filter_of_a_convolution_is_one_channel():
    split = Examples(np.zeros((2, 8, 8, 3)), np.zeros(2, int), np.full(2, 0.5))
    data = Dataset("blank", split, split, classes=2)
    layout = network_layout(fitted(CNN(channels=(5,), widths=(), kernel=3), data), data)
    filters = filters_of(layout)
    tree = layout.unravel(filters)
    kernel = np.asarray(tree["kernel_0"])
    assert kernel.shape == (3, 3, 3, 5) and (kernel == kernel[0, 0, 0]).all()
    assert len(np.unique(filters)) == 1 + 5 + 2


@pytest.mark.parametrize(("field", "value"), [("pieces", 0), ("examples", 0)])
def test_what_is_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field} must"):
        PathShape(**{field: value})
