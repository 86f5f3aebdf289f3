"""The recipe `connect`: every number is computed again from the saved beads."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from compositions import composed
from landscape_cli.experiments import connect

from landscape_cli import config, jax_settings, runner
from landscape_cli.contracts import PathMethod
from landscape_cli.errors import UserError
from landscape_cli.methods.straight import Straight
from landscape_cli.networks import surface_of
from landscape_cli.pace import Pace
from landscape_cli.records.connections import Connections
from landscape_cli.records.encoding import netcdf, read_record

CONF = Path(__file__).parents[2] / "conf"
FEASIBLE = ("straight", "taut", "loose")


def setup_of(*words):
    cfg = composed("experiment=connect", "budget=smoke", *words)
    settings = config.settings(cfg)
    parts = config.build_all(cfg)
    setup = runner.set_up(parts, settings, config.plain(cfg.budget), {})
    return parts["experiment"], setup


def run(*words):
    experiment, setup = setup_of(*words)
    return setup, {record.name: record for record in experiment.run(setup)}


@pytest.fixture(scope="module")
def joined():
    jax_settings.configure_jax("float64")
    return run(
        "levels=[0.05,0.01]",  # the higher one is above the first chord
        "pairs=2",
        "budget.evaluations=60",
        "experiment.methods=[straight,geodesic]",
    )


def strings(record, paths):
    """(row of scalars, its beads) of every row with a string."""
    for _, _, part in record.rows():
        for pair in range(part.sizes["pair"]):
            for level in range(part.sizes["level"]):
                row = part.isel(pair=pair, level=level)
                if row["string"] >= 0:
                    yield row, paths.beads(int(row["string"]))


def test_heights_and_lengths_follow_from_the_saved_beads(joined):
    setup, records = joined
    surface, count = surface_of(setup), 0
    for row, beads in strings(records["connections"], records["paths"]):
        steps = np.linalg.norm(np.diff(beads, axis=0), axis=1)
        chord = np.linalg.norm(beads[-1] - beads[0])
        assert float(row["length"]) == pytest.approx(steps.sum(), rel=1e-12)
        t = np.linspace(0, 1, 800)[:, None]
        dense = max(surface.energies((1 - t) * a + t * b).max() for a, b in pairwise(beads))
        assert float(row["height"][0]) == pytest.approx(dense, rel=1e-5)
        ends = surface.energies(beads[[0, -1]]).mean()
        assert float(row["barrier"][0]) == pytest.approx(float(row["height"][0]) - ends, abs=1e-12)
        inside = float(row["height"][0]) <= float(row["level"])
        assert bool(row["connected"]) == inside == (str(row["state"].values) in FEASIBLE)
        if inside:
            assert float(row["normalized_length"]) == pytest.approx(steps.sum() / chord)
        count += 1
    assert count == 2 * 2 * 2


def test_the_geodesic_is_the_shortest_feasible_path(joined):
    data = joined[1]["connections"].data
    lengths = data["normalized_length"].isel(gauge=0)
    taut, chord = lengths.sel(path_method="geodesic"), lengths.sel(path_method="straight")
    assert np.isfinite(taut).all()
    assert not (taut > chord + 1e-9).any()
    assert (data["height"].sel(path_method="straight").isel(split=0).values[0, :, -1] > 0.01).all()


def test_a_level_free_string_is_judged_at_every_level(joined):
    data = joined[1]["connections"].data.isel(gauge=0).sel(path_method="straight")
    assert (data["string"] == data["string"].isel(level=0)).all()
    assert (data["height"] == data["height"].isel(level=0)).all()
    below = data["height"].isel(split=0) <= data["level"]
    assert (data["connected"] == below).all()


def test_costs_are_those_of_a_pair_at_all_levels(joined):
    """A method that is asked at every level pays for each of them, in seconds and gradients."""
    setup, records = joined
    data = records["connections"].data.isel(gauge=0)
    costs = ["gradient_evaluations", "energy_evaluations", "seconds"]
    for name in costs:
        assert (data[name] == data[name].isel(level=0)).all()
    for word, asked in (("straight", [np.inf]), ("geodesic", setup.levels)):
        chosen = data.sel(path_method=word)
        beads = {int(i): records["paths"].beads(int(i))[[0, -1]] for i in chosen["string"][:, 0]}
        one, other = (np.stack([each[end] for each in beads.values()]) for end in (0, 1))
        rows = np.repeat(np.arange(len(one)), len(asked))
        found = dict(
            setup.connect(
                surface_of(setup), one[rows], other[rows], np.tile(asked, len(one)), rows,
                setup.methods[word],
            )
        )  # fmt: skip
        for name in costs[:2]:
            spent = [getattr(found[row], name) for row in range(len(rows))]
            sums = np.bincount(rows, spent)
            assert np.array_equal(chosen[name].isel(level=0), sums)


def test_strings_are_handed_over_as_they_come(monkeypatch):
    """A run that is killed between two strings of a method keeps the first."""
    monkeypatch.setattr(connect, "Pace", lambda: Pace(0.0))
    experiment, setup = setup_of("levels=[0.05]", "pairs=3", "experiment.methods=[straight]")
    seen = []
    for record in experiment.run(setup):
        if record.name == "connections":
            done = int((record.data["state"] != "pending").sum())
        else:
            seen.append((done, record.summary()["strings"]))
    assert seen == [(1, 1), (2, 2), (3, 3), (3, 3)]


class Twice(PathMethod):
    """Every chord, first with a bead in its middle."""

    level_free = True

    def connect(self, surface, starts, ends, levels, pairs, progress, initial=None, **_):
        chords = dict(Straight().connect(surface, starts, ends, levels, pairs, progress))
        for row, found in chords.items():
            middle = found.beads.mean(axis=0, keepdims=True)
            yield row, replace(found, beads=np.insert(found.beads, 1, middle, axis=0))
        yield from chords.items()


def test_a_better_string_takes_the_place_of_the_first():
    experiment, setup = setup_of("levels=[0.05,0.02]", "pairs=2", "experiment.methods=[straight]")
    setup = replace(setup, methods={"straight": Twice()})
    records = {record.name: record for record in experiment.run(setup)}
    assert records["paths"].summary()["strings"] == 2
    assert all(len(beads) == 2 for _, beads in strings(records["connections"], records["paths"]))


class Broken(Twice):
    """Breaks on the way of every string and leaves a low one."""

    def connect(self, *args, **more):
        for row, found in super().connect(*args, **more):
            yield row, found.with_(state="diverged", peak=1e-9)


def test_a_search_that_broke_stays_diverged_at_every_level():
    """Judged by the peak of the beads that are left, it was called connected."""
    experiment, setup = setup_of("levels=[0.05,0.02]", "pairs=1", "experiment.methods=[straight]")
    setup = replace(setup, methods={"straight": Broken()})
    record = {record.name: record for record in experiment.run(setup)}["connections"]
    assert (record.data["state"] == "diverged").all() and not record.data["connected"].any()


@pytest.mark.parametrize(
    "words", [["method=bezier"], ["method=neb", "method@warm_start=bezier", "warm_start.steps=5"]]
)
def test_the_seed_of_a_run_reaches_its_methods(words):
    """Between the known minima of a formula draws are all that differs."""
    words = ["model=muller_brown", "pairs=1", "method.steps=5", *words]
    found = []
    for seed in (0, 1, 1):
        _, setup = setup_of(*words, f"seed={seed}")
        starts, ends = (end[:1] for end in setup.model.ends(1, setup.key("ends")))
        job = surface_of(setup), starts, ends, np.array([np.inf]), np.arange(1)
        found.append(dict(setup.connect(*job))[0].beads)
    assert not np.array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[1], found[2])


def test_test_energies_are_those_of_the_test_split(joined):
    _, records = joined
    data = records["connections"].data
    assert list(data["split"].values) == ["train", "test"]
    assert not np.allclose(data["profile"].sel(split="train"), data["profile"].sel(split="test"))


def test_it_comes_back_from_its_file_and_draws(joined, tmp_path):
    (tmp_path / "x.nc").write_bytes(netcdf(joined[1]["connections"]))
    back = read_record(tmp_path / "x.nc")
    assert isinstance(back, Connections)
    np.testing.assert_equal(back.summary(), joined[1]["connections"].summary())
    assert set(back.figures()) == {"profiles", "heights"}


def test_all_pairs_of_some_networks():
    _, records = run(
        "levels=[0.05]", "experiment.networks=3", "experiment.methods=[straight]", "pairs=1"
    )
    data = records["connections"].data
    assert list(zip(data["start_network"].values, data["end_network"].values, strict=True)) == [
        (0, 1), (0, 2), (1, 2),
    ]  # fmt: skip
    # The same three networks: the sides of a triangle.
    chords = data["chord"].values.ravel()
    assert chords.max() <= chords.sum() - chords.max()


def test_networks_that_do_not_get_there_are_rows():
    _, records = run("levels=[0.05,1e-9]", "experiment.methods=[straight]")
    record = records["connections"]
    assert (record.data["state"] == "end not reached").all()
    assert not record.summary()["pending"]


def test_a_method_that_does_not_suit_the_network_is_left_out_unless_it_was_asked_for():
    """The network of the proof is a chain of layers with units to spare; this one has none."""
    words = ["model=linear_net", "model.widths=[]", "levels=[5.0]", "pairs=1"]
    keep = [
        f"~methods.{name}"
        for name in sorted(composed("experiment=connect").methods)
        if name not in ("straight", "dropout_path", "geodesic")
    ]
    _, records = run(*words, *keep)
    data = records["connections"].data
    assert (data["state"].sel(path_method="dropout_path") == "left out").all()
    assert (data["state"].sel(path_method="straight") != "left out").all()
    with pytest.raises(UserError, match="dropout_path"):
        run(*words, "experiment.methods=[dropout_path]")


def plan(*words):
    experiment, setup = setup_of(*words)
    return experiment.plan(setup)


def test_the_plan_counts_what_every_method_is_asked_for():
    """It took all of them to be asked at every level, of the run's own pairs, in one gauge."""
    words = ["levels=[0.1,0.03,0.01]", "pairs=2", "experiment.methods=[straight,neb,geodesic]"]
    own = plan(*words)
    assert own.strings == 2 * (1 + 1 + 3) and (own.networks, own.levels) == (4, 3)
    assert {cost.of for _, cost in own.known} == {"loss", "energy"} and own.of == "energy"
    gauged = plan(*words, "+gauge@gauges.matched=weight_matching")
    assert gauged.strings == 2 * own.strings and gauged.networks == own.networks
    kept = [sum(cost.kept for _, cost in each.known) for each in (own, gauged)]
    assert kept[1] == 2 * kept[0], "paths of all gauges are on record"
    many = plan(*words, "experiment.networks=8")
    assert many.strings == 28 * (1 + 1 + 3) and many.networks == 8


