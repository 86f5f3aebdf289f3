"""Hidden units are found where they are, and only there: outputs decide."""

import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import slow

from landscape_cli.core.symmetry.axes import Atom, Axes, Fixed, Grid, Row, terms
from landscape_cli.core.symmetry.units import flat, unflat, unit_groups
from landscape_cli.models.alexnet import AlexNet
from landscape_cli.models.cnn import CNN
from landscape_cli.models.densenet import DenseNet
from landscape_cli.models.linear_net import LinearNet
from landscape_cli.models.mlp import MLP
from landscape_cli.models.resnet import ResNet
from landscape_cli.models.vgg import VGG

sys.path.append(str(Path(__file__).parents[3] / "examples" / "plugin"))
from residual_net import ResidualNet


class Attention(nn.Module):
    """A transformer block over five tokens, then the mean of all."""

    @nn.compact
    def __call__(self, tokens):
        stream = nn.Dense(6)(tokens)
        stream = stream + nn.MultiHeadDotProductAttention(3, qkv_features=12)(
            nn.LayerNorm()(stream)
        )
        return nn.Dense(2)(nn.gelu(nn.Dense(10)(stream)).mean(1))


class Einsum(nn.Module):
    """Two heads cut out of one dense layer by a reshape, causal."""

    @nn.compact
    def __call__(self, tokens):
        count, length, _ = tokens.shape
        mask = jnp.tril(jnp.ones((length, length), bool))
        query, key, value = (
            nn.Dense(8, name=name)(tokens).reshape(count, length, 2, 4) for name in "qkv"
        )
        scores = jnp.where(mask, jnp.einsum("bihd,bjhd->bhij", query, key), -1e9)
        mixed = jnp.einsum("bhij,bjhd->bihd", jax.nn.softmax(scores), value)
        return nn.Dense(3)(mixed.reshape(count, length, 8)).mean(1)


class Depthwise(nn.Module):
    """A channel of the second convolution sees one of the first."""

    @nn.compact
    def __call__(self, images):
        hidden = nn.relu(nn.Conv(6, (3, 3))(images))
        hidden = nn.relu(nn.Conv(6, (3, 3), feature_group_count=6)(hidden))
        return nn.Dense(2)(nn.max_pool(hidden, (2, 2), (2, 2)).reshape(len(images), -1))


IMAGE, TOKENS = (8, 8, 2), (5, 4)
RES8 = [4, 4, 8, 8, 16, 16]  # stream, inner of stage 1, ... where every stage has its own stream
NETWORKS = [  # network, shape of an input, sizes of groups: (size, parent) for units of a family
    (MLP((5, 7), outputs=3), (4,), [5, 7]),
    slow(MLP((5, 7), bias=False, activation="relu", outputs=3), (4,), [5, 7]),
    (LinearNet((4, 3), outputs=2), (5,), [4, 3]),
    (ResidualNet(outputs=2), (2,), [6]),
    (CNN((4, 6), widths=(7,), outputs=3), IMAGE, [4, 6, 7]),
    (CNN((4, 6), widths=(7,), stride=1, pool=2, outputs=3), IMAGE, [4, 6, 7]),
    slow(CNN((4, 6), widths=(7,), norm="layer", outputs=3), IMAGE, [4, 6, 7]),
    (CNN((4, 6), widths=(7,), norm="batch", outputs=3), IMAGE, [4, 6, 7]),
    (VGG(11, 2, (6, 5), outputs=3), (32, 32, 1), [2, 4, 8, 8, 16, 16, 16, 16, 6, 5]),
    # Half the channels of a stage with shortcut A are those of the stage before, half are new.
    (ResNet(8, 4, "A", "none", outputs=3), IMAGE, [4, 4, 8, 4, 16, 8]),
    slow(ResNet(8, 4, "A", "layer", outputs=3), IMAGE, [4, 4, 8, 4, 16, 8]),
    (ResNet(8, 4, "B", "batch", outputs=3), IMAGE, RES8),
    slow(ResNet(8, 4, "B", "layer", outputs=3), IMAGE, RES8),
    (ResNet(8, 4, "none", "none", outputs=3), IMAGE, [4, *RES8]),
    # Groups change places as a whole, and channels within a group.
    slow(
        ResNet(8, 4, "B", "group", 2, outputs=3), IMAGE,
        [2, (2, 0), 2, (2, 2), 2, (4, 4), 2, (4, 6), 2, (8, 8), 2, (8, 10)],
    ),
    (
        ResNet(8, 4, "A", "group", 2, outputs=3), IMAGE,
        [2, (2, 0), 2, (2, 2), 2, (4, 4), 2, (8, 6)],
    ),
    # Nothing but the layers' own channels: all later ones see them side by side.
    (DenseNet(10, 3, outputs=3), IMAGE, [16, 3, 3, 22, 3, 3, 28, 3, 3]),
    slow(DenseNet(10, 3, norm="batch", outputs=3), IMAGE, [16, 3, 3, 22, 3, 3, 28, 3, 3]),
    # A local response has neighboring channels in it; only the dense layers are free.
    (AlexNet((4, 6), (7, 5), outputs=3), IMAGE, [7, 5]),
    slow(AlexNet((4, 6), (7, 5), norm="layer", outputs=3), IMAGE, [7, 5]),
    (Attention(), TOKENS, [6, 3, (4, 1), (4, 1), 10]),
    (Einsum(), TOKENS, [2, (4, 0), (4, 0)]),
    (Depthwise(), IMAGE, [6]),
]  # fmt: skip


