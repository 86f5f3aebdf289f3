"""Random draws and subsets on the host, driven by a JAX key.

Every purpose has its own stream, named by a word, so that asking for more test examples never
changes the training examples.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from landscape_cli.errors import UserError

if TYPE_CHECKING:
    import jax


WORDS = {"train": "training", "test": "test"}


def generator(key: jax.Array, purpose: str) -> np.random.Generator:
    """A NumPy generator for `purpose`, the same for the same key in every process."""
    import jax

    words = np.asarray(jax.random.key_data(key)).ravel().tolist()
    return np.random.default_rng([*words, zlib.crc32(purpose.encode())])


def uniform_weights(count: int) -> np.ndarray:
    """(example,) equal weights that sum to one; empty for no examples."""
    return np.full(count, 1.0 / max(count, 1))


def stratified_order(labels: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """A random order of all examples, every beginning of which holds each class in proportion.

    Each class is shuffled and spread evenly over (0, 1); reading all classes from 0 to 1 gives
    the order. So subsets are nested, and with classes of like size no count is off by over one.

    Args:
        labels: (example,) integer classes.
        draws: source of the shuffle.

    Returns:
        (example,) indices into `labels`.
    """
    shuffled = draws.permutation(len(labels))
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(position[shuffled], kind="stable")]


def subset(
    labels: np.ndarray, count: int | None, draws: np.random.Generator, name: str, split: str
) -> np.ndarray:
    """Indices of a stratified subset of `count` examples; None takes all of them.

    Raises:
        UserError: there are fewer than `count` examples.
    """
    if count is not None and count > len(labels):
        raise UserError(
            f"data.{split}={count}: {name} has {len(labels)} {WORDS[split]} examples; "
            f"choose at most {len(labels)}, or null for all"
        )
    return stratified_order(labels, draws)[:count]


def check_count(name: str, value: int | None) -> None:
    """Raise ValueError unless `value` is None or at least one."""
    if value is not None and value < 1:
        raise ValueError(f"{name} must be at least 1, or null for all examples, got {value}")