def test_saddles_are_kept_with_the_beads():
    """Only the library had them: a run of `climb` did not say where its passes are."""
    words = ["model=muller_brown", "levels=[150.0]", "pairs=1", "experiment.methods=[climb]"]
    _, records = run(*words, "budget=desk")
    paths = records["paths"]
    saddles = paths.beads(0)[paths.saddles(0)]
    assert len(saddles) == 2
    heights = np.sort(surface_of(setup_of(*words)[1]).energies(saddles))
    np.testing.assert_allclose(heights, [74.45, 106.04], atol=0.01)
    laid_out = paths.gather().data
    np.testing.assert_array_equal(laid_out["beads"].values[laid_out["saddle"].values], saddles)


def test_the_plan_counts_warm_starts():
    """The estimate of a run was the same with one and without."""
    words = ["levels=[0.1,0.03]", "pairs=2", "experiment.methods=[neb,straight,geodesic]"]
    cold, warm = plan(*words), plan(*words, "method@warm_start=bezier")
    assert cold.strings == warm.strings == 2 * (1 + 1 + 2)
    neb, straight, geodesic = warm.joinings
    assert straight.first is None and geodesic.first.gradients == neb.first.gradients > 0
    assert geodesic.first.kept == 2 * neb.first.kept, "at every level"