def drawn(shapes, seed=0):
    """Random parameters, none of them special."""
    generator = np.random.default_rng(seed)
    draw = lambda leaf: generator.normal(size=leaf.shape) / np.sqrt(max(leaf.shape[:-1] or (1,)))
    return jax.tree.map(draw, shapes)


def network(module, inputs):
    """(function, params) of a Flax module; batch norm takes the statistics of its examples."""
    variables = jax.eval_shape(module.init, jax.random.key(0), inputs.astype(np.float32))
    function = lambda params, inputs: module.apply({"params": params}, inputs)
    if "batch_stats" in variables:
        function = lambda params, inputs: module.apply(
            {"params": params}, inputs, train=True, mutable=["batch_stats"]
        )[0]
    return function, drawn(variables["params"])


def images(shape, count=3):
    return np.random.default_rng(5).normal(size=(count, *shape))


def sizes(units):
    return [g.size if g.parent is None else (g.size, g.parent) for g in units.groups]


@pytest.mark.parametrize(
    ("module", "shape", "expected"), NETWORKS, ids=lambda v: type(v).__name__ if v else ""
)
def test_all_symmetries_are_found_and_none_is_wrong(module, shape, expected):
    inputs = images(shape)
    function, params = network(module, inputs)
    units = unit_groups(function, params, inputs)
    assert sizes(units) == expected
    orders = units.random(np.random.default_rng(1))
    moved = units.permuted(params, orders)
    for before, after in zip(flat(params).values(), flat(moved).values(), strict=True):
        assert np.array_equal(np.sort(before, axis=None), np.sort(after, axis=None))
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(flat(params).values(), flat(moved).values(), strict=True)
    )
    assert units.difference(params, moved, inputs) < 1e-12  # sums in another order


def test_a_wrong_order_is_noticed():
    inputs = images((4,))
    function, params = network(MLP((5, 7), outputs=3), inputs)
    units = unit_groups(function, params, inputs)
    wrong = dict(params, kernel_0=params["kernel_0"][:, ::-1])
    assert units.difference(params, wrong, inputs) > 1e-2


def test_uses_and_roles_of_an_mlp():
    inputs = images((4,))
    units = unit_groups(*network(MLP((5, 7), outputs=3), inputs), inputs)
    first, second = units.groups
    assert {(u.path, u.axis, u.role) for u in first.uses} == {
        (("kernel_0",), 1, "produces"),
        (("bias_0",), 0, "adjusts"),
        (("kernel_1",), 0, "consumes"),
    }
    assert {u.path for u in second.role("consumes")} == {("kernel_2",)}
    assert all(np.array_equal(u.positions, np.arange(5)[:, None]) for u in first.uses)


