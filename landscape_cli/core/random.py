"""Random draws split by name, the same in every process: never Python's `hash()`.

Strings are read and drawn without JAX, and import this file: only keys import it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jax


def named_key(seed: int, *names: str | int) -> jax.Array:
    """A key for `names` under `seed`; crc32 is stable across processes and versions."""
    import jax

    key = jax.random.key(seed)
    for name in names:
        key = jax.random.fold_in(key, zlib.crc32(str(name).encode()))
    return key


def named_generator(seed: int, *names: int | np.ndarray) -> np.random.Generator:
    """The same for draws on the host; under seed 0 it draws what its names alone would.

    NumPy mixes four words, and fills up with zeros: three are for names, the last for the seed.

    Args:
        seed: 0 to 2³² - 1.
        names: at most three: whole numbers of 0 to 2³² - 1, or arrays, named by their bytes.

    Raises:
        ValueError: more names.
    """
    if len(names) > 3:
        raise ValueError(f"at most three names, got {len(names)}")
    words = [zlib.crc32(x.tobytes()) if isinstance(x, np.ndarray) else x for x in names]
    return np.random.default_rng([*words, *[0] * (3 - len(words)), seed])
