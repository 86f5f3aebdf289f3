import numpy as np

from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.strings import Strings


def test_strings_of_all_sizes_come_back(tmp_path):
    generator = np.random.default_rng(0)
    record = Strings.empty(2, [0.1, 0.01], params=3, dtype=np.float32)
    sizes = {(0, 0): 2, (1, 0): 9, (0, 1): 5}
    strings = {at: generator.normal(size=(n, 3)).astype(np.float32) for at, n in sizes.items()}
    for at, beads in strings.items():
        record.put(*at, beads)
    record.put(1, 0, strings[1, 0][:4])  # a shorter string replaces a longer one
    strings[1, 0] = strings[1, 0][:4]
    (tmp_path / "strings.nc").write_bytes(netcdf(record))
    back = read_record(tmp_path / "strings.nc")
    assert isinstance(back, Strings) and back.data["beads"].dtype == np.float32
    for at, beads in strings.items():
        np.testing.assert_array_equal(back.beads(*at), beads)
        assert np.isnan(back.data["beads"].values[(*at, slice(len(beads), None))]).all()
    assert back.beads(1, 1).shape == (0, 3)
    assert back.summary() == {"strings": 3, "most_beads": 5, "params": 3}


def test_no_string_at_all(tmp_path):
    record = Strings.empty(2, [0.1], params=3)
    (tmp_path / "strings.nc").write_bytes(netcdf(record))
    assert read_record(tmp_path / "strings.nc").summary()["most_beads"] == 0
