"""The gauges of a run by name, and the copies of networks that each of them chooses."""

from __future__ import annotations

import numpy as np

from landscape_cli.contracts import Gauge
from landscape_cli.core.surface import Surface
from landscape_cli.gauges.none import NoGauge
from landscape_cli.setup import Setup

RAW = "none"  # networks as they are


def gauges_of(setup: Setup) -> dict[str, Gauge | None]:
    """No gauge first, then the run's own unless that is none, then those of `gauges`."""
    found: dict[str, Gauge | None] = {RAW: None}
    if not isinstance(setup.gauge, NoGauge):
        found[setup.called("gauge")] = setup.gauge
    return found | {name: gauge for name, gauge in setup.gauges.items() if name != RAW}


def copies(
    setup: Setup, gauge: Gauge | None, surface: Surface, references: np.ndarray, thetas: np.ndarray
) -> np.ndarray:
    """Copies of `thetas` that `gauge` finds closest to `references`; see `Gauge.align`."""
    if gauge is None or len(thetas) == 0:
        return thetas
    return gauge.align(surface, references, thetas, setup.key("gauge"))
