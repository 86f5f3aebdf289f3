"""Mini-batches of a descent: which examples a network sees at a step, and the gradient on them.

A mini-batch is named by the network and the step, so that it does not depend on others.
"""

from __future__ import annotations

from typing import Any

import jax
from jaxtyping import Array

from landscape_cli.core.energy import Energy, drawing, total_gradient, whole
from landscape_cli.core.surface import Surface


def batch_key(key: Any, network: Any, step: Any) -> Any:
    """The key of a mini-batch."""
    return jax.random.fold_in(jax.random.fold_in(key, network), step)


def noisy_gradient(
    loss: Energy, draw: Any, data: Any, key: Any, network: Any, step: Any, theta: Array
) -> tuple[Array, Array]:
    """The loss and its gradient on a mini-batch; traced."""
    drawn = draw(data, batch_key(key, network, step))
    return total_gradient(loss, whole(loss, drawn), theta)


@drawing
def _drawn(draw: Any, data: Any, key: Any, network: Any, step: Any) -> Any:
    return draw(data, batch_key(key, network, step))


def noisy_gradient_on_host(
    surface: Surface, key: Any, network: Any, step: Any, theta: Array
) -> tuple[Array, Array]:
    """The same for a surface that is computed point by point; uncounted."""
    drawn = _drawn(surface.batch, surface.slope_data, key, network, step)
    return surface.loss_and_gradient(theta, surface.cut(drawn, reference=drawn))
