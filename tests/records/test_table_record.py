import math

from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.table import Row, Table

ROWS = [
    Row("wide linear networks connect", "8 of 8", "8 of 8", True, 8.0),
    Row("the 2-3-2 pair does not", "not connected", "connected", False),
]


def test_rows_and_name_come_back(tmp_path):
    (tmp_path / "x.nc").write_bytes(netcdf(Table.of(ROWS, name="theory_check")))
    back = read_record(tmp_path / "x.nc")
    assert back.name == "theory_check"
    assert back.rows[0] == ROWS[0] and back.rows[1].statement == ROWS[1].statement
    assert back.rows[1].passed is False and math.isnan(back.rows[1].value)
    assert back.summary()["passed"] == 1 and back.summary()["failed"] == 1
    assert back.summary()[ROWS[1].statement] == ("FAILED: expected not connected, found connected")


def test_a_subclass_brings_its_name():
    class Shift(Table):
        name = "plateau_shift"

    assert Shift.of(ROWS).name == "plateau_shift"
    assert Table.of([]).name == "table" and Table.of([]).rows == []
