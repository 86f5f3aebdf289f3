"""Networks as surfaces: parameter counts, energies and gradients found another way."""

from functools import partial
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.flatten_util import ravel_pytree
from scipy.special import expit, log_softmax
from scipy.stats import chisquare
from small import slow

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core import surface as core
from landscape_cli.core.engine import Engine
from landscape_cli.data.linear_map import LinearMap
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.models.base import (
    MiniBatch,
    fitted,
    initial_thetas,
    model_surface,
    network_layout,
    weight_mask,
)
from landscape_cli.models.cnn import CNN
from landscape_cli.models.energies import minibatch, subset
from landscape_cli.models.layers import largest_of
from landscape_cli.models.linear_net import LinearNet
from landscape_cli.models.mlp import MLP

CUBIC = Polynomial((0.0, 3.0, -10.0, 8.0), train=16, test=8).load(jax.random.key(0))
MSE = Functional("mse")
KEY = jax.random.key(0)


def images(size, count=6):
    draws = np.random.default_rng(0)
    pixels = draws.random((count, size, size, 1)).astype(np.float32)
    labels = draws.integers(0, 10, count).astype(np.int32)
    split = Examples(pixels, labels, np.full(count, 1 / count))
    return Dataset("images", split, split, classes=10)


def tree(model, dataset, theta):
    return network_layout(fitted(model, dataset), dataset).unravel(jnp.asarray(theta))


@pytest.mark.parametrize(
    ("model", "dataset", "parameters", "weights"),
    [
        (MLP((4, 4)), CUBIC, 33, 24),
        (MLP((4, 4), bias=False), CUBIC, 24, 24),
        (LinearNet((4, 5)), LinearMap(inputs=3, outputs=2).load(KEY), 42, 42),
        (CNN(), images(28), 28_874, 28_808),
        (CNN((32, 64), stride=1, pool=2, widths=(1024,)), images(28), 3_274_634, 3_273_504),
    ],
    ids=["cubic", "quadratic", "linear", "desk", "published"],
)
def test_parameter_counts(model, dataset, parameters, weights):
    mask = weight_mask(model, dataset)
    assert (mask.size, mask.sum()) == (parameters, weights)


@pytest.mark.parametrize("metric", ["mse", "mae"])
@pytest.mark.parametrize(("activation", "function"), [("tanh", np.tanh), ("sigmoid", expit)])
def test_energy_of_a_dense_network_against_a_plain_loop(metric, activation, function):
    model = MLP((4, 3), activation=activation, initializer="uniform")
    theta = initial_thetas(model, CUBIC, KEY, 1)[0]
    p = tree(model, CUBIC, theta)
    total = 0.0
    for x, y, weight in zip(
        CUBIC.train.inputs, CUBIC.train.targets, CUBIC.train.weights, strict=True
    ):
        hidden = function(x @ p["kernel_0"] + p["bias_0"])
        hidden = function(hidden @ p["kernel_1"] + p["bias_1"])
        miss = hidden @ p["kernel_2"] + p["bias_2"] - y
        total += weight * float(np.mean(miss**2 if metric == "mse" else np.abs(miss)))
    found = model_surface(model, CUBIC, Functional(metric)).energies(theta)
    assert found == pytest.approx(total, rel=1e-12)


def test_linear_net_is_a_product_of_matrices():
    data = LinearMap(inputs=3, outputs=2).load(KEY)
    model = LinearNet((4, 5))
    theta = initial_thetas(model, data, KEY, 1)[0]
    product = np.linalg.multi_dot([np.asarray(m) for m in tree(model, data, theta).values()])
    expected = np.mean((data.train.inputs @ product - data.train.targets) ** 2)
    assert model_surface(model, data, MSE).energies(theta) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("stride", "pool"), [(2, 1), (1, 2)])
