"""From a model to a surface: networks become energies of a flat parameter vector θ.

A model is either a `flax.linen.Module`, whose energy is a `Functional` of a data set, or a
`ClosedForm`, a formula of θ. Both become a `Surface`, and are used alike from there on.

    network = MLP(widths=(4, 4))
    surface = model_surface(network, dataset, Functional("mse"))
    thetas = initial_thetas(network, dataset, key, count=8)      # (network, param)
    surface.energies(thetas)                                     # (network,)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core.devices import everywhere
from landscape_cli.core.engine import Engine
from landscape_cli.core.surface import Surface
from landscape_cli.core.work import work
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.models.energies import MiniBatch, NetworkEnergy, NormalizedEnergy, StoredEnergy
from landscape_cli.models.layout import Layout

CHUNK = 1 << 14  # points of a closed form at a time


Model = Any  # nn.Module | ClosedForm
Lift = Callable[[np.ndarray], np.ndarray]


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
    return Layout.of(shapes_of(module, dataset)["params"])


def shapes_of(module: nn.Module, dataset: Dataset) -> dict[str, Any]:
    """Shapes of all of a network's variables: "params" and, with batch norm, "batch_stats".

    Raises:
        UserError: the network does not take these inputs or give these outputs.
    """
    shape = dataset.train.inputs.shape[1:]
    with _tried(_on(module, dataset)):
        outputs, variables = jax.eval_shape(
            lambda: module.init_with_output(jax.random.key(0), jnp.zeros((1, *shape), jnp.float32))
        )
    name = type(module).__name__
    if getattr(outputs, "shape", None) != (1, dataset.outputs):
        raise UserError(
            f"model and data do not fit: {name} gives outputs of {_form(outputs, 1)}, "
            f"data={dataset.name} needs ({dataset.outputs},)"
        )
    if not variables.get("params"):
        raise UserError(f"model: {name} has no parameters, and so no surface")
    return variables


def _form(traced: Any, skipped: int = 0) -> str:
    """What a model's code gave, in words; `skipped` leading axes are none of its own."""
    shape = getattr(traced, "shape", None)
    return f"type {type(traced).__name__}" if shape is None else f"shape {shape[skipped:]}"


def _on(module: nn.Module, dataset: Dataset) -> str:
    """A network and its data, for messages."""
    shape = dataset.train.inputs.shape[1:]
    name = type(module).__name__
    return f"model and data do not fit: {name} on inputs of shape {shape} from data={dataset.name}"


