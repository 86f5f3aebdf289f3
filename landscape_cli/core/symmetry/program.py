"""Traced programs, walked one elementary operation at a time with inner programs opened up.

The same walk serves values of any kind: shapes of knowledge (`core.symmetry.tracing`) or arrays
(`bind`). Operations are numbered in the order of the walk, so that what one walk has found
out about an operation another one can use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jax.extend.core import Literal

OPENED = {  # operations that are programs; everything else is elementary
    "jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call",
    "custom_vjp_call_jaxpr", "checkpoint", "remat", "remat2",
}  # fmt: skip

Step = Callable[[int, Any, list[Any]], Sequence[Any]]  # (number, operation, inputs) -> outputs


def inner(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """The program and constants inside an operation that is one, else None."""
    if equation.primitive.name not in OPENED:
        return None
    found = [p for p in equation.params.values() if hasattr(getattr(p, "jaxpr", p), "eqns")]
    if len(found) != 1:
        return None
    jaxpr = getattr(found[0], "jaxpr", found[0])
    return jaxpr, getattr(found[0], "consts", ())


class Walk:
    """One walk through a program.

    Args:
        step: what an operation does.
        constant: makes a value of a constant array or number.
    """

    def __init__(self, step: Step, constant: Callable[[Any], Any]) -> None:
        self.step = step
        self.constant = constant
        self.number = 0

    def run(self, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The values of the program's outputs."""
        known: dict[Any, Any] = dict(zip(jaxpr.invars, inputs, strict=True))
        known |= zip(jaxpr.constvars, map(self.constant, constants), strict=True)

        def read(variable: Any) -> Any:
            literal = isinstance(variable, Literal)
            return self.constant(variable.val) if literal else known[variable]

        for equation in jaxpr.eqns:
            values = list(map(read, equation.invars))
            program = inner(equation)
            if program is not None:
                outputs = self.run(*program, values)
            else:
                outputs = self.step(self.number, equation, values)
                self.number += 1
            known |= zip(equation.outvars, outputs, strict=True)
        return list(map(read, jaxpr.outvars))


def bind(equation: Any, values: Sequence[Any]) -> Sequence[Any]:
    """Do an operation on arrays."""
    parameters = equation.primitive.get_bind_params(equation.params)
    found = equation.primitive.bind(*values, **parameters)
    return found if equation.primitive.multiple_results else [found]