def test_without_its_consumers_a_unit_has_no_effect():
    """The inner channels of a residual block: their biases no longer matter."""
    inputs = images(IMAGE)
    function, params = network(ResNet(8, 4, "A", "layer", outputs=3), inputs)
    units = unit_groups(function, params, inputs)
    group = units.groups[1]
    (bias,) = (use for use in group.role("adjusts") if use.path[-1] == "bias")

    def shifted(arrays):
        changed = {path: np.array(array) for path, array in arrays.items()}
        changed[bias.path][bias.positions[2]] += 1
        return units.difference(unflat(arrays), unflat(changed), inputs)

    arrays = {path: np.array(array) for path, array in flat(params).items()}
    assert shifted(arrays) > 1e-2
    for use in group.role("consumes"):
        np.moveaxis(arrays[use.path], use.axis, 0)[use.positions[2]] = 0
    assert shifted(arrays) < 1e-12


def test_a_flattened_image_has_a_copy_of_each_channel_for_every_pixel():
    inputs = images(IMAGE)
    units = unit_groups(*network(CNN((4, 6), widths=(7,), outputs=3), inputs), inputs)
    (use,) = units.groups[1].role("consumes")
    assert np.array_equal(use.positions, np.arange(6)[:, None] + 6 * np.arange(4))


def test_heads_change_places_as_blocks():
    """Against an exchange of two heads written by hand."""
    inputs = images(TOKENS)
    function, params = network(Attention(), inputs)
    units = unit_groups(function, params, inputs)
    orders = units.identity()
    orders[1] = np.array([2, 1, 0])
    moved = units.permuted(params, orders)["MultiHeadDotProductAttention_0"]
    given = params["MultiHeadDotProductAttention_0"]
    for name in ("query", "key", "value"):
        assert np.array_equal(moved[name]["kernel"], given[name]["kernel"][:, ::-1])
    assert np.array_equal(moved["out"]["kernel"], given["out"]["kernel"][::-1])


def test_units_of_one_head_alone():
    inputs = images(TOKENS)
    function, params = network(Attention(), inputs)
    units = unit_groups(function, params, inputs)
    orders = units.identity()
    orders[2][1] = [3, 0, 1, 2]
    moved = units.permuted(params, orders)
    query = moved["MultiHeadDotProductAttention_0"]["query"]["kernel"]
    given = params["MultiHeadDotProductAttention_0"]["query"]["kernel"]
    assert np.array_equal(query[:, 1], given[:, 1, [3, 0, 1, 2]])
    assert np.array_equal(query[:, [0, 2]], given[:, [0, 2]])
    assert units.difference(params, moved, inputs) < 1e-12


def test_a_recurrent_layer_keeps_one_order_for_all_steps():
    words = np.random.default_rng(0).integers(0, 11, (3, 6))
    shapes = {"embed": (11, 5), "input": (5, 4), "state": (4, 4), "out": (4, 2)}
    params = drawn({name: np.zeros(shape) for name, shape in shapes.items()})

    def function(p, words):
        step = lambda state, x: (jnp.tanh(state @ p["state"] + x @ p["input"]), None)
        embedded = jnp.swapaxes(p["embed"][words], 0, 1)
        return jax.lax.scan(step, jnp.zeros((len(words), 4)), embedded)[0] @ p["out"]

    units = unit_groups(function, params, words)
    assert sizes(units) == [5, 4]
    moved = units.permuted(params, units.random(np.random.default_rng(2)))
    assert units.difference(params, moved, words) < 1e-12


