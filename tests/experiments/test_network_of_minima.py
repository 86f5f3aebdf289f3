"""Landscape exploration where the tree of passes is known, with paths from a grid."""

import heapq
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from landscape_cli.experiments.barrier_scan import BarrierScan
from landscape_cli.experiments.network_of_minima import Descents, NetworkOfMinima
from setups import Mirrored, closed_form, cubic

from landscape_cli import jax_settings
from landscape_cli.contracts import PathMethod, Progress
from landscape_cli.core.string import Found
from landscape_cli.core.verdict import peak
from landscape_cli.errors import UserError
from landscape_cli.methods.auto_neb import AutoNEB
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.double_well import DoubleWell
from landscape_cli.models.egg_carton import EggCarton
from landscape_cli.models.muller_brown import MullerBrown
from landscape_cli.networks import surface_of
from landscape_cli.trainers.adam import Adam

SHIFT = 146.7
MINIMA = np.array([-146.699517, -108.166724, -80.767818]) + SHIFT  # A, B, C
A_C, C_B = -40.664844 + SHIFT, -72.248940 + SHIFT  # saddles


@dataclass(frozen=True)
class GridPaths(PathMethod):
    """The path of the lowest maximum over a grid in the plane: exact up to its spacing."""

    level_free: ClassVar[bool] = True
    spacing: float = 0.02

    def connect(self, surface, starts, ends, levels, pairs, progress, initial=None, seed=0):
        x, y = np.arange(-1.5, 1.2, self.spacing), np.arange(-0.4, 2.0, self.spacing)
        points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
        energies = surface.energies(points)
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            nodes = [np.linalg.norm(points - at, axis=-1) for at in (start, end)]
            begin, target = (np.unravel_index(n.argmin(), n.shape) for n in nodes)
            inner = points[tuple(np.array(lowest_pass(energies, begin, target)).T)]
            beads = np.concatenate([[start], inner, [end]])
            top = peak(surface, beads, points=10)
            yield row, Found("loose", beads, float(levels[row]), top.energy)


def lowest_pass(energies, begin, target):
    """Grid nodes from `begin` to `target` by the lowest possible maximum."""
    highest, before = {begin: energies[begin]}, {}
    queue = [(energies[begin], begin)]
    while queue:
        height, node = heapq.heappop(queue)
        if node == target:
            break
        for step in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
            near = (node[0] + step[0], node[1] + step[1])
            if not (0 <= near[0] < energies.shape[0] and 0 <= near[1] < energies.shape[1]):
                continue
            reached = max(height, energies[near])
            if reached < highest.get(near, np.inf):
                highest[near], before[near] = reached, node
                heapq.heappush(queue, (reached, near))
    path = [target]
    while path[-1] != begin:
        path.append(before[path[-1]])
    return path[::-1]


def muller_brown(method, levels=(150.0,)):
    return closed_form(MullerBrown(SHIFT), levels, method=method)


def records(recipe, setup):
    """The last version of every record."""
    return {record.name: record for record in recipe.run(setup)}


@pytest.fixture(scope="module")
def explored():
    jax_settings.configure_jax("float64")
    return records(NetworkOfMinima(minima=16), muller_brown(GridPaths()))


def test_random_descents_find_the_three_minima(explored):
    record = explored["network_of_minima"]
    np.testing.assert_allclose(record.energies, MINIMA, atol=1e-5)
    states = record.data["state"].values.tolist()
    assert states.count("minimum") == 3 and states.count("copy") == 13
    assert set(record.data["minimum_of"].values) == {0, 1, 2}
    assert record.data["gradient_norm"].max() < 1e-3
    distances = record.data["distance"].values
    assert distances[0, 1] == pytest.approx(np.hypot(1.181723, 1.413688), abs=1e-4)