@contextmanager
def _tried(what: str) -> Iterator[None]:
    """Trace code that may be the user's: whatever it raises becomes one line about `what`.

    A ValueError is a refusal in words; of all others the type is needed to understand them.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise UserError(f"{what}: {kind}{str(error).partition(chr(10))[0]}") from error


def model_surface(
    model: Model,
    dataset: Dataset | None = None,
    functional: Functional | None = None,
    precision: str = "float64",
    batch: int | None = None,
    engine: Engine | None = None,
    reference: int = 2048,
) -> Surface:
    """The surface of a model; statistics of batch norm are computed anew at every point.

    Args:
        model: a Flax network or a closed form.
        dataset: the examples; empty or None for a closed form.
        functional: what the energy is; `Functional("energy")` or None for a closed form.
        precision: "float64" (needs JAX's x64 switch) or "float32".
        batch: examples of a mini-batch for descent; None for full batches only.
        engine: how it is computed; None: as suits the network and the machine.
        reference: training examples that statistics of batch norm are computed from, at most.

    Raises:
        UserError: model, data and functional do not fit together.
    """
    dtype = np.dtype(precision)
    if isinstance(model, ClosedForm):
        return _closed_surface(model, dataset, functional, dtype)
    if dataset is None or functional is None:
        raise UserError(f"model: {type(model).__name__} is a network; it needs data")
    functional.check(dataset)
    engine = engine or Engine()
    engine.check()
    module = fitted(model, dataset)
    shapes = shapes_of(module, dataset)
    layout = Layout.of(shapes["params"])
    kind = NetworkEnergy if "batch_stats" not in shapes else NormalizedEnergy
    make = partial(kind, module, layout=layout, remat=engine.remat)
    energy = make(functional.metric)
    rough = make(functional.metric, arithmetic=engine.arithmetic)
    waits = engine.waits(_bytes(dataset.train, dtype) + _bytes(dataset.test, dtype))
    take = partial(arrays_of, dtype=dtype, on_host=waits)
    data = take(functional.examples(dataset))
    loss, train = None, data
    if functional.loss is not None:
        loss = make(functional.loss, arithmetic=engine.arithmetic)
        train = data if functional.split == "train" else take(dataset.train)
    normed = kind is NormalizedEnergy
    seen = arrays_of(dataset.train.first(reference), dtype) if normed else ()
    with _tried(_on(module, dataset)):  # a network may ask for more where it is used
        size, convolves, context = work(energy, data, layout.size, seen, dtype)
    case = engine.case(energy, data, seen, dtype)
    plan = engine.plan(size, len(data[2]), convolves, case, waits, context)
    return Surface(
        energy=energy,
        data=data,
        dimension=layout.size,
        rough=None if rough == energy else rough,
        loss=loss,
        loss_data=None if train is data else train,
        reference=seen,
        batch=None if batch is None else MiniBatch(batch, dataset.augmentation),
        network=energy,
        smooth=functional.smooth,
        strategy=plan.strategy,
        chunk=plan.chunk,
        block=plan.block,
        work=size,
        context=context,
        dtype=dtype,
    )


def with_stored_statistics(surface: Surface) -> tuple[Surface, Lift]:
    """The same energy with the statistics of batch norm as further coordinates.

    Returns:
        The surface, and what appends its statistics to a parameter vector: (..., param) to
        (..., param + statistic). Energies before and after are the same. Without batch norm
        both leave everything as it is.
    """
    energy = surface.energy
    if not isinstance(energy, NormalizedEnergy):
        return surface, lambda thetas: thetas
    reference = surface.parts.reference
    shapes = jax.eval_shape(energy.context, jnp.zeros(surface.dimension, surface.dtype), reference)
    statistics = Layout.of(shapes)
    pick = jax.jit(lambda theta: statistics.ravel(energy.context(theta, reference)))

    def lift(thetas: np.ndarray) -> np.ndarray:
        rows = np.asarray(thetas, surface.dtype).reshape(-1, surface.dimension)
        stored = np.stack([np.asarray(pick(row)) for row in rows])
        wide = np.concatenate([rows, stored], axis=1)
        return wide.reshape(*np.shape(thetas)[:-1], wide.shape[1])

    read = lambda one: None if one is None else StoredEnergy.of(one, statistics)
    wider = replace(
        surface, energy=read(energy), network=read(energy), loss=read(surface.loss),
        rough=read(surface.rough), dimension=surface.dimension + statistics.size, reference=(),
        context=0,
    )  # fmt: skip
    return wider, lift


def named_arrays(surface: Surface) -> dict[str, tuple[int, ...]] | None:
    """Names and shapes of all arrays of a point, as Flax names its variables; None for a formula.

    Stored statistics of batch norm come last, as `batch_stats/...`.
    """
    network = surface.network
    if network is None:
        return None
    params = {f"params/{name}": shape for name, shape in network.layout.arrays.items()}
    return params | (network.statistics.arrays if isinstance(network, StoredEnergy) else {})


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
    name = f"model: {type(form).__name__}.energy"
    with _tried(name):
        energy = jax.eval_shape(form.energy, jax.ShapeDtypeStruct((form.dimension,), dtype))
    if getattr(energy, "shape", None) != ():
        raise UserError(f"{name} gives {_form(energy)}, expected one number")
    size, *_ = work(Formula(form), (), form.dimension, (), dtype)
    return Surface(Formula(form), (), form.dimension, chunk=CHUNK, work=size, dtype=dtype)


def arrays_of(examples: Examples, dtype: np.dtype, on_host: bool = False) -> tuple[Any, Any, Any]:
    """(inputs, targets, weights) on all devices, or for blocks of them to be sent there.

    Integer targets are classes and stay integers.
    """
    targets = np.asarray(examples.targets)
    kind = np.int32 if np.issubdtype(targets.dtype, np.integer) else dtype
    arrays = [(examples.inputs, dtype), (targets, kind), (examples.weights, dtype)]
    inputs, targets, weights = (np.asarray(array, kind) for array, kind in arrays)
    place = (lambda array: array) if on_host else everywhere
    return place(inputs), place(targets), place(weights)


def _bytes(examples: Examples, dtype: np.dtype) -> int:
    """Of the inputs of some examples, which outweigh all else."""
    return examples.inputs.size * dtype.itemsize


def initial_thetas(
    model: Model,
    dataset: Dataset | None,
    key: jax.Array,
    count: int,
    precision: str = "float64",
) -> Float[np.ndarray, "network param"]:
    """Random parameters of `count` networks; the first ones do not depend on `count`.

    Networks are drawn in float32 and then converted, so both precisions start alike; one after
    another, by one program for any number of them.
    """
    draw = model.initial if isinstance(model, ClosedForm) else _drawing(model, dataset)
    thetas = [np.asarray(draw(jax.random.fold_in(key, i))) for i in range(count)]
    return np.stack(thetas).astype(precision)


def _drawing(model: nn.Module, dataset: Dataset | None) -> Callable[[Array], Array]:
    assert dataset is not None
    module = fitted(model, dataset)
    layout = network_layout(module, dataset)
    return partial(_drawn, module, layout, dataset.train.inputs.shape[1:])


@partial(jax.jit, static_argnames=("module", "layout", "shape"))
def _drawn(module: nn.Module, layout: Layout, shape: tuple[int, ...], key: Array) -> Array:
    inputs = jnp.zeros((1, *shape), jnp.float32)
    return layout.ravel(module.init(key, inputs)["params"])


def weight_mask(model: Model, dataset: Dataset | None = None) -> np.ndarray:
    """(param,) False for biases, True for everything else; published lengths leave biases out."""
    if isinstance(model, ClosedForm):
        return np.ones(model.dimension, bool)
    assert dataset is not None
    return network_layout(fitted(model, dataset), dataset).weight_mask
