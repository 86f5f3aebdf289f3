import jax
import numpy as np
import optax
import pytest
import xarray
from small import Normed, images

import landscape_cli as landscape
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.functional import Functional
from landscape_cli.models.base import (
    fitted,
    initial_thetas,
    model_surface,
    named_arrays,
    with_stored_statistics,
)
from landscape_cli.models.mlp import MLP
from landscape_cli.records.encoding import netcdf, read_record
from landscape_cli.records.paths import Paths
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


def opened(record, folder):
    (folder / "x.nc").write_bytes(netcdf(record))
    return xarray.load_dataset(folder / "x.nc", engine="h5netcdf")


def test_a_bead_of_a_file_is_put_back_into_its_network(tmp_path):
    key, model = jax.random.key(0), MLP(widths=(4, 4), activation="tanh")  # cubic_tanh
    data = Polynomial((0.0, 3.0, -10.0, 8.0)).load(key)
    surface = model_surface(model, data, Functional("mse"))
    beads = initial_thetas(model, data, key, 3)
    strings = Strings.empty(1, [0.1], surface.dimension, arrays=named_arrays(surface))
    strings.put(0, 0, beads)
    paths = Paths.empty(surface.dimension, arrays=named_arrays(surface))
    paths.add(beads)
    for file in (opened(strings, tmp_path), opened(paths, tmp_path)):
        kept = file.beads.values.reshape(-1, surface.dimension)[:3]
        for bead, energy in zip(kept, surface.energies(beads), strict=True):
            variables = landscape.unravel(file, bead)
            outputs = fitted(model, data).apply(variables, data.train.inputs)
            errors = ((outputs - data.train.targets) ** 2).mean(axis=-1)
            assert float(errors @ data.train.weights) == pytest.approx(energy, rel=1e-12)
        together = landscape.unravel(file, kept)
        assert jax.tree.map(np.shape, together) == jax.tree.map(lambda x: (3, *x.shape), variables)
    with pytest.raises(ValueError, match=r"as in this file, got \(5,\)"):
        landscape.unravel(file, np.zeros(5))
    with pytest.raises(ValueError, match="written before"):
        landscape.unravel(file.drop_dims("array"), kept)


def test_statistics_that_a_string_carries_come_back_beside_the_parameters(tmp_path):
    key, model, data = jax.random.key(0), Normed(channels=(2,)), images(6)
    stored = with_stored_statistics(model_surface(model, data, Functional("cross_entropy")))
    surface, lift = stored
    bead = lift(initial_thetas(model, data, key, 1))[0]
    paths = Paths.empty(surface.dimension, arrays=named_arrays(surface))
    variables = landscape.unravel(opened(paths, tmp_path), bead)
    assert set(variables) == {"params", "batch_stats"}
    outputs = fitted(model, data).apply(variables, data.train.inputs.astype(float))
    energy = optax.softmax_cross_entropy_with_integer_labels(outputs, data.train.targets).mean()
    assert float(energy) == pytest.approx(surface.energies(bead[None])[0], rel=1e-12)


def test_of_a_formula_all_parameters_are_one_array(tmp_path):
    file = opened(Strings.empty(1, [0.1], 2), tmp_path)
    assert landscape.unravel(file, np.array([1.0, 2.0]))["theta"].tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="5 numbers do not make 2 parameters"):
        Strings.empty(1, [0.1], 2, arrays={"w": (5,)})
