"""Random keys split by name, the same in every process: never Python's `hash()`."""

from __future__ import annotations

import zlib

import jax


def named_key(seed: int, *names: str | int) -> jax.Array:
    """A key for `names` under `seed`; crc32 is stable across processes and versions."""
    key = jax.random.key(seed)
    for name in names:
        key = jax.random.fold_in(key, zlib.crc32(str(name).encode()))
    return key
