"""What an energy takes in memory, counted in its traced program; nothing is compiled for it."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from jax.interpreters.partial_eval import dce_jaxpr

from landscape_cli.core.energy import Parts, context_of, total_energy

PRODUCTS = ("conv_general_dilated", "dot_general")
PASSING = 3  # arrays as large as the largest that a gradient takes on its way back


def work(
    energy: Any, data: Any, count: int, reference: Any, dtype: np.dtype
) -> tuple[int, bool, int]:
    """What one energy takes at one point; of a network of any kind.

    Returns:
        Bytes of all intermediate values of its examples, whether convolutions are among them, and
        bytes that its context takes with a gradient, however few examples are taken at a time.
    """
    theta = jax.ShapeDtypeStruct((count,), dtype)
    blocks = jax.eval_shape(lambda data: jax.tree.map(lambda leaf: leaf[None], data), data)
    parts = Parts(blocks, reference)
    found = jax.make_jaxpr(partial(total_energy, energy))(parts, theta).jaxpr
    context = jax.make_jaxpr(partial(context_of, energy))(reference, theta).jaxpr
    convolves = any(e.primitive.name == "conv_general_dilated" for e in equations(found))
    total = lambda jaxpr: sum(_size(v) for e in equations(jaxpr) for v in e.outvars)
    return total(found) - total(context), convolves, _with_gradient(context)


def _with_gradient(jaxpr: Any) -> int:
    """Bytes that a program takes with its gradient, all examples at once, to a factor of 1.5.

    What products and convolutions read and make stays until the way back; the rest XLA computes
    along with them.
    """
    used, _ = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))  # statistics need no last layer
    given = {id(v) for v in used.invars}
    products = [e for e in equations(used) if e.primitive.name in PRODUCTS]
    both = {id(v): _size(v) for e in products for v in (*e.invars, *e.outvars)}
    kept = [size for name, size in both.items() if name not in given]
    return sum(kept) + PASSING * max(kept, default=0)


def _size(variable: Any) -> int:
    """Bytes of a value in a traced program."""
    return variable.aval.size * variable.aval.dtype.itemsize


def equations(jaxpr: Any) -> Any:
    """Every elementary operation of a traced program, those of inner programs included."""
    for equation in jaxpr.eqns:
        inner = [p for p in equation.params.values() if hasattr(p, "eqns")]
        for program in inner:
            yield from equations(program)
        if not inner:
            yield equation
