"""The jobs of a multirun side by side: every number at its job and level, in all three forms."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
import xarray
from commands import landscape, one_picture

from landscape_cli import multiruns, plots
from landscape_cli.contracts import Record
from landscape_cli.records.encoding import netcdf
from landscape_cli.records.geodesic import Geodesics
from landscape_cli.records.geodesic_comparison import length_comparison, pooled, styles
from landscape_cli.records.strings import Strings
from landscape_cli.rundir import RunDir

LEVELS = (0.1, 0.01)


def geodesics(*lengths, levels=LEVELS, **words):
    """A record of these normalized lengths, a row for every pair; NaN is not connected."""
    record = Geodesics.empty(len(lengths), levels, 2, t=3, **words)
    for pair, row in enumerate(lengths):
        for level, length in enumerate(row):
            state = "taut" if np.isfinite(length) else "not connected"
            values = {"beads": 3, "profile": np.full(3, levels[level])}
            record.fill(pair, level, state=state, normalized_length=length, **values)
    return record


JOBS = [  # of two models and two seeds; one job failed before it had a record
    ("seed=0 model=a", geodesics([1.0, 1.2], [1.1, np.nan], model="a")),
    ("seed=0 model=b", geodesics([1.5, 2.0], [1.7, 2.2], model="b")),
    ("seed=1 model=a", None),
    ("seed=1 model=b", geodesics([1.9, 2.4], model="b", seed=1)),
]


def compared(folder, *words, **more):
    return multiruns.compare(multiruns.jobs_inside(folder), folder, *words, **more)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    for number, (words, record) in enumerate(JOBS):
        command = f"landscape run geodesic {words} pairs=2"
        manifest = {"experiment": "geodesic", "command": command}
        run = RunDir.create(folder / str(number), "figures: [png]\n", manifest, [])
        if record is not None:
            run.save(record)
        run.finish("failed" if record is None else "finished")
    return folder


@pytest.fixture
def multirun(saved, tmp_path):
    """A copy, to be changed."""
    return shutil.copytree(saved, tmp_path / "many")


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["seed=0 pairs=2", "seed=1 pairs=2"], [{"seed": "0"}, {"seed": "1"}]),
        (["+a=1", "++a=2"], [{"a": "1"}, {"a": "2"}]),
        (["'w=[4, 4]'", "w=[8]"], [{"w": "[4, 4]"}, {"w": "[8]"}]),
        (["a=b=1", "a=b=2"], [{"a": "b=1"}, {"a": "b=2"}]),
        (["a=1", ""], [{"a": "1"}, {"a": ""}]),
        (["--config-dir=x a=1", "--config-dir=y a=1"], [{}, {}]),
        (["a=1", "a=1"], [{}, {}]),
        (["a='1", "a=2"], [{"a": "'1"}, {"a": "2"}]),
    ],
)
def test_what_was_swept_is_read_off_the_commands(words, settings):
    assert multiruns.swept([f"landscape run geodesic {each}" for each in words]) == settings


def test_the_terminal_shows_lengths_by_job_and_level(multirun):
    text = landscape("show", multirun).stdout
    table = text[text.index("geodesics: normalized_length by level") :].splitlines()
    assert [line.split() for line in table[1:]] == [
        ["job", "seed", "model", "0.1", "0.01"],
        ["0", "0", "a", "1.05", "1.2"],
        ["1", "0", "b", "1.6", "2.1"],
        ["2", "1", "a", "-", "-"],
        ["3", "1", "b", "1.9", "2.4"],
    ]
    assert text.count("run: ") == 4 and "geodesic: failed" in text


def test_levels_fall_whichever_job_has_them(tmp_path):
    for number, levels in enumerate(([0.05, 0.001], [1.0, 0.05])):
        run = RunDir.create(tmp_path / "many" / str(number), "", {"experiment": "a"}, [])
        run.save(geodesics([1.0, 1.5], levels=levels))
        run.finish("finished")
    *_, header, first, second = landscape("show", tmp_path / "many").stdout.splitlines()
    assert header.split() == ["job", "1", "0.05", "0.001"]
    assert (first.split(), second.split()) == (["0", "-", "1", "1.5"], ["1", "1", "1.5", "-"])


def test_rows_that_are_no_levels_keep_their_names_and_order(tmp_path):
    for number, heights in enumerate(([3.0, 1.0], [2.0, 4.0])):
        about = {"experiment": "a", "command": f"x s={number}"}
        run = RunDir.create(tmp_path / "many" / str(number), "", about, [])
        run.save(Named(xarray.Dataset({"height": heights})))
        run.finish("finished")
    text = landscape("show", tmp_path / "many").stdout
    title, *table = text[text.index("named: ") :].splitlines()
    assert title == "named: height by method, gauge"
    assert [line.split() for line in table] == [
        ["job", "s", "b,", "none", "a,", "none"],
        ["0", "0", "3", "1"],
        ["1", "1", "2", "4"],
    ]
    (file,) = compared(tmp_path / "many", formats=[])
    found = pandas.read_csv(file)
    names = ["job", "status", "s", "method", "gauge", "level", "pairs", "height"]
    assert found.columns.tolist() == names
    assert found.method.tolist() == ["b", "a", "b", "a"] and found.height.tolist() == [3, 1, 2, 4]


class Named(Record):
    """Rows that are named after two things."""

    name = "named"

    def summary(self):
        found = {}
        for name, height in zip("ba", self.data["height"].values, strict=True):
            values = {"level": height / 2, "pairs": int(height), "height": height}
            found |= {f"{what}@method={name}, gauge=none": x for what, x in values.items()}
        return found


def test_pandas_reads_every_number(multirun):
    compared(multirun, formats=[])
    found = pandas.read_csv(multirun / "comparison" / "geodesics.csv")
    assert found[["job", "seed", "model"]].drop_duplicates().values.tolist() == [
        *([0, 0, "a"], [1, 0, "b"], [2, 1, "a"], [3, 1, "b"]),
    ]
    by_level = found.set_index(["job", "level"])
    for number, (_, record) in enumerate(JOBS):
        if record is None:
            assert by_level.loc[number, "status"].tolist() == ["failed"]
            continue
        summary = record.summary()
        for level in LEVELS:
            for name in ("normalized_length", "fraction_connected", "tried"):
                expected = summary[f"{name}@{level:g}"]
                assert by_level.loc[(number, level), name] == pytest.approx(expected)


def test_totals_of_records_without_rows_are_a_row_for_every_job(tmp_path):
    for number in range(2):
        about = {"experiment": "a", "command": f"x seed={number}"}
        run = RunDir.create(tmp_path / str(number), "", about, [])
        strings = Strings.empty(1, LEVELS, 3)
        strings.put(0, 0, np.zeros((2 + number, 3)))
        run.save(strings)
        run.finish("finished")
    (file,) = compared(tmp_path, formats=["png"])  # strings are not drawn side by side
    assert pandas.read_csv(file)["most_beads"].tolist() == [2, 3]


def test_pairs_of_several_seeds_are_pooled():
    """By hand: five lengths at the first level, of three tried at the second one is missing."""
    found = np.array(list(pooled([JOBS[1][1], JOBS[3][1], JOBS[0][1]])))
    first, second = [1.5, 1.7, 1.9, 1.0, 1.1], [2.0, 2.2, 2.4, 1.2]
    error = lambda values: np.std(values, ddof=1) / np.sqrt(len(values))
    np.testing.assert_allclose(
        found,
        [
            [0.01, np.mean(second), error(second), 4 / 5],
            [0.1, np.mean(first), error(first), 1.0],
        ],
    )


def test_the_figure_has_a_curve_for_every_setting_and_a_thin_one_for_every_seed():
    groups = {"model=a": [JOBS[0][1]], "model=b": [JOBS[1][1], JOBS[3][1]]}
    with plots.style():
        figure = length_comparison(groups)
    main, strip = figure.axes
    curves = {bars.get_label(): bars.lines[0].get_xydata() for bars in main.containers}
    assert list(curves) == ["model=a", "model=b, 2 seeds"]
    np.testing.assert_allclose(curves["model=a"], [[0.01, 1.2], [0.1, 1.05]])
    np.testing.assert_allclose(curves["model=b, 2 seeds"], [[0.01, 2.2], [0.1, 1.7]])
    thin = [line.get_ydata().tolist() for line in main.lines if line.get_linewidth() == 0.6]
    assert thin == [[pytest.approx(2.1), pytest.approx(1.6)], [2.4, 1.9]]
    fractions = [line.get_ydata().tolist() for line in strip.lines]
    assert fractions == [[0.5, 1.0], [1.0, 1.0]]
    assert main.get_ylim()[1] > 2.4
    heading = figure.get_suptitle().replace("\u00a0", " ")
    assert (
        "3 jobs" in heading and "thin: one seed" in heading and "seed 0" not in heading
    )  # only what all of them share


def test_the_same_seed_twice_is_two_runs():
    with plots.style():
        figure = length_comparison({"": [JOBS[0][1], JOBS[0][1]]})
    assert [bars.get_label() for bars in figure.axes[0].containers] == ["2 runs"]


def test_jobs_that_ask_different_questions_share_an_axis_without_a_name():
    with plots.style():
        same = length_comparison({"a": [geodesics([1.0, 1.1], functional="train loss")] * 2})
        other = length_comparison(
            {
                "a": [geodesics([1.0, 1.1], functional="train loss")],
                "b": [geodesics([np.nan, np.nan], functional="test loss")],
            }
        )
    assert same.axes[1].get_xlabel() == "level λ: train loss"
    assert other.axes[1].get_xlabel() == "level λ"


@pytest.mark.parametrize("count", [1, 6, 7, 20])
def test_every_curve_looks_different(count):
    assert len({tuple(map(str, each.values())) for each in styles(count)}) == count
    groups = {f"a={i}": [geodesics([1.0, 1.0 + i])] for i in range(count)}
    with plots.style():
        figure = length_comparison(groups)
    assert len(figure.legends[0].get_texts()) == count


def test_a_multirun_ends_with_its_comparison_and_plot_makes_it_again(toy_folder, tmp_path):
    words = ["--config-dir", toy_folder, "hydra.sweep.dir=many", "levels=[2,1]"]
    with one_picture():
        done = landscape(
            *(
                "run",
                "geodesic",
                "-m",
                "model=ring",
                "method=straight",
                "pairs=1,2",
                "budget=smoke",
                *words,
            ),
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "many" / "comparison"
    names = ["geodesics.csv", "length.png", "length.svg", "strings.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert "geodesics: normalized_length by level\n  job  pairs  2  1\n" in done.stdout
    assert done.stdout.endswith(f"\n\ncomparison: {folder}\n")
    for path in folder.iterdir():
        path.unlink()
    with one_picture():
        again = landscape("plot", tmp_path / "many", "--format", "svg")
    assert f"comparison: {folder}/length.svg\n" in again.stdout
    assert sorted(path.name for path in folder.iterdir()) == [
        *("geodesics.csv", "length.svg", "strings.csv"),
    ]


def test_a_damaged_file_of_one_job_is_told_once_and_hides_no_others(multirun):
    (multirun / "0" / "data" / "geodesics.nc").write_bytes(b"no netCDF")
    (multirun / "0" / "config.yaml").write_text("figures: [png, exe]")
    (multirun / "3" / "summary.json").write_text("{")
    said = []
    with one_picture():
        written = compared(multirun, complain=said.append)
        result = landscape("plot", multirun, "--format", "svg")
    assert [path.name for path in written] == ["geodesics.csv", "length.png", "length.svg"]
    assert len(said) == 2 and "0/config.yaml: figures=" in said[0]
    assert "0/data/geodesics.nc: not readable as netCDF" in said[1]
    assert "3/summary.json: damaged" in multiruns.show(multirun)
    assert result.stderr.count("0/data/geodesics.nc") == 1


def test_one_job_has_nothing_to_be_compared_with(multirun, tmp_path):
    for number in (1, 2, 3):
        (multirun / str(number) / "manifest.json").unlink()
    assert compared(multirun) == []
    assert "by level" not in landscape("show", multirun).stdout


def test_no_more_of_a_file_is_read_than_its_kind(multirun, monkeypatch):
    """Strings may be larger than the memory that is left."""
    strings = Strings.empty(1, LEVELS, 3)
    (multirun / "0" / "data" / "strings.nc").write_bytes(netcdf(strings))
    read = []
    real = multiruns.read_record
    monkeypatch.setattr(
        multiruns, "read_record", lambda file: read.append(file.name) or real(file)
    )
    monkeypatch.setattr(plots, "render", lambda figure, kind: b"not drawn")
    compared(multirun, formats=["svg"])
    assert set(read) == {"geodesics.nc"}


def test_a_damaged_run_of_a_multirun_hides_no_others(multirun):
    (multirun / "0" / "manifest.json").write_text("{")
    text = landscape("show", multirun).stdout
    assert f"{multirun}/0/manifest.json: damaged" in text
    assert text.count("geodesic: finished") == 2
    with one_picture():
        result = landscape("plot", multirun)
    assert result.returncode == 0 and result.stdout.count("figure: ") > 0
    assert re.match("landscape: left out: .*/0/manifest.json: damaged", result.stderr)


@pytest.mark.parametrize(
    "names",
    [
        ["0", "1", "2", "10"],
        ["09-59-59-900000_geodesic", "10-00-00-100000_connect/0", "10-00-00-100000_connect/1"],
        ["2026-11-09/10-00-00-1_a", "2026-11-10/09-00-00-1_b/2", "2026-11-10/09-00-00-1_b/10"],
        ["model=a/seed=2", "model=a/seed=10", "model=b/seed=0"],
    ],
)
def test_runs_come_in_their_order(tmp_path, names):
    for name in [*names, "none", "a/b/c/too_deep"]:
        (tmp_path / name).mkdir(parents=True)
    for name in [*names, "a/b/c/too_deep", f"{names[0]}/inside"]:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "manifest.json").touch()
    found = [str(run.relative_to(tmp_path)) for run in multiruns.runs_inside(tmp_path)]
    assert found == names
    assert multiruns.runs_inside(tmp_path / names[0]) == []


def test_runs_of_several_experiments_are_shown_and_not_compared(multirun):
    manifest = multirun / "3" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"geodesic"', '"connect"', 1))
    text = landscape("show", multirun).stdout
    assert "connect: finished" in text and "by level" not in text
    assert compared(multirun) == [] and not (multirun / "comparison").exists()


def test_folders_that_may_not_be_read_are_passed_over(tmp_path, monkeypatch):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "manifest.json").touch()
    (tmp_path / "closed").mkdir()
    listed = Path.iterdir

    def refused(folder):
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refused)
    assert [run.name for run in multiruns.runs_inside(tmp_path)] == ["0"]
    assert multiruns.runs_inside(tmp_path / "closed") == []