def test_the_plan_of_known_minima_trains_nothing():
    words = ["model=muller_brown", "levels=[150.0,120.0]", "pairs=1"]
    assert plan(*words).networks == 0
    with pytest.raises(UserError, match=r"experiment\.networks=3: .* has ends of its own"):
        plan(*words, "experiment.networks=3")


def test_the_plan_leaves_out_what_the_run_leaves_out():
    """The run was refused before it could."""
    words = ["model=linear_net", "model.widths=[]", "levels=[5.0]", "pairs=1"]
    unfit = ("dropout_path", "repair")  # both want hidden units
    assert plan(*words).strings == len(setup_of(*words)[1].methods) - len(unfit)
    assert plan(*words, *[f"~methods.{name}" for name in unfit]).strings == plan(*words).strings
    with pytest.raises(UserError, match="dropout_path"):
        plan(*words, "experiment.methods=[dropout_path]")


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(["experiment.methods=[straight,neb,geodesic]"], id="three"),
        pytest.param([], id="all methods", marks=pytest.mark.slow),
    ],
)
def test_closed_forms_have_one_energy(chosen):
    words = ["model=muller_brown", "levels=[150.0,120.0]", "pairs=1", "budget.evaluations=300"]
    _, records = run(*words, *chosen)
    data = records["connections"].data
    assert list(data["split"].values) == ["energy"]
    assert bool(data["connected"].sel(path_method="geodesic", level=120.0).all())
    assert not data["connected"].sel(path_method="straight", level=120.0).any()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("experiment.methods=[strait]", "experiment.methods=strait: not among .*straight"),
        ("experiment.networks=1", "experiment.networks must be 0 or at least 2"),
        ("experiment.methods=[straight,straight]", "experiment.methods must differ"),
    ],
)
def test_what_cannot_be_is_refused(word, said):
    with pytest.raises(UserError, match=said):
        run(word)


@pytest.mark.slow
def test_on_digits_every_method_beats_the_chord_and_the_geodesic_is_shortest():
    _, records = run(
        "model=mlp", "levels=[0.2]", "pairs=1", "budget.path_steps=60",
        "budget.coarse_evaluations=40", "budget.cycle_steps=6",
        "experiment.methods=[straight,bezier,auto_neb,geodesic]",
    )  # fmt: skip
    data = records["connections"].data.isel(gauge=0)
    heights = data["height"].isel(split=0)
    chord = heights.sel(path_method="straight", level=0.2)
    for name in ("bezier", "auto_neb", "geodesic"):
        assert (heights.sel(path_method=name, level=0.2) < chord).all(), name
    lengths = data["normalized_length"].where(data["connected"])  # NaN: not feasible
    taut = lengths.sel(path_method="geodesic")
    assert np.isfinite(taut).all()
    others = lengths.drop_sel(path_method="geodesic").min("path_method")
    assert not (taut > others * (1 + 1e-6)).any()
