"""Networks through the library door: the same numbers as a function of one's own, in blocks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import slow

import landscape_cli as landscape
from landscape_cli.methods.function_space import FunctionSpace
from landscape_cli.methods.taut_string import TautString

DRAWS = np.random.default_rng(0)
IMAGES = DRAWS.normal(size=(10, 4, 4, 1)).astype(np.float32)
CLASSES = np.arange(10) % 3


class Net(nn.Module):
    """A convolution, batch norm if asked for, and a layer of more outputs than classes."""

    norm: bool = False

    @nn.compact
    def __call__(self, inputs, train=False):
        hidden = nn.Conv(2, (3, 3))(inputs)
        hidden = nn.BatchNorm(use_running_average=not train)(hidden) if self.norm else hidden
        return nn.Dense(4)(jnp.tanh(hidden).mean((1, 2)))


def params(seed, module=None):
    draws = np.random.default_rng(seed)
    shapes = jax.eval_shape((module or Net()).init, jax.random.key(0), IMAGES[:1])["params"]
    return jax.tree.map(lambda leaf: 0.5 * draws.normal(size=leaf.shape).astype("f4"), shapes)


def plain(tree):
    """The mean loss, as a user would write it."""
    outputs = Net().apply({"params": tree}, jnp.asarray(IMAGES))
    return optax.softmax_cross_entropy_with_integer_labels(outputs, CLASSES).mean()


START, END = params(0), params(1)
BRIEF = TautString(segments=4, max_beads=9, evaluations=20, bead_steps=40)


def chord(energy, **words):
    return landscape.connect(energy, START, END, "straight", **words)


@pytest.mark.parametrize("block", [slow(None), 4])
def test_energies_are_those_of_a_function(block):
    energy = landscape.surface(Net(), IMAGES, CLASSES, engine=landscape.Engine(block=block))
    ours, theirs = chord(energy), chord(plain)
    assert ours.surface.strategy == "loop" and len(ours.surface.parts.blocks) == (
        3 if block else 1
    )
    np.testing.assert_allclose(ours.profile()[1], theirs.profile()[1], rtol=1e-5, atol=1e-6)
    assert energy(START) == pytest.approx(float(plain(START)), abs=1e-6)
    assert chord(energy).surface is ours.surface, "made once"


def test_a_geodesic_is_that_of_a_function():
    level = 1.1 * max(float(plain(START)), float(plain(END)))
    energy = landscape.surface(Net(), IMAGES, CLASSES)
    wide = [jax.tree.map(lambda leaf: leaf.astype(float), tree) for tree in (START, END)]
    ours, theirs = (
        landscape.geodesic(one, *wide, level, method=BRIEF)
        for one in (energy, lambda tree: plain(tree))
    )
    assert ours.surface.dtype == np.float64 and ours.connected == theirs.connected
    np.testing.assert_allclose(ours.peak, theirs.peak, rtol=1e-6)
    np.testing.assert_allclose(ours.beads, theirs.beads, atol=1e-4)
    assert jax.tree.structure(ours.at(0.5)) == jax.tree.structure(START)


def test_statistics_of_batch_norm_are_computed_anew():
    module = Net(norm=True)
    theta = params(2, module)
    _, known = module.apply({"params": theta}, IMAGES, train=True, mutable=["batch_stats"])
    outputs = module.apply({"params": theta, **known}, IMAGES)
    found = landscape.surface(module, IMAGES, CLASSES)(theta)
    wanted = optax.softmax_cross_entropy_with_integer_labels(outputs, CLASSES).mean()
    assert found == pytest.approx(float(wanted), abs=1e-5)


def test_methods_look_into_the_network():
    energy = landscape.surface(Net(), IMAGES, CLASSES)
    path = landscape.connect(energy, START, END, FunctionSpace(beads=5, steps=2))
    assert np.isfinite(path.found.output_length)


@pytest.mark.parametrize("loss", ["mse", slow("mae")])
def test_regression_and_pairs(loss):
    numbers = DRAWS.normal(size=(10, 4))
    energy = landscape.surface(Net(), IMAGES, numbers, loss=loss)
    both = [
        jax.tree.map(lambda *leaf: np.stack(leaf), *pair) for pair in ((START, END), (END, START))
    ]
    one, other = landscape.connect(energy, *both, "straight", batched=True)
    assert one.peak == pytest.approx(other.peak, rel=1e-4)
    outputs = np.asarray(Net().apply({"params": START}, IMAGES))
    apart = (outputs - numbers) ** 2 if loss == "mse" else abs(outputs - numbers)
    assert energy(START) == pytest.approx(apart.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (dict(module=plain), "module must be a Flax linen module, got a function"),
        (dict(inputs=IMAGES[:0]), "inputs must hold at least one example"),
        (dict(targets=CLASSES[:3]), r"targets must be of 10 examples, got shape \(3,\)"),
        (dict(targets=CLASSES + 2), "targets must be classes 0 to 3, got 2 to 4"),
        (dict(targets=CLASSES * 1.0), "one integer an example for cross_entropy, got float64"),
        (dict(loss="mse"), r"targets must be \(example, output\) for mse, got \(10,\)"),
        (dict(loss="hinge"), "loss must be one of cross_entropy, mse, mae"),
    ],
)
def test_what_is_no_task_is_refused(words, said):
    with pytest.raises(ValueError, match=said):
        landscape.surface(**dict(module=Net(), inputs=IMAGES, targets=CLASSES) | words)


def test_what_does_not_fit_the_network_is_refused():
    energy = landscape.surface(Net(), IMAGES, CLASSES)
    with pytest.raises(ValueError, match=r"^engine: that of a network is given to landscape.surf"):
        chord(energy, engine=landscape.Engine())
    with pytest.raises(ValueError, match=r"ends must be parameters of Net, such as variables\["):
        landscape.connect(energy, {"params": START}, {"params": END}, "straight")
    with pytest.raises(ValueError, match="engine: devices is for runs of the command"):
        chord(landscape.surface(Net(), IMAGES, CLASSES, engine=landscape.Engine(devices=1)))
    narrow = landscape.surface(Net(), IMAGES, DRAWS.normal(size=(10, 2)), loss="mse")
    with pytest.raises(ValueError, match=r"Net gives outputs of shape \(4,\), .* needs \(2,\)"):
        chord(narrow)
