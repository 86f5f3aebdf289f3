import numpy as np

from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.paths import Paths


def test_strings_come_back_and_more_may_be_added(tmp_path):
    strings = [np.full((size, 2), size, np.float32) for size in (3, 2, 5)]
    record = Paths.empty(2, np.float32)
    for number, beads in enumerate(strings):
        (tmp_path / "paths.nc").write_bytes(netcdf(record))
        record = read_record(tmp_path / "paths.nc")
        assert record.summary() == {"strings": number, "params": 2}
        assert record.add(beads, saddles=range(number)) == number
    (tmp_path / "paths.nc").write_bytes(netcdf(record))
    record = read_record(tmp_path / "paths.nc")
    assert record.data["beads"].dtype == np.float32
    for number, beads in enumerate(strings):
        np.testing.assert_array_equal(record.beads(number), beads)
        assert record.saddles(number).tolist() == list(range(number))
    assert record.data["saddle"].dtype == bool
    assert record.add(strings[0], instead=2) == 2 and not len(record.saddles(2))


def test_an_older_file_knows_of_no_saddles():
    record = Paths.empty(2)
    record.add(np.ones((3, 2)), saddles=(1,))
    old = Paths(record.gather().data.drop_vars("saddle"))
    assert len(old.beads(0)) == 3 and not len(old.saddles(0))
