"""From a model to a surface: networks become energies of a flat parameter vector θ.

A model is either a `flax.linen.Module`, whose energy is a `Functional` of a data set, or a
`ClosedForm`, a formula of θ. Both become a `Surface`, and after that nobody can tell them apart.

    network = MLP(widths=(4, 4))
    surface = model_surface(network, dataset, Functional("mse"))
    thetas = initial_thetas(network, dataset, key, count=8)      # (network, param)
    surface.energies(thetas)                                     # (network,)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core.surface import Surface
from landscape_cli.errors import UserError
from landscape_cli.functional import LOSSES, Functional
from landscape_cli.models.layout import Layout

MEMORY = 1 << 29  # bytes that the activations of one chunk of points may take
CPU_CHUNK = 128  # points at a time on a CPU, where larger batches only leave the cache
CHUNK = 1 << 14  # on anything wider

Model = Any  # nn.Module | ClosedForm


class ClosedForm(ABC):
    """A surface given by a formula: a frozen dataclass whose fields are its constants.

    Attributes:
        dimension: number of parameters; a field, a class attribute or a property.
    """

    dimension: int

    @abstractmethod
    def energy(self, theta: Float[Array, " param"]) -> Float[Array, ""]:
        """F(θ), differentiable."""

    @abstractmethod
    def initial(self, key: jax.Array) -> Float[Array, " param"]:
        """A random point to descend from."""

    def ends(self, count: int, key: jax.Array) -> tuple[np.ndarray, np.ndarray] | None:
        """`count` pairs of known minima, (pair, param) twice, or None where they are not known."""
        return None


@dataclass(frozen=True)
class Formula:
    """The energy of a closed form, called like that of a network."""

    form: ClosedForm

    def __call__(self, theta: Array, data: Any) -> Array:
        """F(θ); `data` is an empty tuple."""
        return self.form.energy(theta)


@dataclass(frozen=True)
class NetworkEnergy:
    """Σ weight · loss(module(input; θ), target); equal settings compare and hash equal.

    So it can be a static argument of `jax.jit`, and a second equal network does not compile anew.
    """

    module: nn.Module
    loss: str
    layout: Layout

    def __call__(self, theta: Float[Array, " param"], data: tuple[Array, Array, Array]) -> Array:
        """The energy of θ on (inputs, targets, weights)."""
        inputs, targets, weights = data
        outputs = self.module.apply({"params": self.layout.unravel(theta)}, inputs)
        return weights @ LOSSES[self.loss](outputs, targets)


@dataclass(frozen=True)
class MiniBatch:
    """`size` examples drawn without replacement, an unbiased estimate of the full sum."""

    size: int

    def __call__(self, data: tuple[Array, ...], key: jax.Array) -> tuple[Array, ...]:
        """A smaller (inputs, targets, weights)."""
        return minibatch(data, key, self.size)


def minibatch(data: tuple[Array, ...], key: jax.Array, size: int) -> tuple[Array, ...]:
    """Draw `size` examples, every subset equally likely; all of them where there are no more.

    Weights are scaled by examples / size: the expected energy of the batch is that of the data.
    """
    inputs, targets, weights = data
    total = len(weights)
    if size >= total:
        return data
    rows = jax.random.choice(key, total, (size,), replace=False)
    return inputs[rows], targets[rows], weights[rows] * (total / size)


def fitted(module: nn.Module, dataset: Dataset) -> nn.Module:
    """The network with as many outputs as the data needs, if it leaves their number open."""
    if getattr(module, "outputs", 0) is None:
        return module.clone(outputs=dataset.outputs)
    return module


def network_layout(module: nn.Module, dataset: Dataset) -> Layout:
    """Names and shapes of the parameters, without computing any.

    Raises:
        UserError: the network does not take these inputs or give these outputs.
    """
    shape = dataset.train.inputs.shape[1:]
    name = type(module).__name__
    try:
        outputs, variables = jax.eval_shape(
            lambda: module.init_with_output(jax.random.key(0), jnp.zeros((1, *shape), jnp.float32))
        )
    except (ValueError, TypeError) as error:
        raise UserError(
            f"model and data do not fit: {name} on inputs of shape {shape} "
            f"from data={dataset.name}: {str(error).splitlines()[0]}"
        ) from error
    if outputs.shape != (1, dataset.outputs):
        raise UserError(
            f"model and data do not fit: {name} gives outputs of shape {outputs.shape[1:]}, "
            f"data={dataset.name} needs ({dataset.outputs},)"
        )
    return Layout.of(variables["params"])


def model_surface(
    model: Model,
    dataset: Dataset | None = None,
    functional: Functional | None = None,
    precision: str = "float64",
    batch: int | None = None,
    memory: int = MEMORY,
) -> Surface:
    """The surface of a model.

    Args:
        model: a Flax network or a closed form.
        dataset: the examples; empty or None for a closed form.
        functional: what the energy is; `Functional("energy")` or None for a closed form.
        precision: "float64" (needs JAX's x64 switch) or "float32".
        batch: examples of a mini-batch for descent; None for full batches only.
        memory: bytes that the activations of one chunk of points may take.

    Raises:
        UserError: model, data and functional do not fit together.
    """
    if isinstance(model, ClosedForm):
        return _closed_surface(model, dataset, functional, np.dtype(precision))
    if dataset is None or functional is None:
        raise UserError(f"model: {type(model).__name__} is a network; it needs data")
    functional.check(dataset)
    module = fitted(model, dataset)
    layout = network_layout(module, dataset)
    dtype = np.dtype(precision)
    energy = NetworkEnergy(module, functional.metric, layout)
    data = device_data(functional.examples(dataset), dtype)
    loss = None if functional.loss is None else NetworkEnergy(module, functional.loss, layout)
    same = loss is None or functional.split == "train"
    train = data if same else device_data(dataset.train, dtype)
    size, convolves = _work(energy, data, layout.size, dtype)
    return Surface(
        energy=energy,
        data=data,
        dimension=layout.size,
        loss=loss,
        loss_data=None if same else train,
        batch=None if batch is None or batch >= len(train[2]) else MiniBatch(batch),
        smooth=functional.smooth,
        strategy="loop" if convolves and jax.default_backend() == "cpu" else "vmap",
        chunk=_chunk(memory, size),
        dtype=dtype,
    )


def _closed_surface(
    form: ClosedForm, dataset: Dataset | None, functional: Functional | None, dtype: np.dtype
) -> Surface:
    if functional is not None and functional.metric != "energy":
        raise UserError(
            f"functional.metric={functional.metric}: {type(form).__name__} is a closed form, "
            "which has its own energy; choose functional=energy"
        )
    if dataset is not None and len(dataset.train):
        raise UserError(
            f"data={dataset.name}: {type(form).__name__} is a closed form; choose data=none"
        )
    return Surface(Formula(form), (), form.dimension, chunk=CHUNK, dtype=dtype)


def device_data(examples: Examples, dtype: np.dtype) -> tuple[Array, Array, Array]:
    """(inputs, targets, weights) on the device; integer targets are classes and stay integers."""
    targets = np.asarray(examples.targets)
    kind = np.int32 if np.issubdtype(targets.dtype, np.integer) else dtype
    return (
        jnp.asarray(examples.inputs, dtype),
        jnp.asarray(targets, kind),
        jnp.asarray(examples.weights, dtype),
    )


def _chunk(memory: int, size: int) -> int:
    """The largest power of two of points of `size` bytes that fit into `memory`, within bounds."""
    most = CPU_CHUNK if jax.default_backend() == "cpu" else CHUNK
    return 1 << int(np.log2(np.clip(memory // max(size, 1), 1, most)))


def _work(energy: NetworkEnergy, data: Any, count: int, dtype: np.dtype) -> tuple[int, bool]:
    """Bytes of all intermediate values of one energy, and whether convolutions are among them.

    Counted in the traced program, so that any network is treated right; nothing is compiled.
    """
    theta = jax.ShapeDtypeStruct((count,), dtype)
    found = list(_equations(jax.make_jaxpr(energy)(theta, data).jaxpr))
    sizes = [v.aval.size * v.aval.dtype.itemsize for e in found for v in e.outvars]
    return sum(sizes), any(e.primitive.name == "conv_general_dilated" for e in found)


def _equations(jaxpr: Any) -> Any:
    """Every elementary operation of a traced program, those of inner programs included."""
    for equation in jaxpr.eqns:
        inner = [getattr(p, "jaxpr", p) for p in equation.params.values()]
        inner = [p for p in inner if hasattr(p, "eqns")]
        for program in inner:
            yield from _equations(program)
        if not inner:
            yield equation


def initial_thetas(
    model: Model,
    dataset: Dataset | None,
    key: jax.Array,
    count: int,
    precision: str = "float64",
) -> Float[np.ndarray, "network param"]:
    """Random parameters of `count` networks; the first ones do not depend on `count`.

    Networks are drawn in float32 and then converted, so both precisions start alike.
    """
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(count))
    if isinstance(model, ClosedForm):
        thetas = jax.vmap(model.initial)(keys)
    else:
        assert dataset is not None
        module = fitted(model, dataset)
        layout = network_layout(module, dataset)
        thetas = _drawn(module, layout, dataset.train.inputs.shape[1:], keys)
    return np.asarray(thetas, np.dtype(precision))


@partial(jax.jit, static_argnames=("module", "layout", "shape"))
def _drawn(module: nn.Module, layout: Layout, shape: tuple[int, ...], keys: Array) -> Array:
    inputs = jnp.zeros((1, *shape), jnp.float32)
    return jax.vmap(lambda key: layout.ravel(module.init(key, inputs)["params"]))(keys)


def weight_mask(model: Model, dataset: Dataset | None = None) -> np.ndarray:
    """(param,) False for biases, True for everything else; published lengths leave biases out."""
    if isinstance(model, ClosedForm):
        return np.ones(model.dimension, bool)
    assert dataset is not None
    return network_layout(fitted(model, dataset), dataset).weight_mask
