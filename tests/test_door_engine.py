"""How the library door computes an energy: by what it takes, or as an engine says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import slow

import landscape_cli as landscape
from landscape_cli.core.engine import CACHE
from landscape_cli.methods.auto_neb import AutoNEB
from landscape_cli.methods.bezier import Bezier
from landscape_cli.methods.taut_string import TautString

IMAGES = np.random.default_rng(0).normal(size=(4, 5, 5, 1))
TARGETS = IMAGES.mean((1, 2))


def convolving(tree):
    """A filter, a bias, and an array without any entries."""
    found = jax.lax.conv_general_dilated(
        jnp.asarray(IMAGES, tree["filter"].dtype), tree["filter"], (1, 1), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    found = jnp.tanh(found + tree["bias"]).mean((1, 2, 3))
    return ((found - jnp.asarray(TARGETS[:, 0], found.dtype)) ** 2).mean() + tree["none"].sum()


def point(seed):
    draws = np.random.default_rng(seed)
    arrays = {"filter": draws.normal(size=(3, 3, 1, 2)), "bias": np.array(draws.normal())}
    return {**arrays, "none": np.zeros((0, 3))}


START, END = point(1), point(2)
LOOP, VMAP = landscape.Engine(strategy="loop"), landscape.Engine(strategy="vmap")


def ring(theta):
    return ((theta**2).sum() - 1) ** 2


A, B = np.array([1.0, 0.0]), np.array([-1.0, 0.0])


def chord(energy, start, end, **words):
    return landscape.connect(energy, start, end, "straight", **words)


def test_convolutions_run_in_a_host_loop_on_a_cpu():
    """In one program over many points they took fifteen times as long."""
    surface = chord(convolving, START, END).surface
    assert surface.strategy == "loop" and surface.energy.layout.sizes == (1, 18, 0)
    assert chord(convolving, START, END, engine=VMAP).surface.strategy == "vmap"


@pytest.mark.parametrize("dtype", [slow("float32"), "float64"])
def test_either_way_gives_the_same_numbers(dtype):
    ends = [jax.tree.map(lambda leaf: leaf.astype(dtype), tree) for tree in (START, END)]
    loop, vmap = (chord(convolving, *ends, engine=engine).surface for engine in (LOOP, VMAP))
    points = np.random.default_rng(3).normal(size=(5, 19)).astype(dtype)
    close = dict(rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-7)
    np.testing.assert_allclose(loop.energies(points), vmap.energies(points), **close)
    for one, other in zip(
        loop.energies_and_gradients(jnp.asarray(points)),
        vmap.energies_and_gradients(jnp.asarray(points)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, **close)
        assert one.dtype == other.dtype == dtype


@pytest.mark.parametrize(
    "method",
    [
        TautString(segments=4, max_beads=9, evaluations=20, bead_steps=40),
        slow(AutoNEB(schedule=((3, 0.01, 1), (3, 0.01, 1)))),
        Bezier(steps=3, beads=9),
    ],
    ids=lambda method: type(method).__name__,
)
def test_methods_take_an_energy_in_a_host_loop(method):
    level = 1.2 * max(map(float, map(convolving, (START, END))))
    loop, vmap = (
        landscape.connect(convolving, START, END, method, level=level, engine=engine)
        for engine in (None, VMAP)
    )
    assert (loop.surface.strategy, vmap.surface.strategy) == ("loop", "vmap")
    # Rounding differs by the order of sums, and a few steps do not blow it up.
    np.testing.assert_allclose(loop.beads, vmap.beads, atol=1e-8)
    assert set(loop.at(0.5)) == {"filter", "bias", "none"}


def test_a_batch_of_pairs_in_a_host_loop():
    several = [jax.tree.map(lambda *leaves: np.stack(leaves), START, END)]
    several.append(jax.tree.map(lambda leaf: leaf[::-1], several[0]))
    there, back = chord(convolving, *several, batched=True)
    assert there.surface.strategy == "loop"
    np.testing.assert_allclose(there.peak, back.peak, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_energies_are_computed_as_ever(dtype):
    """In the same programs over as many points, so that results keep all bits."""
    surface = chord(ring, A.astype(dtype), B.astype(dtype)).surface
    assert (surface.strategy, surface.chunk, surface.work) == ("vmap", 256, 0)


def wide(theta):
    """A megabyte of intermediate values."""
    return jnp.tanh(theta[0] * jnp.arange(1 << 17, dtype=theta.dtype) / 1e5).mean() + ring(theta)


def test_large_energies_are_computed_few_points_at_a_time():
    """256 of them were there at once, however large they were."""
    surface = chord(wide, A, B).surface
    assert surface.strategy == "vmap" and surface.work > 2**20
    assert surface.chunk >= 1 and surface.chunk * surface.work <= CACHE
    less = chord(wide, A, B, engine=landscape.Engine(memory=0.01)).surface
    assert 1 <= less.chunk < surface.chunk and less.chunk * less.work <= 0.01 * 2**30


def test_an_engine_is_heeded():
    path = landscape.geodesic(
        ring, A, B, 0.1, method="straight", engine=landscape.Engine(strategy="loop", chunk=7)
    )
    assert (path.surface.strategy, path.surface.chunk) == ("loop", 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (dict(block=8), "^engine: block is for networks on examples"),
        (dict(gradients="bfloat16"), "^engine: gradients is for networks on examples"),
        (dict(data="host"), "^engine: data is for networks on examples"),
        (dict(devices=1), "^engine: devices is for networks on examples"),
        (dict(remat=True), "^engine: remat is for networks on examples"),
        (dict(memory=1e-4), r"engine.memory=0.0001: a program of one point takes 0\.00\d+ GiB"),
        (dict(memory=1e-3, chunk=2), "a program of engine.chunk=2 takes 0.00"),
    ],
)
def test_an_engine_that_does_not_suit_is_refused(words, said):
    with pytest.raises(ValueError, match=said):
        chord(wide, A, B, engine=landscape.Engine(**words))


def test_an_engine_is_no_name():
    with pytest.raises(ValueError, match=r"engine must be a landscape\.Engine, got 'loop'"):
        chord(ring, A, B, engine="loop")
