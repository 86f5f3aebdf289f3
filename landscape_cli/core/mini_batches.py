"""Mini-batches: which examples are seen, by whom, at which step, and gradients on them.

A mini-batch is drawn by the names of who sees it and of the step, so that it does not depend on
others.
"""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Array

from landscape_cli.core.energy import Energy, drawing, total_gradient, whole
from landscape_cli.core.surface import Surface


def mini_batch(draw: Any, data: Any, key: Any, *names: Any) -> Any:
    """The examples that go with whole-number names, such as a network's and a step's; traced."""
    for name in names:
        key = jax.random.fold_in(key, name)
    return draw(data, key)


mini_batch_on_host = drawing(mini_batch)


def noisy_gradient(
    loss: Energy, draw: Any, data: Any, key: Any, network: Any, step: Any, theta: Array
) -> tuple[Array, Array]:
    """The loss and its gradient on a mini-batch; traced."""
    drawn = mini_batch(draw, data, key, network, step)
    return total_gradient(loss, whole(loss, drawn), theta)


def noisy_gradient_on_host(
    surface: Surface, key: Any, network: Any, step: Any, theta: Array
) -> tuple[Array, Array]:
    """The same for a surface that is computed point by point; uncounted."""
    drawn = mini_batch_on_host(surface.batch, surface.slope_data, key, network, step)
    return surface.loss_and_gradient(theta, surface.cut(drawn, reference=drawn))
