"""Small runs to hand to recipes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from landscape_cli.contracts import Gauge, Move
from landscape_cli.data.none import NoData
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.functional import Functional
from landscape_cli.gauges.none import NoGauge
from landscape_cli.methods.straight import Straight
from landscape_cli.models.mlp import MLP
from landscape_cli.setup import Setup
from landscape_cli.trainers.adam import Adam

CUBIC = (0.0, 3.0, -10.0, 8.0)  # ascending powers


def closed_form(model: Any, levels: tuple[float, ...] = (0.1,), pairs: int = 2, **more) -> Setup:
    """A formula, with everything else as small as it gets."""
    parts = {
        "model": model, "data": NoData(), "functional": Functional("energy"),
        "trainer": Adam(steps=2000), "method": Straight(), "gauge": NoGauge(),
    }  # fmt: skip
    return Setup(**(parts | more), levels=levels, pairs=pairs, seed=0)


def cubic(levels: tuple[float, ...] = (0.1, 0.02), pairs: int = 2, **more) -> Setup:
    """Networks of a few parameters that fit a cubic."""
    parts = {
        "model": MLP(widths=(4,)), "data": Polynomial(CUBIC, train=16, test=8),
        "functional": Functional("mse"), "trainer": Adam(steps=2000), "method": Straight(),
        "gauge": NoGauge(),
    }  # fmt: skip
    return Setup(**(parts | more), levels=levels, pairs=pairs, seed=0)


@dataclass(frozen=True)
class Mirrored(Gauge):
    """Signs of all tanh units of one hidden layer turned round: the same outputs."""

    def moves(self, surface, references, thetas, key) -> list[Move]:
        return [partial(_mirrored, surface.network.layout)] * len(thetas)


def _mirrored(layout, reference, theta) -> np.ndarray:
    tree = dict(layout.unravel(theta))
    for name in ("kernel_0", "bias_0", "kernel_1"):
        tree[name] = -tree[name]
    return np.asarray(layout.ravel(tree))