W, V = np.zeros((4, 6)), np.zeros((6, 3))
PLACES = {  # functions of hidden units, some of which ask for their order
    "ramp": (lambda h: h * jnp.arange(6.0), []),
    "sum so far": (lambda h: jnp.cumsum(h, 1), []),
    "one of them": (lambda h: h + h[:, :1], [5]),
    "halves": (lambda h: h + jnp.concatenate([h[:, 3:], h[:, :3]], 1), [3]),
    "half of them twice": (lambda h: h.at[:, :2].get() @ jnp.ones((2, 6)) + h, [2, 4]),
    "reversed": (lambda h: h + h[:, ::-1], []),
    "sorted": (lambda h: jnp.sort(h, 1), []),
    "the largest": (lambda h: h * (jnp.argmax(h, 1) == 2)[:, None], []),
    "rolled": (lambda h: h + jnp.roll(h, 1, 1), []),
    "softmax": (lambda h: jax.nn.softmax(h, 1), [6]),
    "norm": (lambda h: h / jnp.linalg.norm(h, axis=1, keepdims=True), [6]),
    "gated": (lambda h: h * jax.nn.sigmoid(h), [6]),
    "covariance": (lambda h: h @ (h.T @ h), [6]),
    "pairs": (
        lambda h: h.reshape(-1, 3, 2).max(2).repeat(2, 1),
        [3, (2, 0), (2, 0)],
    ),  # a pair, and its copies
    "columns": (lambda h: h.reshape(-1, 2, 3)[:, ::-1].reshape(-1, 6), [3]),
    "triangle": (lambda h: h @ jnp.tril(jnp.ones((6, 6))), []),
    "uneven": (lambda h: (h.reshape(-1, 4).sum(1, keepdims=True) + 0 * h[0, 0]).sum() + h, []),
    "mean over examples": (lambda h: h - h.mean(0), [6]),
    "random": (lambda h: h * jax.random.normal(jax.random.key(0), h.shape), []),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_asks_for_an_order_keeps_it(name):
    between, expected = PLACES[name]
    function = lambda params, inputs: between(jnp.tanh(inputs @ params["w"])) @ params["v"]
    params, inputs = drawn({"w": W, "v": V}), images((4,), 6)
    units = unit_groups(function, params, inputs)
    assert sizes(units) == expected
    for seed in range(3):
        moved = units.permuted(params, units.random(np.random.default_rng(seed)))
        assert units.difference(params, moved, inputs) < 1e-12


def test_shared_weights_share_their_units():
    function = lambda p, x: jnp.tanh(jnp.tanh(x @ p["v"].T) @ p["w"]) @ p["w"].T @ p["v"]
    params, inputs = drawn({"w": np.zeros((6, 5)), "v": np.zeros((6, 4))}), images((4,))
    units = unit_groups(function, params, inputs)
    assert sorted(sizes(units)) == [5, 6]
    moved = units.permuted(params, units.random(np.random.default_rng(0)))
    assert units.difference(params, moved, inputs) < 1e-12


def test_watched_activations_are_those_of_the_network():
    inputs = images((4,))
    function, params = network(MLP((5, 7), outputs=3), inputs)
    units = unit_groups(function, params, inputs)
    one, two = units.watch(params, inputs)
    hidden = np.tanh(params["kernel_0"].T @ inputs.T + params["bias_0"][:, None])
    assert np.allclose(one, hidden, rtol=1e-12)
    hidden = np.tanh(params["kernel_1"].T @ hidden + params["bias_1"][:, None])
    assert np.allclose(two, hidden, rtol=1e-12)
    assert [a.blocks[0].groups for a in units.activations] == [(0, None), (1, None)]


def test_axes_that_meet_are_cut_alike():
    axes = Axes()
    eight, three, five = axes.fresh(8), axes.fresh(3), axes.fresh(5)
    axes.unify(eight, Row((three, five)))
    two, six = axes.fresh(2), axes.fresh(6)
    axes.unify(eight, Row((two, six)))  # cut after 2, 3
    assert [part.size for part in axes.resolve(eight).parts] == [2, 1, 5]
    assert axes.resolve(Row((three, five))) == axes.resolve(eight)


def test_what_cannot_be_expressed_is_fixed():
    axes = Axes()
    one, other = axes.fresh(6), axes.fresh(4)
    whole = axes.fresh(24)
    axes.unify(whole, Grid((one, axes.fresh(4))))
    axes.unify(whole, Grid((other, axes.fresh(6))))  # 4 does not divide 6
    assert axes.resolve(whole) == Fixed(24)


def test_terms_hold_every_entry_once():
    axis = Grid((Fixed(3), Row((Atom(1, 2), Grid((Atom(2, 2), Atom(3, 2)))))))
    found = terms(axis)
    assert [term.positions.shape for term in found] == [(3, 2), (3, 2, 2)]
    together = np.concatenate([term.positions.ravel() for term in found])
    assert np.array_equal(np.sort(together), np.arange(axis.size))
    assert np.array_equal(found[1].positions[2], [[14, 15], [16, 17]])
