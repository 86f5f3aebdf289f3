"""Made-up data, and a network with a norm, so small that they compile soon."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.models.layers import connected, convolved, normalized


def slow(*values, **words):
    """A parameter of the slow tests: what it asks for goes the way of its neighbors."""
    return pytest.param(*values, marks=pytest.mark.slow, **words)


def near(key, count: int, total: int):
    """Numbers in a row below `total`: a mini-batch that is drawn by no program of its own."""
    return (jax.random.key_data(key)[-1] + jnp.arange(count, dtype=jnp.uint32)) % total


def dataset(inputs: np.ndarray, targets: np.ndarray, classes: int | None = None) -> Dataset:
    """The same equally weighted examples to train and to test."""
    split = Examples(inputs, targets, np.full(len(inputs), 1 / len(inputs)))
    return Dataset("made up", split, split, classes)


def line() -> Dataset:
    """20 points of the plane, each with a number."""
    draws = np.random.default_rng(0)
    return dataset(draws.normal(size=(20, 2)), draws.normal(size=(20, 1)))


def images(count: int) -> Dataset:
    """Noise of 8 × 8 pixels in three classes."""
    pixels = np.random.default_rng(1).random((count, 8, 8, 1)).astype(np.float32)
    return dataset(pixels, np.arange(count, dtype=np.int32) % 3, classes=3)


class Normed(nn.Module):
    """Two convolutions with a norm."""

    channels: tuple[int, ...] = (4, 5)
    norm: str = "batch"
    groups: int = 1
    outputs: int | None = None

    @nn.compact
    def __call__(self, inputs, train=False):
        """Outputs for every image."""
        hidden = inputs
        for layer, channels in enumerate(self.channels):
            hidden = convolved(self, hidden, layer, channels, 3, 2)
            hidden = jnp.tanh(normalized(self, hidden, layer, train))
        return connected(self, hidden.mean((1, 2)), 2, self.outputs or 1)
