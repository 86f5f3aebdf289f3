import errno
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from commands import one_picture

from landscape_cli import past_runs, plots, rundir
from landscape_cli.errors import UserError
from landscape_cli.records.encoding import json_text, netcdf, read_record
from landscape_cli.records.geodesic import Geodesics
from landscape_cli.records.paths import Paths
from landscape_cli.records.strings import Strings
from landscape_cli.records.table import Row, Table
from landscape_cli.rundir import RunDir, write

CONFIG = "seed: 0\nlevels: [0.1, 0.01]\nmodel:\n  _target_: a.Net\n  width: 4\nfigures: [png]\n"
MANIFEST = {"experiment": "geodesic", "seed": 0, "references": ["@misc{a,\n  title={A}}"]}


def geodesics():
    record = Geodesics.empty(2, [0.1, 0.01], 4, t=5, model="net")
    record.fill(0, 0, state="straight", normalized_length=1.0, beads=2, profile=np.ones(5) * 0.05)
    record.fill(1, 0, state="taut", normalized_length=1.5, beads=9, profile=np.ones(5) * 0.08)
    record.fill(0, 1, state="not connected", worst_segment=3)
    return record


@pytest.fixture
def run(tmp_path):
    return RunDir.create(tmp_path / "a" / "run", CONFIG, MANIFEST, formats=["png"])


@pytest.fixture
def none_drawn(monkeypatch):
    """All figures are made; their files hold a word."""
    monkeypatch.setattr(plots, "render", lambda figure, kind: b"not drawn")


def load(path):
    """All that a run folder holds: manifest, configuration, summary, records."""
    manifest, config = past_runs.read_manifest(path), past_runs.read_config(path / "config.yaml")
    records = map(read_record, past_runs.data_files(path))
    return manifest, config, past_runs.read_summary(path), {each.name: each for each in records}


@pytest.mark.usefixtures("none_drawn")
def test_a_run_comes_back_from_its_folder(run):
    record = geodesics()
    run.save(record)
    assert load(run.path)[0]["status"] == "running"
    figures = run.finish("finished", extra={"phases": {"training": 1.5}})
    manifest, config, summary, records = load(run.path)
    assert manifest["status"] == "finished" and manifest["phases"] == {"training": 1.5}
    assert manifest["seconds"] >= 0 and manifest["experiment"] == "geodesic"
    assert "error" not in manifest
    assert config["levels"] == [0.1, 0.01]
    assert summary["geodesics"]["connected"] == 2
    assert records["geodesics"].data.equals(record.data)
    assert {path.name for path in figures} >= {"length.png", "overview.png"}
    assert sorted(figures) == sorted((run.path / "plots").iterdir())


def test_every_figure_says_how_large_the_network_was_and_which_budget_it_had(run):
    run.formats = ("svg",)
    run.about |= {"parameters": 75290, "examples": 128, "budget": "smoke"}
    record = geodesics()
    record.data.attrs |= {"model": "a_net", "data": "photographs", "budget": "paper"}
    run.save(record)
    with one_picture():
        run.finish("finished")
    text = (run.path / "plots" / "length.svg").read_text()
    words = "a_net (75,290 parameters)", "photographs (128 examples)", "budget paper"
    assert all(word.replace(" ", "\u00a0") in text for word in words)
    again = load(run.path)[-1]["geodesics"].data.attrs
    assert (again["parameters"], again["budget"]) == (75290, "paper")


def test_a_file_is_one_copy_of_its_record():
    record = Strings.empty(1, [0.1], 1000)
    record.put(0, 0, np.ones((1000, 1000)))
    tracemalloc.start()
    content = netcdf(record)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(content) > 8e6 and most < 1.5 * len(content), "beside the buffer, which grows"


@pytest.mark.usefixtures("none_drawn")
def test_figures_wait_for_the_end(run):
    run.save(geodesics())
    assert not (run.path / "plots").exists()
    run.finish("finished")
    assert (run.path / "plots" / "length.png").exists()
    assert {file.suffix for file in (run.path / "plots").iterdir()} == {".png"}


