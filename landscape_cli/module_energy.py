"""The library door for networks: the energy of a Flax module on arrays, as the command has it.

    energy = landscape.surface(module, inputs, targets, loss="cross_entropy")
    result = landscape.geodesic(energy, params_a, params_b, level=0.1)

The mean loss over all examples: in blocks of them where memory or the cache asks for it, and with
statistics of batch norm that are computed anew at every point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core.engine import Engine
from landscape_cli.core.surface import Surface
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.models.base import model_surface
from landscape_cli.models.layout import Layout
from landscape_cli.ranges import choose


@dataclass(frozen=True, eq=False)
class ModuleEnergy:
    """Mean loss of a network over examples, as a function of its parameters; see `surface`."""

    module: linen.Module
    dataset: Dataset
    loss: str
    engine: Engine | None
    reference: int
    made: dict[str, Surface] = field(default_factory=dict, repr=False)

    def on(self, dtype: Any) -> Surface:
        """The surface in a floating type; made once."""
        name = np.dtype(dtype).name
        if name not in self.made:
            if self.engine is not None and self.engine.devices is not None:
                raise ValueError("engine: devices is for runs of the command; leave it out")
            try:
                self.made[name] = model_surface(
                    self.module, self.dataset, Functional(self.loss), name,
                    engine=self.engine, reference=self.reference,
                )  # fmt: skip
            except UserError as error:  # the command line's exception
                raise ValueError(str(error)) from error
        return self.made[name]

    def at(self, params: Any, dtype: Any) -> Surface:
        """The same, for parameters of this network.

        Raises:
            ValueError: they are of another one, or all of its variables.
        """
        surface = self.on(dtype)
        wanted = surface.network.layout.arrays
        found = Layout.of(params).arrays if isinstance(params, Mapping) else None
        if found != wanted:
            raise ValueError(
                f"ends must be parameters of {type(self.module).__name__}, such as "
                f"variables['params'], with the arrays {wanted}; got {found or type(params)}"
            )
        return surface

    def __call__(self, params: Mapping[str, Any]) -> float:
        """The energy of some parameters, in their precision."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
        dtype = jax.dtypes.canonicalize_dtype(np.result_type(np.float32, *leaves))
        surface = self.at(params, dtype)
        return float(surface.energies(np.concatenate([leaf.ravel() for leaf in leaves])))


def surface(
    module: linen.Module,
    inputs: Any,
    targets: Any,
    loss: str = "cross_entropy",
    *,
    engine: Engine | None = None,
    reference: int = 2048,
) -> ModuleEnergy:
    """The energy of a network on arrays, for `geodesic` and `connect` in place of a function.

    Choose it over a function of your own for many examples or images: memory is bounded, and
    methods that look into networks ("repair", "function_space", "dropout_path") can.

    Args:
        module: a Flax linen module without dropout. One with batch norm takes `train` in its call.
        inputs: (example, ...) numbers; they are converted to the precision of the parameters.
        targets: (example,) integers for "cross_entropy", else (example, output) numbers.
        loss: "cross_entropy" (nats, outputs are logits), "mse" or "mae".
        engine: how it is computed, with `block`, `gradients` and all else but `devices`; None: as
            suits the network and the machine.
        reference: examples, the first ones, that statistics of batch norm are computed from.

    Returns:
        What `geodesic` and `connect` take; called with parameters it gives their energy.

    Raises:
        ValueError: no linen module, no examples, or targets that do not fit the loss. What does
            not fit the module is refused where the energy is used.
    """
    if not isinstance(module, linen.Module):
        raise ValueError(f"module must be a Flax linen module, got a {type(module).__name__}")
    choose("loss", loss, ("cross_entropy", "mse", "mae"))
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    classes = None
    if not (inputs.ndim and len(inputs)):
        raise ValueError("inputs must hold at least one example")
    if targets.shape[:1] != inputs.shape[:1]:
        raise ValueError(f"targets must be of {len(inputs)} examples, got shape {targets.shape}")
    if loss == "cross_entropy":
        classes = _classes(module, inputs, targets)
    elif targets.ndim != 2:
        raise ValueError(f"targets must be (example, output) for {loss}, got {targets.shape}")
    train = Examples(inputs, targets, np.full(len(inputs), 1 / len(inputs)))
    none = Examples(inputs[:0], targets[:0], train.weights[:0])
    dataset = Dataset("arrays", train, none, classes)
    return ModuleEnergy(module, dataset, loss, engine, reference)


def _classes(module: linen.Module, inputs: np.ndarray, targets: np.ndarray) -> int:
    """How many classes there are: as many as outputs, where the module says that."""
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
        raise ValueError(
            "targets must be one integer an example for cross_entropy, got "
            f"{targets.dtype} of shape {targets.shape}"
        )
    count = int(targets.max()) + 1
    if getattr(module, "outputs", 0) is not None:
        one = jnp.zeros((1, *inputs.shape[1:]), jnp.float32)
        outputs, _ = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), one))
        count = max(getattr(outputs, "shape", ())[-1:], default=0)
    if targets.min() < 0 or targets.max() >= count:
        raise ValueError(
            f"targets must be classes 0 to {count - 1}, got {targets.min()} to {targets.max()}"
        )
    return count
