"""Learning rates that fall along a run of T steps, as fractions of the first rate η.

    steps    η dⁿ                          n milestones m with step >= m T
    linear   η to η d, straight            between two milestones; level outside of them
    cosine   η (d + (1 - d)(1 + cos(π step / T)) / 2)

Milestones are fractions of the run, so a run of another size keeps its shape. After T steps the
rate stays what it is. Steps at a half and three quarters are He and others' (2016), the straight
line is Garipov and others' (2018), the cosine Loshchilov and Hutter's (2017).
"""

from __future__ import annotations

from itertools import pairwise

import optax

from landscape_cli.ranges import choose

KINDS = ("constant", "steps", "linear", "cosine")


def check_schedule(kind: str, milestones: tuple[float, ...], decay: float) -> None:
    """Raise ValueError unless `schedule`, `milestones` and `decay` fit together."""
    choose("schedule", kind, KINDS)
    if not 0 <= decay <= 1 or (kind == "steps" and decay == 0):
        raise ValueError(f"decay must be in [0, 1], for schedule=steps above 0, got {decay}")
    if not all(0 <= milestone <= 1 for milestone in milestones):
        raise ValueError(f"milestones are fractions of the run, in [0, 1], got {milestones}")
    if any(late <= early for early, late in pairwise(milestones)):
        raise ValueError(f"milestones must increase, got {milestones}")
    needs = {"steps": "at least one", "linear": "two", "constant": "none", "cosine": "none"}
    right = {"steps": len(milestones) > 0, "linear": len(milestones) == 2}
    if not right.get(kind, not milestones):
        raise ValueError(f"milestones: schedule={kind} takes {needs[kind]}, got {milestones}")


def schedule(
    kind: str, learning_rate: float, total: int, milestones: tuple[float, ...], decay: float
) -> float | optax.Schedule:
    """The rate, or what gives it for a step counted from 0.

    Args:
        kind: one of `KINDS`.
        learning_rate: η, of the first step.
        total: T, steps of the run; at least 1.
        milestones: fractions of T.
        decay: d, the factor at every milestone (steps) or what is left at the end.
    """
    at = [round(milestone * total) for milestone in milestones]
    if kind == "steps":
        drops: dict[int, float] = {}
        for step in at:  # two milestones of a short run may fall on the same step
            drops[step] = drops.get(step, 1.0) * decay
        return optax.piecewise_constant_schedule(learning_rate, drops)
    if kind == "linear":
        first, last = at
        span = max(last - first, 1)
        return optax.linear_schedule(learning_rate, decay * learning_rate, span, first)
    if kind == "cosine":
        return optax.cosine_decay_schedule(learning_rate, total, decay)
    return learning_rate