@pytest.mark.usefixtures("none_drawn")
def test_an_interrupted_run_ends_at_once_and_is_drawn_later(run):
    run.save(geodesics())
    assert run.finish("interrupted") == [] and not (run.path / "plots").exists()
    assert past_runs.read_manifest(run.path)["status"] == "interrupted"
    assert run.path / "plots" / "length.png" in past_runs.redraw(run.path)


@pytest.mark.parametrize("full", [False, True])
def test_what_was_found_since_the_last_version_is_kept(run, monkeypatch, full):
    """A recipe hands its records over every few seconds, and may be stopped between."""
    record, paths = geodesics(), Paths.empty(2)
    record.data["state"].values[0, 0] = "pending"
    run.save(record)
    run.save(paths)
    before = int((record.data["state"] == "pending").sum())
    record.fill(0, 0, state="not connected")
    paths.add(np.zeros((3, 2)))
    if full:
        refused = mock.Mock(side_effect=UserError("full"))
        monkeypatch.setattr("landscape_cli.rundir.netcdf", refused)
    run.finish("interrupted")
    manifest, _, _, records = load(run.path)
    assert manifest["status"] == "interrupted", "also where the disk is full"
    pending = int((records["geodesics"].data["state"] == "pending").sum())
    assert pending == before - (not full)
    assert records["paths"].summary()["strings"] == (not full)


@pytest.mark.parametrize("most", [1, pytest.param(9, marks=pytest.mark.slow)])
def test_redrawn_figures_equal_the_first(tmp_path, monkeypatch, most):
    """The first of a record's figures, or all of them."""
    figures = Geodesics.figures
    monkeypatch.setattr(
        Geodesics, "figures", lambda record: dict([*figures(record).items()][:most])
    )
    run = RunDir.create(tmp_path / "run", CONFIG.replace("[png]", "[png, svg]"), MANIFEST)
    run.save(geodesics())
    first = {path.name: path.read_bytes() for path in run.finish("finished")}
    assert {"length.png", "length.svg"} <= set(first) and (most == 1) == (len(first) == 2)
    again = {path.name: path.read_bytes() for path in past_runs.redraw(run.path)}
    assert first == again


@pytest.mark.usefixtures("none_drawn")
def test_formats_are_chosen_at_the_start_and_kept_by_redraw(tmp_path):
    text = CONFIG.replace("[png]", "[svg]")
    run = RunDir.create(tmp_path / "run", text, MANIFEST, formats=["svg"])
    run.save(geodesics())
    assert {path.suffix for path in run.finish("finished")} == {".svg"}
    assert {path.suffix for path in past_runs.redraw(run.path)} == {".svg"}


def test_a_configuration_that_names_no_formats_has_the_usual_ones(tmp_path):
    for text in ("seed: 0", ""):
        (tmp_path / "config.yaml").write_text(text)
        assert past_runs.chosen_formats(tmp_path / "config.yaml") == ("png", "svg")


def test_discarding_removes_what_the_run_wrote(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    for path in (tmp_path, tmp_path / "new" / "run"):
        run = RunDir.create(path, CONFIG, MANIFEST)
        (path / "run.log").write_text("a line")
        assert run.discard()
        assert [file.name for file in tmp_path.rglob("*")] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "plots"])
def test_a_run_replaces_no_file_of_the_users(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=f"holds {name} already, which a run writes"):
        RunDir.create(tmp_path, CONFIG, MANIFEST)
    assert (tmp_path / name).read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path, monkeypatch):
    full = mock.Mock(side_effect=[None, UserError("manifest.json: cannot be written")])
    monkeypatch.setattr(rundir, "write", full)
    with pytest.raises(UserError, match="cannot be written"):
        RunDir.create(tmp_path / "a" / "run", CONFIG, MANIFEST)
    assert not list(tmp_path.iterdir())


