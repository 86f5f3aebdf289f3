"""One mesh, one code path: four devices give the numbers of one.

This file run as a program prints what four virtual devices find.
"""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1]))
from small import near, slow

from landscape_cli.core import devices, host_loop, threads
from landscape_cli.core.curvature import along
from landscape_cli.core.descent import adam, descend
from landscape_cli.core.engine import Engine
from landscape_cli.core.relax import relax
from landscape_cli.core.relax_steps import Relaxing
from landscape_cli.core.report import Progress
from landscape_cli.core.surface import Surface
from landscape_cli.core.training import train
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.functional import Functional
from landscape_cli.methods.taut_string import TautString
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.mlp import MLP

# What a host loop over points is asked for besides energies and gradients, by where data lie.
WHOLE = ["curvatures", "trained", "trained on batches", "noisy bands"]
QUICK = {"device": ["curvatures", "trained", "noisy bands"], "host": ["trained on batches"]}


def ring(theta, data):
    return (theta @ theta - data) ** 2


def on_a_ring():
    """Energies, gradients, descents, training and strings."""
    surface = Surface(ring, jnp.ones(()), 3)
    points = np.random.default_rng(0).normal(size=(9, 3))  # three short of a multiple
    energies, gradients = surface.energies_and_gradients(jnp.asarray(points))
    pool = descend(surface, adam(0.01), points, np.full(9, 0.05), 200)
    trained = train(surface, adam(0.01), points, (0.1, 0.01), 200, 50, jax.random.key(0))
    starts = np.tile(np.eye(3), (2, 1))
    ends = np.tile(-np.roll(np.eye(3), 1, axis=0), (2, 1))
    levels, pairs = np.repeat([0.2, 0.05], 3), np.tile(np.arange(3), 2)
    method = TautString(evaluations=40, bead_steps=300, segments=8, max_beads=17)
    found = dict(method.connect(surface, starts, ends, levels, pairs, Progress()))
    return {
        "energies": np.asarray(energies).tolist(),
        "gradients": np.asarray(gradients).tolist(),
        "pool": pool.thetas.tolist(),
        "trained": trained.thetas.tolist(),
        "lengths": [found[i].normalized_length for i in range(6)],
        "peaks": [found[i].peak for i in range(6)],
    }


def valley(theta, data):
    return data[0] @ (theta[1] - jnp.sin(theta[0]) - data[1]) ** 2 + 0.1 * (theta @ theta)


def some(data, key):
    chosen = near(key, 3, 6)
    return data[0][chosen] * 2, data[1][chosen]


def in_a_valley():
    """Bands of three lengths, relaxed on all examples and on batches of them."""
    surface = Surface(valley, (jnp.full(6, 1 / 6), jnp.linspace(-0.1, 0.1, 6)), 2, batch=some)
    strings = [np.linspace([-3.0, 0.0], [3.0, 1.0], n) for n in (7, 4, 12)]
    rates, key = np.full(30, 0.01), jax.random.key(0)
    full = relax(surface, strings, Relaxing(), rates)
    noisy = relax(surface, strings, Relaxing(), rates, draw=some, key=key)
    return [beads.tolist() for beads in full.strings + noisy.strings]


def one_by_one(place, wanted):
    """A host loop over points: energies, gradients, what is `wanted`; who computed."""
    data = np.full(6, 1 / 6), np.linspace(-0.1, 0.1, 6)
    data = jax.tree.map(jnp.asarray, data) if place == "device" else data
    surface = Surface(valley, data, 2, batch=some, strategy="loop")
    points = np.random.default_rng(0).normal(size=(10, 2))
    used, many, whole = set(), [], host_loop._one_context

    def seen(energy, reference, theta):
        used.update(theta.devices())
        return whole(energy, reference, theta)

    host_loop._one_context = seen
    try:
        energies, gradients = surface.energies_and_gradients(jnp.asarray(points))
        many.append(len(used))
        used.clear()
        again = surface.energies(points)
        many.append(len(used))
    finally:
        host_loop._one_context = whole
    key, rates = jax.random.key(0), np.full(8, 0.01)
    learn = lambda batch: train(surface, adam(0.01), points, (0.5, 0.2), 60, 20, key, batch)
    strings = [np.linspace([-3.0, 0.0], [3.0, 1.0], 7), np.linspace([0.0, 0.0], [2.0, 1.0], 7)]
    asked = {
        "curvatures": lambda: along(surface, points, points / 2),
        "trained": lambda: learn(False).thetas,
        "trained on batches": lambda: learn(True).thetas,
        "noisy bands": lambda: np.stack(
            relax(surface, strings, Relaxing(), rates, draw=some, key=key).strings
        ),
    }
    return {
        "devices": many,
        "energies": [np.asarray(energies).tolist(), again.tolist()],
        "gradients": np.asarray(gradients).tolist(),
    } | {name: asked[name]().tolist() for name in wanted}


def on_so_many(count):
    """Energies on `count` devices, and how many of eight things one of them has."""
    surface = Surface(ring, jnp.ones(()), 3)
    points = np.random.default_rng(0).normal(size=(9, 3))
    threads.compute_on(count)
    lanes = devices.over_devices(lambda _, x: jnp.full_like(x, len(x)), (), jnp.ones(8))
    items = devices.on_devices(lambda some: [len(some)] * len(some), range(8))
    return {
        "energies": np.asarray(surface.energies(jnp.asarray(points))).tolist(),
        "share": [float(lanes.max()), int(max(items))],
        "alone": threads.one_cpu(),
        "threads": threads.workers(),
    }