def test_the_tree_is_the_known_one(explored):
    """Joining all to A goes twice over the pass A-C; the cut asks for C-B, which is lower."""
    record = explored["network_of_minima"]
    assert record.data.sizes["connection"] == 3
    tree = record.data.isel(connection=record.data["in_tree"].values)
    pairs = {tuple(sorted(pair)) for pair in zip(tree["first"].values, tree["second"].values)}  # noqa: B905
    assert (1, 2) in pairs and len(pairs) == 2
    bounds = record.data["bound"].values
    # The grid passes a saddle at half its spacing, where the walls are steep; never below it.
    for pair, saddle in (((0, 2), A_C), ((0, 1), A_C), ((1, 2), C_B)):
        assert saddle - 1e-6 <= bounds[pair] <= saddle + 0.5
    assert record.summary()["tree_height_max"] == bounds[0, 1]


def test_components_are_counted_below_every_level():
    recipe, levels = NetworkOfMinima(minima=16), (150.0, 107.0, 76.0, 70.0, 50.0, 20.0)
    setup = muller_brown(GridPaths(), levels)
    summary = records(recipe, setup)["network_of_minima"].summary()
    # C appears at 65.9 and joins B at 74.5; both join A at 106.0
    found = [summary[f"components@{level:g}"] for level in levels]
    assert found == [1, 1, 2, 3, 2, 1]


def test_all_paths_are_saved_and_reach_the_heights_that_are_told(explored):
    record, paths = explored["network_of_minima"], explored["paths"]
    surface = surface_of(muller_brown(GridPaths()))
    for row in range(record.data.sizes["connection"]):
        one = record.data.isel(connection=row)
        beads = paths.beads(int(one["path"]))
        dense = [surface.energies(a + np.linspace(0, 1, 50)[:, None] * (b - a)).max()
                 for a, b in pairwise(beads)]  # fmt: skip
        assert float(one["height"]) == pytest.approx(max(dense), rel=1e-4)
        assert float(one["length"]) == pytest.approx(
            np.linalg.norm(np.diff(beads, axis=0), axis=1).sum()
        )


def test_what_comes_later_is_fuller():
    sizes = [
        record.data.sizes["connection"]
        for record in NetworkOfMinima(minima=16, together=1).run(muller_brown(GridPaths()))
        if record.name == "network_of_minima"
    ]
    assert sizes == sorted(sizes) and sizes[0] == 0 and sizes[-1] == 3


def test_chords_of_a_double_well_are_the_tree():
    record = records(NetworkOfMinima(minima=6), closed_form(DoubleWell(2, height=0.4)))
    record = record["network_of_minima"]
    np.testing.assert_allclose(record.energies, [0, 0], atol=1e-10)
    assert record.data["bound"].values[0, 1] == pytest.approx(0.4, rel=1e-6)


def test_elastic_bands_find_the_same_tree():
    """Upper bounds within 0.2 of the saddles, by beads that know of no grid."""
    few = AutoNEB(schedule=((300, 0.01, 9), (400, 0.003, 10)))
    record = records(NetworkOfMinima(minima=16), muller_brown(few))["network_of_minima"]
    bounds = record.data["bound"].values
    for pair, saddle in (((0, 2), A_C), ((0, 1), A_C), ((1, 2), C_B)):
        assert saddle - 1e-6 <= bounds[pair] <= saddle + 0.2


def test_all_minima_of_an_egg_carton_are_joined_at_its_passes():
    brief = AutoNEB(schedule=((150, 0.02, 3), (150, 0.005, 4)))
    recipe = NetworkOfMinima(minima=6)
    record = records(recipe, closed_form(EggCarton(2), method=brief))["network_of_minima"]
    count = record.data.sizes["minimum"]
    assert count > 3
    np.testing.assert_allclose(record.tree_heights, 2, rtol=1e-3)  # few steps
    np.testing.assert_allclose(record.energies % 1, 0, atol=1e-9)
    pairs = count * (count - 1) // 2
    assert record.data.sizes["connection"] <= min(pairs, 2 * (count - 1))


def test_networks_are_left_where_they_crossed_the_lowest_level():
    setup = cubic(pairs=3)
    record = records(NetworkOfMinima(together=2), setup)["network_of_minima"]
    assert record.data.sizes["minimum"] == 6
    assert ((record.energies <= 0.02) & (record.energies > 0.01)).all()
    assert record.data.sizes["connection"] <= 10 and record.summary()["trees"] == 1
    settled = records(NetworkOfMinima(together=2, settle=400), setup)["network_of_minima"]
    assert settled.energies.max() < record.energies.min()