def test_a_second_run_cannot_take_the_folder(run):
    with pytest.raises(UserError, match="same second"):
        RunDir.create(run.path, CONFIG, MANIFEST)
    (run.path / "manifest.json").unlink()  # the other process has not come to its manifest yet
    with pytest.raises(UserError, match="same second"):
        RunDir.create(run.path, CONFIG, MANIFEST)


def test_an_existing_folder_without_a_run_is_taken(tmp_path):
    (tmp_path / "run.log").write_text("kept\n")
    run = RunDir.create(tmp_path, CONFIG, MANIFEST)
    assert (tmp_path / "run.log").read_text() == "kept\n"
    assert run.discard() and (tmp_path / "run.log").exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written|is a file"):
        RunDir.create(tmp_path / "file" / "run", CONFIG, MANIFEST)
    with pytest.raises(UserError, match="is a file"):
        RunDir.create(tmp_path / "file", CONFIG, MANIFEST)


def test_every_type_survives_the_file(tmp_path):
    record = Geodesics.empty(2, [0.1], 2, t=3, plateaux={"best": 0.1, "none": np.nan})
    kinds = [np.float32, np.float64, np.int8, np.int32, np.int64, np.uint8, bool]
    for kind in kinds:
        record.data[f"x_{kind.__name__}"] = ("pair", np.array([0, 1], kind))
    record.data["words"] = ("pair", np.array(["", "λ ≤ 0.1"]))
    record.data["objects"] = ("pair", np.array(["a", "longer"], object))
    record.data["nothing"] = ("none", np.zeros(0))
    record.data["scalar"] = 2.5
    record.data["x_float64"][0] = np.nan
    record.data.attrs |= {"flag": True, "none": None, "dict": {"a": np.int64(1)}, "text": "é"}
    (tmp_path / "x.nc").write_bytes(netcdf(record))
    back = read_record(tmp_path / "x.nc").data
    assert back.equals(record.data.assign(objects=record.data["objects"].astype(str)))
    for kind in kinds:
        assert back[f"x_{kind.__name__}"].dtype == kind
    assert json.loads(back.attrs["plateaux"]) == {"best": 0.1, "none": None}
    assert (back.attrs["flag"], back.attrs["none"], back.attrs["dict"]) == ("true", "", '{"a": 1}')
    assert back.attrs["text"] == "é" and "record" not in back.attrs


def test_json_is_strict():
    text = json_text({"a": np.nan, "b": [np.inf, np.float32(0.5)], 3: np.arange(2), "d": np.True_})
    strict = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert strict == {"a": None, "b": [None, 0.5], "3": [0, 1], "d": True}


def test_summary_merges_records_and_holds_no_nan(run):
    run.save(Geodesics.empty(1, [0.1], 2))
    run.save(Table.of([Row("a", "1", "2", False)], name="checks"))
    text = (run.path / "summary.json").read_text()
    assert "NaN" not in text and set(json.loads(text)) == {"geodesics", "checks"}
    assert json.loads(text)["geodesics"]["normalized_length@0.1"] is None


@pytest.mark.parametrize("name", ["../evil", "a/../b", "-a"])
def test_names_that_are_no_file_names(run, name):
    with pytest.raises(ValueError, match="file's name"):
        run.save(Table.of([], name=name))


KILLED = """
import sys, numpy as np
from landscape_cli.rundir import RunDir
from landscape_cli.records.strings import Strings
run = RunDir.create(sys.argv[1], "seed: 0", {"experiment": "kill"})
record = Strings.empty(2, [0.1], 50)
run.save(record)
print("ready", flush=True)
for i in range(10**6):
    record.put(i % 2, 0, np.full((200, 50), float(i)))
    run.save(record)
"""


