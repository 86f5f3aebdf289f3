"""Which array of a network sits where among the parameters of a bead, and the way back.

A file of strings has a dimension `array` with names such as `params/Dense_0/kernel`. They are
variables because attributes end at 64 KiB, which a deep network's names fill.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray

from landscape_cli.records.meanings import NONE

MEANINGS = {
    "array": ("array of the network, as Flax names its variables", NONE),
    "array_shape": ("sizes of the array; none for a single number", NONE),
    "array_offset": ("where the array begins among the parameters", NONE),
}


def described(arrays: Mapping[str, tuple[int, ...]] | None, params: int) -> dict[str, Any]:
    """The variables of a layout; of one array `theta` where nothing is known of `params`.

    Example:
        >>> described({"params/w": (2, 3), "params/b": (3,)}, 9)["array_offset"][1].tolist()
        [0, 6]
    """
    arrays = {"theta": (params,)} if arrays is None else arrays
    sizes = [math.prod(shape) for shape in arrays.values()]
    if sum(sizes) != params:
        raise ValueError(f"arrays of {sum(sizes)} numbers do not make {params} parameters")
    shapes = [",".join(map(str, shape)) for shape in arrays.values()]
    return {
        "array": ("array", np.array(list(arrays), str)),
        "array_shape": ("array", np.array(shapes, str)),
        "array_offset": ("array", np.cumsum([0, *sizes])[:-1]),
    }


def unravel(strings: xarray.Dataset, beads: Any) -> dict[str, Any]:
    """Beads of a run as the variables of a network, to be handed to Flax's `apply`.

    With batch norm, `batch_stats` are among them where a string carries its own statistics; with
    `bn=recompute` they belong to a point and are computed anew.

    Args:
        strings: an open `strings.nc` or `paths.nc`.
        beads: (..., param) one bead or several of that file.

    Returns:
        a tree of NumPy arrays, such as `{"params": {"Dense_0": {"kernel": ..., "bias": ...}}}`,
        the axes of several beads first; of a closed form `{"theta": ...}`.

    Raises:
        ValueError: a file without a layout, or beads with another number of parameters.

    Example:
        >>> file = xarray.Dataset(described({"params/w": (1, 2), "params/b": (2,)}, 4))
        >>> unravel(file.assign(beads=("param", np.zeros(4))), np.arange(4))
        {'params': {'w': array([[0, 1]]), 'b': array([2, 3])}}
    """
    if "array" not in strings.variables:
        raise ValueError("this file was written before it could say which parameter is which")
    beads = np.asarray(beads)
    if beads.shape[-1:] != (strings.sizes["param"],):
        raise ValueError(
            f"beads must be (..., {strings.sizes['param']}) as in this file, got {beads.shape}"
        )
    tree: dict[str, Any] = {}
    columns = (strings[name].values.tolist() for name in MEANINGS)
    for name, text, offset in zip(*columns, strict=True):
        shape = tuple(map(int, text.split(","))) if text else ()
        *outer, last = name.split("/")
        place = tree
        for key in outer:
            place = place.setdefault(key, {})
        part = beads[..., offset : offset + math.prod(shape)]
        place[last] = part.reshape(*beads.shape[:-1], *shape)
    return tree