def test_networks_that_do_not_get_there_are_rows():
    setup = replace(cubic(levels=(0.06, 0.02), pairs=3), trainer=Adam(steps=400))
    record = records(NetworkOfMinima(), setup)["network_of_minima"]
    states = record.data["state"].values.tolist()
    assert 0 < states.count("not reached") < 6
    (nothing,) = records(NetworkOfMinima(), cubic(levels=(1e-9,))).values()
    assert nothing.summary()["minima"] == 0 and nothing.summary()["starts_not_reached"] == 4
    nothing.figures()


def test_all_minima_are_moved_to_the_lowest_by_the_gauge():
    setup = cubic(pairs=2)
    plain = records(NetworkOfMinima(), setup)["network_of_minima"]
    moved = records(NetworkOfMinima(), replace(setup, gauge=Mirrored()))["network_of_minima"]
    np.testing.assert_allclose(moved.energies, plain.energies, rtol=1e-10)
    assert not np.allclose(moved.data["distance"][0], plain.data["distance"][0])
    # All but the lowest were turned round alike: their distances from one another stay.
    np.testing.assert_allclose(moved.data["distance"][1:, 1:], plain.data["distance"][1:, 1:])


class Said(Progress):
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def message(self, text):
        self.said.append(text)


@pytest.mark.parametrize("recipe", [NetworkOfMinima(), BarrierScan(widths=(4,))])
def test_training_that_diverged_is_said(recipe):
    progress = Said()
    trainer = Adam(learning_rate=1e200, steps=20)
    setup = cubic(levels=(1e-9,), trainer=trainer, method=AutoNEB(), progress=progress)
    for record in recipe.run(setup):
        assert not np.isfinite(record.data.get("barrier", np.nan)).any()
    of = "4 of 4 networks did not get to" if recipe == NetworkOfMinima() else "2 of 2 pairs"
    (line,) = (line for line in progress.said if of in line)
    assert line.endswith(f"training diverged in {of[0]} of them)")


def test_of_close_minima_the_lowest_is_kept():
    thetas = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 0.0], [0.0, 0.05], [9.0, 9.0]])
    energies = np.array([0.3, 0.2, 0.0, 0.4, np.nan])
    states = ["minimum"] * 4 + ["not reached"]
    found = Descents.of(thetas, energies, states, closest=0.12)
    assert found.states == ["copy", "minimum", "minimum", "copy", "not reached"]
    assert found.minimum_of.tolist() == [1, 1, 0, 1, -1]
    np.testing.assert_array_equal(found.thetas, [[5, 0], [0.1, 0]])
    every = Descents.of(thetas, energies, ["minimum"] * 4 + ["not reached"], closest=0.0)
    assert every.minimum_of.tolist() == [2, 1, 0, 3, -1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("minima", 1), ("connections", 0), ("together", 0), ("settle", -1), ("tight", 1.0)),
        *(("tight", -0.1), ("dedupe", -1.0), ("dedupe", np.nan), ("learning_rate", 0.0)),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field} must"):
        NetworkOfMinima(**{field: value})


def test_what_does_not_fit_is_refused_in_one_line():
    with pytest.raises(
        UserError, match=r"method: TautString looks inside a level set; .*auto_neb"
    ):
        records(NetworkOfMinima(), muller_brown(TautString()))
    with pytest.raises(UserError, match=r"connections=1: joining 3 minima takes at least 2"):
        records(NetworkOfMinima(minima=16, connections=1), muller_brown(GridPaths()))


def test_the_plan_counts_all_paths():
    """And the networks, which it took for two of every path."""
    plan = NetworkOfMinima(minima=5).plan(cubic())
    assert (plan.strings, plan.networks, plan.levels) == (8, 5, 2)
    assert NetworkOfMinima(minima=5, connections=6).plan(cubic()).strings == 6
    rounds = NetworkOfMinima(minima=5, connections=14).plan(cubic())
    assert [joining.strings for joining in rounds.joinings] == [4, 4, 4, 2]
    closed = NetworkOfMinima(minima=5).plan(muller_brown(GridPaths()))
    assert closed.networks == 5 and closed.steps, "points of a formula descend, too"