@pytest.mark.parametrize("seconds", [0.15, pytest.param(0.25, marks=pytest.mark.slow)])
def test_a_killed_run_keeps_whole_files(tmp_path, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    manifest, _, summary, records = load(tmp_path / "run")
    assert manifest["status"] == "interrupted (killed)"
    assert "interrupted (killed)" in past_runs.show(tmp_path / "run")
    beads = records["strings"].beads(0, 0)
    assert summary["strings"]["params"] == 50 and (beads == beads[:1, :1]).all()


FULL = """
import resource, sys, numpy as np
from landscape_cli.errors import UserError
from landscape_cli.rundir import RunDir
from landscape_cli.records.strings import Strings
run = RunDir.create(sys.argv[1], "seed: 0", {"experiment": "full"})
record = Strings.empty(1, [0.1], 50)
record.put(0, 0, np.ones((2, 50)))
run.save(record)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
record.put(0, 0, np.ones((2000, 50)))
try:
    run.save(record)
except UserError as error:
    print(error)
run.finish("failed", "disk")
"""


def test_a_full_disk_loses_nothing_and_leaves_no_litter(tmp_path):
    path = tmp_path / "run"
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    assert f"strings.nc: cannot be written ({os.strerror(errno.EFBIG)})" in result.stdout
    manifest, _, _, records = load(path)
    assert manifest["status"] == "failed" and len(records["strings"].beads(0, 0)) == 2
    assert [file.name for file in path.rglob("*") if "tmp" in file.name] == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path / "nowhere", "no such folder"),
        (lambda path: path / "config.yaml", "is not a folder"),
        (lambda path: path / "data", "no manifest.json"),
        (lambda path: (path / "manifest.json").write_text("{") and path, "manifest.json: damaged"),
        (lambda path: (path / "manifest.json").write_text("[]") and path, "not a JSON object"),
        (lambda path: (path / "summary.json").write_text("x") and path, "summary.json: damaged"),
        (lambda path: (path / "config.yaml").write_text("a: [") and path, "config.yaml: damaged"),
        (lambda path: (path / "data" / "x.nc").write_bytes(b"junk") and path, "not readable"),
        (lambda path: (path / "data" / "x.nc").write_bytes(b"") or path, "not readable"),
    ],
)
def test_folders_that_hold_no_readable_run(run, spoil, message):
    run.save(Table.of([], name="checks"))
    run.finish("finished")
    with pytest.raises(UserError, match=message):
        load(spoil(run.path))


@pytest.mark.parametrize(
    ("name", "text", "verb", "message"),
    [
        ("config.yaml", None, "show", "config.yaml: missing"),
        ("config.yaml", None, "redraw", "config.yaml: missing"),
        ("config.yaml", "figures: [exe]", "redraw", r"figures=\[exe\]: exp"),
        ("config.yaml", "figures: 3", "redraw", "figures=3: expected a li"),
        ("data/geodesics.nc", None, "redraw", "there is nothing to draw"),
        ("summary.json", '{"a": 3}', "show", "summary.json: damaged"),
    ],
)
def test_what_cannot_be_shown_or_drawn_is_said(run, name, text, verb, message):
    run.save(Table.of([], name="geodesics"))
    run.finish("interrupted")
    (run.path / name).unlink() if text is None else (run.path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        getattr(past_runs, verb)(run.path)


@pytest.mark.usefixtures("none_drawn")
def test_figures_that_could_not_be_written_are_told_until_they_are_drawn(run):
    run.save(geodesics())
    (run.path / "plots").write_text("in the way")
    with pytest.raises(UserError, match=r"length.png: cannot be written"):
        run.finish("finished")
    assert "not all figures were drawn" in past_runs.show(run.path)
    (run.path / "plots").unlink()
    assert past_runs.redraw(run.path)
    assert "not all figures" not in past_runs.show(run.path)


def test_a_truncated_file_is_refused(run):
    run.save(geodesics())
    file = run.path / "data" / "geodesics.nc"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"geodesics.nc: not readable"):
        past_runs.redraw(run.path)


