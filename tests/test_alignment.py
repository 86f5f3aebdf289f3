"""The library door for symmetric copies: Flax modules and trees, in float32 as users hold them."""

import doctest
from functools import partial

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import nnx

import landscape_cli as landscape
from landscape_cli.core.symmetry.units import flat
from landscape_cli.gauges.weight_matching import WeightMatching
from landscape_cli.models.resnet import ResNet


class Block(nn.Module):
    """A transformer block of two heads, and a head of its own for the outputs."""

    @nn.compact
    def __call__(self, tokens):
        stream = nn.Dense(8)(tokens)
        stream = stream + nn.MultiHeadDotProductAttention(2, qkv_features=8)(
            nn.LayerNorm()(stream)
        )
        hidden = nn.gelu(nn.Dense(16)(nn.LayerNorm()(stream)))
        stream = stream + nn.Dense(8)(hidden)
        return nn.Dense(3)(stream.mean(1))


@partial(jax.jit, static_argnums=0)
def initial(module, key, inputs):
    return module.init(key, inputs)


@partial(jax.jit, static_argnums=0)
def applied(module, variables, inputs):
    return module.apply(variables, inputs)


TOKENS = np.random.default_rng(0).normal(size=(6, 5, 4)).astype(np.float32)


def drawn(module, inputs, seed):
    """Parameters none of which are special (biases of a fresh module are all zero)."""
    params = initial(module, jax.random.key(seed), inputs)["params"]
    generator = np.random.default_rng(seed)
    shift = lambda leaf: 0.2 * generator.normal(size=leaf.shape)
    noise = lambda leaf: np.asarray(np.asarray(leaf) + shift(leaf), np.float32)
    return jax.tree.map(noise, params)


def shuffled(params):
    """The same block with heads, units within them and hidden units in another order, by hand."""
    attention = "MultiHeadDotProductAttention_0"
    tree = jax.tree.map(np.array, params)
    for name in ("query", "key", "value"):
        for leaf in tree[attention][name]:
            tree[attention][name][leaf] = tree[attention][name][leaf][..., ::-1, :]
    tree[attention]["out"]["kernel"] = tree[attention]["out"]["kernel"][::-1]
    for name in ("query", "key"):  # one order in one head, another in the other
        for array in tree[attention][name].values():
            array[..., 0, :] = array[..., 0, [2, 0, 3, 1]]
            array[..., 1, :] = array[..., 1, [3, 1, 0, 2]]
    order = np.random.default_rng(5).permutation(16)
    tree["Dense_1"] = {name: array[..., order] for name, array in tree["Dense_1"].items()}
    tree["Dense_2"]["kernel"] = tree["Dense_2"]["kernel"][order]
    return tree


def test_heads_and_units_within_them_come_back():
    module = Block()
    params = drawn(module, TOKENS, 0)
    copy = shuffled(params)
    apply = lambda tree: applied(module, {"params": tree}, TOKENS)
    assert np.allclose(apply(copy), apply(params), atol=1e-4)
    assert not np.allclose(copy["Dense_2"]["kernel"], params["Dense_2"]["kernel"], atol=1e-3)
    moved = landscape.align(module, params, copy, TOKENS)
    for before, after in zip(flat(params).values(), flat(moved).values(), strict=True):
        assert np.array_equal(before, after)


def test_outputs_stay_and_the_distance_falls():
    module = Block()
    one, other = drawn(module, TOKENS, 0), drawn(module, TOKENS, 1)
    apply = lambda tree: np.asarray(applied(module, {"params": tree}, TOKENS))
    distance = lambda tree: sum(
        float(((a - b) ** 2).sum())
        for a, b in zip(flat(tree).values(), flat(one).values(), strict=True)
    )
    for gauge in ("weight_matching", "activation_matching", WeightMatching(restarts=2)):
        moved = landscape.align(module, one, other, TOKENS, gauge)
        assert jax.tree.structure(moved) == jax.tree.structure(other)
        assert np.abs(apply(moved) - apply(other)).max() <= 1e-5 * np.abs(apply(other)).max()
        assert all(leaf.dtype == np.float32 for leaf in flat(moved).values())
        if gauge != "activation_matching":
            assert distance(moved) < distance(other)


def test_variables_with_statistics_move_together():
    module, inputs = ResNet(8, 4, "A", "batch"), np.ones((2, 8, 8, 1), np.float32)
    inputs = inputs * np.random.default_rng(0).normal(size=inputs.shape).astype(np.float32)
    trees = [initial(module, jax.random.key(k), inputs) for k in (0, 1)]
    draws = np.random.default_rng(1)
    noisy = lambda leaf: np.asarray(leaf) + draws.uniform(0.1, 0.5, leaf.shape)
    trees = [jax.tree.map(lambda leaf: noisy(leaf).astype(np.float32), tree) for tree in trees]
    moved = landscape.align(module, *trees, inputs)
    assert set(moved) == {"params", "batch_stats"}
    given, found = (applied(module, tree, inputs) for tree in (trees[1], moved))
    assert np.allclose(given, found, atol=1e-4)
    for name in ("params", "batch_stats"):
        pairs = zip(flat(moved[name]).values(), flat(trees[1][name]).values(), strict=True)
        assert any(not np.array_equal(a, b) for a, b in pairs)


def test_the_example_of_its_docstring():
    from landscape_cli import alignment

    found = doctest.testmod(alignment)
    assert found.attempted and not found.failed


def test_only_linen_modules_are_aligned():
    module = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="module must be a Flax linen module, got a Linear"):
        landscape.align(module, nnx.state(module), nnx.state(module), np.ones((1, 2)))


def test_what_is_refused():
    module = Block()
    one, other = drawn(module, TOKENS, 0), drawn(module, TOKENS, 1)
    with pytest.raises(ValueError, match=r"gauge 'weigth_matching': .* mean 'weight_matching'"):
        landscape.align(module, one, other, TOKENS, "weigth_matching")
    with pytest.raises(ValueError, match="gauge=scales: no hidden unit of Block"):
        landscape.align(module, one, other, TOKENS, "scales")
    with pytest.raises(ValueError, match="straight_through follows a loss"):
        landscape.align(module, one, other, TOKENS, "straight_through")
    for seed in (-1, 2**40, 1.5):
        with pytest.raises(ValueError, match="seed must be a whole number"):
            landscape.align(module, one, other, TOKENS, seed=seed)
    with pytest.raises(ValueError, match="inputs must hold at least one example"):
        landscape.align(module, one, other, TOKENS[:0])
    wider = dict(other, Dense_0={"kernel": np.ones((4, 9)), "bias": np.ones(9)})
    with pytest.raises(ValueError, match=r"params_a and params_b differ: Dense_0/bias is \(8,\)"):
        landscape.align(module, one, wider, TOKENS)
    short = {name: leaf for name, leaf in other.items() if name != "Dense_3"}
    with pytest.raises(ValueError, match=r"Dense_3/bias is .* in one, nothing in the other"):
        landscape.align(module, one, short, TOKENS)