def of_a_network():
    """Where the examples of a network lie, and its energies by both strategies."""
    found, data = {}, Polynomial((0.0, 1.0, 0.0, 1.0), train=20).load(jax.random.key(0))
    thetas = initial_thetas(MLP((3,)), data, jax.random.key(0), 5)
    for strategy in ("vmap", "loop"):
        engine = Engine(strategy=strategy, block=4)
        surface = model_surface(MLP((3,)), data, Functional("mse"), engine=engine)
        inputs = surface.data[0]
        assert devices.here(inputs) is inputs, "of the first thread"
        with threads.at_work(True, jax.local_devices()[-1]):
            mine = devices.here(inputs)
        found[strategy] = {
            "devices": [len(inputs.devices()), len(mine.devices())],
            "inputs": mine.tolist(),
            "energies": surface.energies(thetas).tolist(),
        }
        with jax.transfer_guard_device_to_device("disallow"):  # nothing is sent again
            surface.energies(thetas)
    return found


def on_four(wanted):
    """What four virtual devices find."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, __file__, json.dumps(wanted)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def same_numbers(four):
    assert jax.local_device_count() == 1
    one, four = on_a_ring(), four["ring"]
    for name in ("energies", "gradients", "pool", "trained"):
        np.testing.assert_allclose(four[name], one[name], rtol=1e-8, atol=1e-10, err_msg=name)
    # Fewer lanes to a device round otherwise, which a search amplifies; tolerances bound it.
    np.testing.assert_allclose(four["lengths"], one["lengths"], rtol=1e-4)
    assert (np.array(four["peaks"]) <= np.repeat([0.2, 0.05], 3)).all()


def same_strings(four):
    one, four = in_a_valley(), four["valley"]
    for mine, theirs in zip(one, four, strict=True):
        np.testing.assert_allclose(theirs, mine, atol=1e-10)
    for exact, noisy in zip(one[:3], one[3:], strict=True):
        assert np.abs(np.subtract(exact, noisy)).max() > 1e-4


def same_numbers_point_by_point(four, place, wanted):
    one, theirs = one_by_one(place, wanted), four[place]
    assert one.pop("devices") == [1, 1]
    assert theirs.pop("devices") == [4, 4]
    for name, mine in one.items():
        np.testing.assert_allclose(theirs[name], mine, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(QUICK, id="some"),  # every device compiles all of it for itself
        slow({"device": WHOLE, "host": WHOLE}, id="all"),
    ],
)
def test_four_devices_give_what_one_gives(wanted):
    """One test, since all that four devices find takes a process of its own."""
    four = on_four(wanted)
    same_numbers(four)
    same_strings(four)
    for place, names in wanted.items():
        same_numbers_point_by_point(four, place, names)
    for strategy, one in of_a_network().items():
        there = four["network"][strategy]
        assert one["devices"] == [1, 1] and there["devices"] == [4, 1]
        assert there["inputs"] == one["inputs"]
        np.testing.assert_allclose(there["energies"], one["energies"], rtol=1e-12)
    for count, one in four["of four"].items():
        assert one["share"] == [8 // int(count)] * 2
        assert one["alone"] == (count == "1")
        assert one["threads"] == (threads.workers() if count == "1" else 1)
        np.testing.assert_allclose(one["energies"], four["ring"]["energies"], rtol=1e-12)
    assert four["copies"] == 0, "copies on other devices go with what they are copies of"


@pytest.fixture
def two_devices(monkeypatch):
    """The one there is, twice: who is asked for what can be seen in this process."""
    monkeypatch.setattr(jax, "local_devices", lambda: 2 * jax.devices())


def test_every_device_is_asked_once_for_its_share(two_devices):
    asked = []

    def doubled(items):
        asked.append(items)
        return [2 * item for item in items]

    assert devices.on_devices(doubled, range(5)) == [0, 2, 4, 6, 8]
    assert sorted(asked) == [[0, 2, 4], [1, 3]]
    asked.clear()
    assert devices.on_devices(doubled, [7]) == [14]
    assert asked == [[7]], "no device is asked for nothing"
    asked.clear()
    inner = lambda items: devices.on_devices(doubled, items)
    assert devices.on_devices(inner, range(4)) == [0, 2, 4, 6]
    assert sorted(asked) == [[0, 2], [1, 3]], "one of several threads calls no others"


@pytest.mark.parametrize(("wide", "dtype"), [(True, "float64"), (False, "float32")])
def test_devices_compute_in_the_width_of_the_caller(two_devices, wide, dtype):
    with jax.enable_x64(wide):
        found = devices.on_devices(lambda some: [jnp.asarray(1.0) for _ in some], range(2))
    assert [one.dtype.name for one in found] == [dtype] * 2


def test_what_is_shared_is_copied_to_a_device_once(monkeypatch):
    shared, sent = jnp.ones(3), []
    monkeypatch.setattr(devices, "device_here", lambda: jax.devices()[0])
    assert devices.here(shared) is shared, "it is there"
    monkeypatch.setattr(devices, "device_here", lambda: "elsewhere")
    monkeypatch.setattr(jax, "device_put", lambda leaf, where: sent.append(where) or where)
    assert devices.here((shared, 3)) == ("elsewhere", 3) == devices.here((shared, 3))
    assert sent == ["elsewhere"]


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_num_cpu_devices", 4)
    assert jax.local_device_count() == 4
    found = {"ring": on_a_ring(), "valley": in_a_valley()}
    found |= {"network": of_a_network()}
    found |= {"of four": {count: on_so_many(count) for count in (2, 1, 4)}}
    threads.compute_on(None)
    found |= {place: one_by_one(place, names) for place, names in json.loads(sys.argv[1]).items()}
    gc.collect()
    print(json.dumps(found | {"copies": len(devices._copies)}))