@pytest.mark.usefixtures("none_drawn")
def test_what_can_be_drawn_is_drawn_and_the_rest_is_told(run):
    run.save(geodesics())
    run.finish("interrupted")
    (run.path / "data" / "strings.nc").write_bytes(b"junk")
    mine = Table.of([]).data.to_netcdf(engine="h5netcdf")
    (run.path / "data" / "mine.nc").write_bytes(bytes(mine))
    said = []
    assert run.path / "plots" / "length.png" in past_runs.redraw(run.path, complain=said.append)
    assert "mine.nc: not a file of a run" in said[0] and "strings.nc: not readable" in said[1]
    (run.path / "data" / "geodesics.nc").unlink()
    with pytest.raises(UserError, match=r"mine.nc: .*; .*strings.nc: "):
        past_runs.redraw(run.path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os.system", "is not a record"),
        ("antigravity.X", "not one of landscape_cli.* --config-dir DIR or it with --plugin"),
        ("", "not a file of a run"),
        ("landscape_cli_evil.records.X", "not one of landscape_cli"),
        ("landscape_cli.records.nowhere.X", "has no record"),
        ("landscape_cli.records.table.Nothing", "has no record"),
        ("landscape_cli.records.table.Row", "is not a record"),
    ],
)
def test_a_file_cannot_choose_what_is_imported(tmp_path, name, message):
    data = Table.of([]).data
    data.attrs["record"] = name
    (tmp_path / "x.nc").write_bytes(bytes(data.to_netcdf(engine="h5netcdf")))
    before = set(sys.modules)
    with pytest.raises(UserError, match=message):
        read_record(tmp_path / "x.nc")
    assert "antigravity" not in set(sys.modules) - before


@pytest.mark.usefixtures("none_drawn")
def test_show_says_what_matters(run):
    run.save(geodesics())
    run.save(Strings.empty(1, [0.1], 3))
    run.finish("failed", "RuntimeError: boom")
    assert [line.partition(":")[0] for line in run.manifest["found"]] == ["geodesics"]
    text = past_runs.show(run.path)
    for part in (
        "geodesic: failed",
        "boom",
        "Net width=4",
        "@misc{a,",
        "lowest_level_any",
        "figure:",
    ):
        assert part in text
    table = [line.split() for line in text.splitlines() if line.startswith(("  level ", "  0.1 "))]
    assert table[0][:2] == ["level", "normalized_length"] and table[1][:2] == ["0.1", "1.25"]


def test_an_unknown_status_is_refused(run):
    with pytest.raises(ValueError, match="finished, interrupted, failed"):
        run.finish("done")


def test_content_is_on_the_disk_before_it_gets_the_name(monkeypatch, tmp_path):
    """Else a power cut can leave the name on an empty file."""
    calls = mock.Mock(wraps=os)
    monkeypatch.setattr(os, "fsync", calls.fsync)
    monkeypatch.setattr(os, "replace", calls.replace)
    write(tmp_path / "x", b"1")
    assert [name for name, *_ in calls.mock_calls] == ["fsync", "replace"]
    assert (tmp_path / "x").read_bytes() == b"1"


def test_a_run_with_results_is_not_discarded(run):
    run.save(Table.of([], name="checks"))
    assert not run.discard()
    names = {file.name for file in run.path.rglob("*")}
    assert names >= {"config.yaml", "manifest.json", "checks.nc"}


@pytest.mark.parametrize(
    ("host", "error", "status"),
    [
        ("", ProcessLookupError, "interrupted (killed)"),
        ("", PermissionError, "running"),  # it is another user's
        ("another machine", ProcessLookupError, "running"),  # for all that is known here
    ],
)
def test_only_a_run_that_is_known_to_have_ended_was_killed(run, monkeypatch, host, error, status):
    monkeypatch.setattr(os, "kill", mock.Mock(side_effect=error))
    monkeypatch.setattr("platform.node", lambda: host or run.manifest["host"])
    assert past_runs.read_manifest(run.path)["status"] == status


@pytest.mark.parametrize("pid", [0, -1, None, [], "x", 10**30])
def test_a_process_that_cannot_be_has_ended(run, pid):
    """0 would be asked of the reader's own group."""
    for status, said in (("running", "interrupted (killed)"), ("failed", "failed")):
        manifest = run.manifest | {"pid": pid, "status": status}
        write(run.path / "manifest.json", json_text(manifest).encode())
        assert past_runs.read_manifest(run.path)["status"] == said