def test_energy_of_a_convolutional_network_against_flax(stride, pool):
    model = CNN((2, 3), kernel=3, stride=stride, pool=pool, widths=(5,), initializer="truncated")
    data = images(8)
    theta = initial_thetas(model, data, KEY, 1)[0]

    @jax.jit
    def outputs(p, hidden):
        for layer in (0, 1):
            conv = nn.Conv(model.channels[layer], (3, 3), strides=stride)
            leaves = {"kernel": p[f"kernel_{layer}"], "bias": p[f"bias_{layer}"]}
            hidden = nn.relu(conv.apply({"params": leaves}, hidden))
            hidden = nn.max_pool(hidden, (pool, pool), (pool, pool))
        hidden = nn.relu(hidden.reshape(6, -1) @ p["kernel_2"] + p["bias_2"])
        return hidden @ p["kernel_3"] + p["bias_3"]

    logits = outputs(tree(model, data, theta), data.train.inputs.astype(float))
    expected = -log_softmax(logits, axis=1)[np.arange(6), data.train.targets].mean()
    surface = model_surface(model, data, Functional("cross_entropy"))
    assert surface.energies(theta) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("model", "dataset", "functional"),
    [
        (MLP((4, 4)), CUBIC, MSE),
        (MLP((4,), activation="softplus", output_activation="sigmoid"), CUBIC, MSE),
        (LinearNet((4,)), LinearMap(inputs=3, outputs=2).load(KEY), MSE),
        (CNN((2, 3), 3, activation="tanh", widths=(5,)), images(8), Functional("cross_entropy")),
    ],
)
def test_gradients_against_finite_differences(model, dataset, functional):
    surface = model_surface(model, dataset, functional)
    theta = initial_thetas(model, dataset, KEY, 1)
    energies, gradients = surface.energies_and_gradients(jnp.asarray(theta))
    steps = np.random.default_rng(1).normal(size=(3, surface.dimension))
    h = 1e-5  # error h² of the difference against 1e-16 / h of rounding
    slopes = (surface.energies(theta + h * steps) - surface.energies(theta - h * steps)) / (2 * h)
    np.testing.assert_allclose(np.asarray(gradients)[0] @ steps.T, slopes, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(energies, surface.energies(theta), rtol=1e-12)


def test_equal_networks_compile_once():
    thetas = jnp.asarray(initial_thetas(MLP((3,)), CUBIC, KEY, 4))
    first, second = (model_surface(MLP((3,)), CUBIC, MSE) for _ in range(2))
    assert first.energy == second.energy
    assert hash(first.energy) == hash(second.energy)
    first.energies_and_gradients(thetas)
    before = core._gradients(first.light)._cache_size()
    second.energies_and_gradients(thetas)
    assert core._gradients(first.light)._cache_size() == before


def test_first_networks_do_not_depend_on_how_many_or_on_precision():
    few, many = (initial_thetas(MLP(), CUBIC, KEY, count) for count in (2, 5))
    np.testing.assert_array_equal(few, many[:2])
    single = initial_thetas(MLP(), CUBIC, KEY, 2, "float32")
    assert single.dtype == np.float32
    np.testing.assert_array_equal(few, single)
    assert len(np.unique(many[:, -1])) == 5


def test_published_initial_draw():
    thetas = initial_thetas(MLP(initializer="uniform"), CUBIC, KEY, 400)
    mask = weight_mask(MLP(), CUBIC)
    assert np.abs(thetas[:, mask]).max() < 1
    assert thetas[:, mask].var() == pytest.approx(1 / 3, rel=0.05)
    assert thetas[:, ~mask].var() == pytest.approx(1, rel=0.1)


def test_layout_is_that_of_ravel_pytree():
    data = images(8)
    layout = network_layout(fitted(CNN(), data), data)
    theta = jnp.arange(float(layout.size))
    params = layout.unravel(theta)
    assert params["kernel_1"].shape == (5, 5, 8, 16)
    np.testing.assert_array_equal(ravel_pytree(params)[0], theta)
    np.testing.assert_array_equal(layout.ravel(params), theta)


def test_convolutions_are_looped_over_on_a_cpu():
    ce = Functional("cross_entropy")
    wide = CNN(channels=(16, 32), stride=1)
    assert model_surface(wide, images(8), ce, "float32").strategy == "loop"
    assert model_surface(MLP(), images(8), ce, "float32").strategy == "vmap"


def test_memory_bounds_the_chunk():
    gib = (3e-6, 1e-4, 1e3)
    chunks = [model_surface(MLP(), CUBIC, MSE, engine=Engine(memory=m)).chunk for m in gib]
    assert chunks[0] == 1 < chunks[1] < chunks[2]


def test_descended_loss_is_that_of_the_training_split():
    surface = model_surface(MLP(), CUBIC, Functional("mae", "test", "mse"), batch=4)
    theta = initial_thetas(MLP(), CUBIC, KEY, 1)
    losses, _ = surface.losses_and_gradients(jnp.asarray(theta))
    np.testing.assert_allclose(losses, model_surface(MLP(), CUBIC, MSE).energies(theta))
    assert len(surface.data[2]) == 8
    assert surface.batch == MiniBatch(4)
    assert len(surface.batch(surface.slope_data, KEY)[2]) == 4


def test_minibatches_are_unbiased_and_have_no_example_twice():
    data = tuple(map(jnp.asarray, (np.arange(16.0), np.arange(16.0), CUBIC.train.weights)))
    keys = jax.random.split(KEY, 4000)
    drawn = jax.jit(jax.vmap(lambda key: minibatch(data, key, 4)))(keys)
    inputs, _, weights = map(np.asarray, drawn)
    assert all(len(np.unique(row)) == 4 for row in inputs[:50])
    estimates = (inputs * weights).sum(1)
    spread = estimates.std() / np.sqrt(len(keys))
    assert abs(estimates.mean() - data[0] @ data[2]) < 4 * spread
    assert minibatch(data, KEY, 16) is data


def one_by_one(key, total, size):
    """Floyd's algorithm as it was published, on the same draws."""
    own, found = np.arange(total - size, total), []
    draws = np.asarray(jax.random.randint(key, (size,), 0, own + 1, jnp.int32))
    for drawn, j in zip(draws, own, strict=True):
        found.append(j if drawn in found else drawn)
    return found


@pytest.mark.parametrize(("total", "size"), [(9, 1), slow(9, 4), slow(9, 8), (9, 9), (200, 180)])
def test_subsets_are_those_of_the_published_algorithm(total, size):
    drawn = jax.jit(partial(subset, total=total, size=size))
    for key in jax.random.split(KEY, 20):
        found = np.asarray(drawn(key))
        np.testing.assert_array_equal(found, one_by_one(key, total, size))
        assert len(np.unique(found)) == size
        assert found.min() >= 0 and found.max() < total
        np.testing.assert_array_equal(drawn(key), found)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_subset_is_equally_likely(size):
    """χ² over all subsets of six numbers; examples and pairs are among them."""
    draws, many = 30000, jax.jit(jax.vmap(lambda key: subset(key, 6, size)))
    rows = np.sort(many(jax.random.split(KEY, draws)), axis=1)
    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(counts) == comb(6, size)
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("size", [10, slow(50)])
def test_examples_and_pairs_of_large_subsets_are_equally_likely(size):
    """Each number, and each pair, is drawn as often as it should, within five deviations."""
    draws, total = 20000, 60
    rows = jax.jit(jax.vmap(lambda key: subset(key, total, size)))(jax.random.split(KEY, draws))
    chosen = np.zeros((draws, total))
    np.put_along_axis(chosen, np.asarray(rows), 1.0, axis=1)
    one, two = size / total, size * (size - 1) / (total * (total - 1))
    share = chosen.T @ chosen / draws
    pairs = share[np.triu_indices(total, 1)]
    assert abs(share.diagonal() - one).max() < 5 * np.sqrt(one * (1 - one) / draws)
    assert abs(pairs - two).max() < 5 * np.sqrt(two * (1 - two) / draws)


def test_no_mini_batch_sorts_all_examples():
    """At 60,000 examples that costs more than the gradient."""
    draw = jax.vmap(partial(minibatch, size=4), in_axes=(None, 0))
    traced = jax.make_jaxpr(draw)((jnp.ones(9),) * 3, jax.random.split(KEY, 3))
    assert " sort[" not in str(traced)


def test_a_mini_batch_is_the_same_in_every_precision():
    data = (np.arange(50.0), np.arange(50.0), np.full(50, 0.02))
    with jax.enable_x64(False):
        narrow, *_ = minibatch(tuple(map(jnp.asarray, data)), KEY, 7)
        waiting, *_ = minibatch(data, KEY, 7)
    wide, *_ = minibatch(tuple(map(jnp.asarray, data)), KEY, 7)
    np.testing.assert_array_equal(narrow, wide)
    np.testing.assert_array_equal(waiting, wide)


class Odd(nn.Module):
    """A user's network with a fault."""

    fault: str

    @nn.compact
    def __call__(self, inputs):
        outputs = nn.Dense(1)(inputs) if self.fault != "empty" else inputs
        match self.fault:
            case "tuple":
                return outputs, outputs
            case "dropout":
                return nn.Dropout(0.5, deterministic=False)(outputs)
            case "statistics":  # of a call that does not take `train`
                return nn.BatchNorm(use_running_average=True)(outputs)
            case "raises":
                raise RuntimeError("boom\nand more")
        return outputs


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("tuple", r"do not fit: Odd gives outputs of type tuple, data=cubic needs \(1,\)$"),
        ("empty", "^model: Odd has no parameters"),
        ("dropout", "do not fit: Odd on inputs .* data=cubic: InvalidRngError: Dropout_0 needs"),
        ("statistics", r"do not fit: Odd on inputs .*: TypeError: .* argument 'train'$"),
        ("raises", r"do not fit: Odd on inputs of shape \(1,\) .*: RuntimeError: boom$"),
    ],
)
def test_a_fault_of_a_users_network_is_one_line(fault, message):
    with pytest.raises(UserError, match=message):
        model_surface(Odd(fault), CUBIC, MSE)


