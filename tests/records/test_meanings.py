"""Every variable of every file says what it is."""

import importlib
import pkgutil

import numpy as np
import pytest
import xarray

from landscape_cli import records
from landscape_cli.contracts import Record
from landscape_cli.records.barriers import Barriers
from landscape_cli.records.connections import Connections
from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.geodesic import Geodesics
from landscape_cli.records.interpolations import Interpolations
from landscape_cli.records.minima import Minima
from landscape_cli.records.paths import Paths
from landscape_cli.records.rows import Rows
from landscape_cli.records.shapes import Shapes
from landscape_cli.records.shifts import Shifts
from landscape_cli.records.strings import Strings
from landscape_cli.records.table import Table

EMPTY = {
    Barriers: lambda: Barriers.empty([4], [2], [0.1], ["chord"], ["train"], 1, unit="nats"),
    Connections: lambda: Connections.empty(
        ["none"], ["neb"], [(0, 1)], [0.1], ["train"], unit="nats"
    ),
    Geodesics: lambda: Geodesics.empty(1, [0.1], 2, unit="nats"),
    Interpolations: lambda: Interpolations.empty(
        2, [0.1], ["train"], ["none"], np.array([0.0, 0.5, 1.0]), unit="nats"
    ),
    Minima: lambda: Minima.of(
        ["minimum"], np.zeros(1), np.ones(1), np.zeros(1), np.zeros((1, 1)), [], unit="nats"
    ),
    Paths: lambda: Paths.empty(3),
    Shapes: lambda: Shapes.empty(1, [0.1], ["all"], unit="nats"),
    Shifts: lambda: Shifts.empty((0.5,), 1, [0.1], 0.2, "train cross-entropy"),
    Strings: lambda: Strings.empty(1, [0.1], 3),
    Table: lambda: Table.of([]),
}


def test_no_record_is_missing():
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"{records.__name__}.{module.name}")
    kinds = {*Record.__subclasses__(), *Rows.__subclasses__()} - {Rows}
    assert {kind for kind in kinds if kind.__module__.startswith("landscape_cli.r")} == set(EMPTY)


def test_records_that_have_barriers_say_what_they_are(tmp_path):
    """Against the mean of the ends, as in the papers; not against the higher one."""
    having = [kind for kind in EMPTY if "barrier" in kind.meanings]
    assert len(having) == 3
    for kind in having:
        (tmp_path / "x.nc").write_bytes(netcdf(EMPTY[kind]()))
        said = read_record(tmp_path / "x.nc").data["barrier"].attrs["long_name"]
        assert said == "highest energy on the path less the mean of those of its two ends"


def test_the_unit_in_files_of_version_0_1_is_found(tmp_path):
    """It was called `level_unit` in some records, `unit` in others."""
    old = Geodesics.empty(1, [0.1], 2)
    del old.data.attrs["unit"]
    old.data.attrs["level_unit"] = "nats"
    (tmp_path / "x.nc").write_bytes(netcdf(old))
    new = read_record(tmp_path / "x.nc").data
    assert new.attrs["unit"] == "nats" and "level_unit" not in new.attrs


@pytest.mark.parametrize("kind", EMPTY, ids=lambda kind: kind.__name__)
def test_every_variable_says_what_it_is(kind, tmp_path):
    record = EMPTY[kind]()
    (tmp_path / "x.nc").write_bytes(netcdf(record))
    with xarray.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as data:
        said = {name: variable.attrs.get("long_name") for name, variable in data.variables.items()}
        units = {name: variable.attrs.get("units") for name, variable in data.variables.items()}
    assert all(said.values()), said
    assert set(said) == set(kind.meanings), "no word too much"
    if "nats" in record.data.attrs.values():
        assert units.get("level", units.get("energy")) == "nats"