@pytest.mark.parametrize(
    ("model", "dataset", "message"),
    [
        (CNN(), CUBIC, "model and data do not fit: CNN .* data=cubic: convolutions need images"),
        (CNN(pool=2, stride=1), images(9), "images of 9 × 9 cannot be pooled by 2"),
        (MLP(outputs=3), CUBIC, r"MLP gives outputs of shape \(3,\), data=cubic needs \(1,\)"),
    ],
)
def test_model_and_data_must_fit(model, dataset, message):
    functional = Functional("mse" if dataset.classes is None else "cross_entropy")
    with pytest.raises(UserError, match=message):
        model_surface(model, dataset, functional)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MLP((4, 0)), r"widths must all be at least 1, got \[4, 0\]"),
        (lambda: MLP(activation="than"), "activation must be .*did you mean 'tanh'"),
        (lambda: MLP(initializer="zeros"), "initializer must be one of lecun"),
        (lambda: MLP(outputs=0), "outputs must be at least 1"),
        (lambda: LinearNet((0,)), "widths must all be at least 1"),
        (lambda: CNN(channels=(0,)), "channels must all be at least 1"),
        (lambda: CNN(pool=0), "pool must be at least 1"),
    ],
)
def test_bad_settings(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_pooling_takes_the_largest():
    pixels = jnp.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(largest_of(pixels, 2)[0, :, :, 0], [[5, 7], [13, 15]])
