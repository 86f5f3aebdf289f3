"""Energies of networks: every way to compute one agrees; batch norm is a function of θ alone."""

import re
from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import logsumexp
from small import Normed, slow

from landscape_cli.contracts import Dataset, Examples
from landscape_cli.core import host_loop, output_path
from landscape_cli.core.energy import (
    context_of,
    on_host,
    some_energy,
    some_gradient,
    total_energy,
    total_gradient,
    whole,
)
from landscape_cli.core.engine import Engine
from landscape_cli.core.output_path import between, divergences
from landscape_cli.core.report import Progress
from landscape_cli.core.training import train
from landscape_cli.core.work import equations
from landscape_cli.data.augment import Augmentation
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.models.alexnet import AlexNet
from landscape_cli.models.base import (
    initial_thetas,
    model_surface,
    with_stored_statistics,
)
from landscape_cli.models.cnn import CNN
from landscape_cli.models.double_well import DoubleWell
from landscape_cli.models.energies import MiniBatch
from landscape_cli.models.mlp import MLP
from landscape_cli.models.resnet import ResNet
from landscape_cli.trainers.sgd import Sgd

KEY = jax.random.key(0)
CE = Functional("cross_entropy")


BATCH = Normed(channels=(2, 3))
SMALL = CNN(channels=(2, 3), kernel=3, widths=(4,), activation="tanh")
NETWORKS = [
    pytest.param(MLP(widths=(5,)), id="mlp", marks=pytest.mark.slow),
    pytest.param(SMALL, id="cnn"),
    pytest.param(BATCH, id="batch norm", marks=pytest.mark.slow),
    pytest.param(ResNet(depth=8, channels=2), id="resnet", marks=pytest.mark.slow),
    pytest.param(
        ResNet(depth=8, channels=2, norm="batch"), id="resnet, batch norm", marks=pytest.mark.slow
    ),
    pytest.param(
        SMALL.clone(norm="group", groups=1), id="cnn, group norm", marks=pytest.mark.slow
    ),
    pytest.param(SMALL.clone(norm="batch"), id="cnn, batch norm", marks=pytest.mark.slow),
    pytest.param(
        AlexNet((2, 3), (4,), norm="layer"), id="alexnet, layer norm", marks=pytest.mark.slow
    ),
    pytest.param(
        AlexNet((2, 3), (4,), norm="batch"), id="alexnet, batch norm", marks=pytest.mark.slow
    ),
]
ENGINES = {
    "loop": Engine(strategy="loop"),
    "loop, blocks": Engine(strategy="loop", block=4),
    "one program, blocks": Engine(strategy="vmap", block=3),
    "one program, few points": Engine(strategy="vmap", chunk=2),
    "blocks sent from the host": Engine(data="host", block=4),
    "recomputed": Engine(strategy="vmap", remat=True),
}


def images(count=10, size=8, seed=0):
    draws = np.random.default_rng(seed)
    pixels = draws.normal(size=(count, size, size, 3)).astype(np.float32)
    weights = draws.uniform(1, 2, count)
    return Examples(pixels, draws.integers(0, 4, count).astype(np.int32), weights / weights.sum())


DATA = Dataset("noise", images(), images(7, seed=1), classes=4)


def surface(model, engine=None, functional=CE, precision="float64"):
    return model_surface(model, DATA, functional, precision, engine=engine)


def plain(model, thetas):
    """Energy and gradient by nothing but the network, Flax and `jax.grad`."""
    layout = surface(model).energy.layout
    inputs = DATA.train.inputs.astype(float)
    targets, weights = DATA.train.targets, DATA.train.weights

    def energy(theta):
        variables = {"params": layout.unravel(theta)}
        if getattr(model, "norm", "") == "batch":
            outputs, _ = fit.apply(variables, inputs, train=True, mutable=["batch_stats"])
        else:
            outputs = fit.apply(variables, inputs)
        chosen = jnp.take_along_axis(outputs, targets[:, None], 1)[:, 0]
        return weights @ (jax.nn.logsumexp(outputs, axis=1) - chosen)

    fit = model.clone(outputs=4)
    return jax.jit(jax.vmap(jax.value_and_grad(energy)))(thetas)


@pytest.mark.parametrize("norm", ["layer", slow("batch")])
def test_what_is_computed_again_is_not_kept_for_the_gradient(norm):
    """Numbers that the way there leaves for the way back; products are among them."""

    def kept(remat):
        some = surface(ResNet(depth=8, channels=2, norm=norm), Engine(remat=remat))

        def there(theta):
            context = context_of(some.energy, some.reference, theta)
            return some_energy(some.energy, theta, context, some.data)

        back = jax.eval_shape(lambda theta: jax.vjp(there, theta)[1], np.zeros(some.dimension))
        return sum(leaf.size for leaf in jax.tree.leaves(back))

    outputs = 10 * 8 * 8 * 2  # of one convolution of the first stage
    assert 3 * outputs < kept(True) < 0.5 * kept(False)


@pytest.mark.parametrize("model", NETWORKS)
def test_every_engine_agrees_with_the_plain_loop(model):
    thetas = jnp.asarray(initial_thetas(model, DATA, KEY, 3))
    energies, gradients = plain(model, thetas)
    scale = jnp.abs(gradients).max()
    for label, engine in ENGINES.items():
        here = surface(model, engine)
        found, slopes = here.energies_and_gradients(thetas)
        np.testing.assert_allclose(found, energies, rtol=1e-10, err_msg=label)
        np.testing.assert_allclose(slopes, gradients, atol=1e-10 * scale, err_msg=label)
        np.testing.assert_allclose(
            here.energies(np.asarray(thetas)), energies, rtol=1e-10, err_msg=label
        )


@pytest.mark.parametrize("model", [SMALL, BATCH], ids=["plain", "batch norm"])
def test_the_host_loop_adds_up_gradients_array_by_array(model):
    """Put together in one program, XLA computes sums over examples anew for every entry of θ."""
    here = surface(model, Engine(strategy="loop", block=4))
    energy, parts, theta = here.slope, here.slope_parts, jnp.zeros(here.dimension)
    context = jax.jit(context_of, static_argnums=0)(energy, parts.reference, theta)
    arrays = host_loop._arrays(energy, theta)
    total = jnp.zeros(()), (arrays, jax.tree.map(jnp.zeros_like, context))
    rest = context, parts.blocks[0]
    whole = re.compile(rf"\[{here.dimension}\]\S* concatenate\(")
    program = host_loop._add_gradient.lower(energy, arrays, *rest, total).compile().as_text()
    assert not whole.search(program)
    together = jax.jit(some_gradient, static_argnums=0).lower(energy, theta, *rest)
    together = together.compile().as_text()
    assert whole.search(together), "that is what it would look like"


def watch(monkeypatch, module, name, place):
    """The arguments at `place` of every call of a compiled function, as they come."""
    seen, function = [], getattr(module, name)

    def watched(*words):
        seen.append(words[place])
        return function(*words)

    monkeypatch.setattr(module, name, watched)
    return seen


@pytest.mark.parametrize("data", [slow("device"), "host"])
def test_a_point_is_sent_once_for_all_blocks(monkeypatch, data):
    here = surface(BATCH, Engine(strategy="loop", block=4, data=data))
    thetas = initial_thetas(BATCH, DATA, KEY, 3)
    for held in (1 << 32, thetas[:2].nbytes, 1):  # a point is held, however large
        with monkeypatch.context() as patch:
            patch.setattr(host_loop, "HELD", held)
            seen = watch(patch, host_loop, "_one_context", 2)
            added = watch(patch, host_loop, "_add_energy", 1)
            found = here.energies(thetas)
        assert len(seen) == 3 and len(added) == 9, "three blocks"
        assert all(isinstance(array, jax.Array) for array in jax.tree.leaves((seen, added)))
        assert len({id(arrays) for arrays in added}) == 3
        np.testing.assert_allclose(found, surface(BATCH).energies(thetas), rtol=1e-10)


def test_a_block_is_sent_once_for_the_gradients_of_all_points(monkeypatch):
    """And they are those of batch norm, too, whose statistics are functions of θ."""
    here = surface(BATCH, Engine(block=4, data="host"))
    thetas = jnp.asarray(initial_thetas(BATCH, DATA, KEY, 3))
    seen = watch(monkeypatch, host_loop, "_add_gradient", 3)
    found = here.energies_and_gradients(thetas)
    assert len(seen) == 9 and all(isinstance(inputs, jax.Array) for inputs, *_ in seen)
    assert len({id(inputs) for inputs, *_ in seen}) == 3, "three blocks"
    for mine, wanted in zip(found, plain(BATCH, thetas), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-9, atol=1e-12)


def test_a_block_is_sent_once_for_the_answers_of_all_beads(monkeypatch):
    here = surface(SMALL, Engine(block=4, data="host"))
    beads = initial_thetas(SMALL, DATA, KEY, 5)
    seen = watch(monkeypatch, output_path, "_answer", 3)
    found = divergences(here, beads)
    assert len(seen) == 15 and all(isinstance(inputs, jax.Array) for inputs in seen)
    assert len({id(inputs) for inputs in seen}) == 3
    np.testing.assert_allclose(found, divergences(surface(SMALL), beads), rtol=1e-10)


@pytest.mark.parametrize(
    "label",
    [  # that they agree is seen in float64; sums are different in these
        pytest.param(label, marks=() if "blocks" in label else pytest.mark.slow)
        for label in ENGINES
    ],
)
def test_float32_gradients_are_good_to_five_digits(label):
    thetas = initial_thetas(SMALL, DATA, KEY, 3)
    _, wanted = surface(SMALL, ENGINES["loop"]).energies_and_gradients(jnp.asarray(thetas))
    here = surface(SMALL, ENGINES[label], precision="float32")
    _, found = here.energies_and_gradients(jnp.asarray(thetas, jnp.float32))
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert error < 1e-5


def test_rough_gradients_leave_energies_alone():
    model = SMALL
    thetas = initial_thetas(model, DATA, KEY, 3, "float32")
    exact = surface(model, precision="float32")
    rough = surface(model, Engine(gradients="bfloat16"), precision="float32")
    np.testing.assert_array_equal(rough.energies(thetas), exact.energies(thetas))
    _, wanted = exact.energies_and_gradients(jnp.asarray(thetas))
    _, found = rough.energies_and_gradients(jnp.asarray(thetas))
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert 1e-4 < error < 0.05, "bfloat16 has eight bits"
    assert found.dtype == jnp.float32


class OnSphere(nn.Module):
    """A linear network of x / ‖x‖, which is not finite at 0."""

    outputs: int | None = None

    @nn.compact
    def __call__(self, inputs):
        """Outputs for every image."""
        flat = inputs.reshape(len(inputs), -1)
        return nn.Dense(self.outputs or 1)(flat / jnp.linalg.norm(flat, axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("strategy", "data"), [("vmap", "device"), ("loop", "device"), ("loop", "host")]
)
def test_blocks_hold_no_example_that_is_not_there(strategy, data):
    theta = jnp.asarray(initial_thetas(OnSphere(), DATA, KEY, 1))
    wanted = surface(OnSphere()).energies_and_gradients(theta)
    here = surface(OnSphere(), Engine(strategy=strategy, data=data, block=4))
    assert len(DATA.train) % 4, "the last block is filled up"
    for found, exact in zip(here.energies_and_gradients(theta), wanted, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-10)
    np.testing.assert_allclose(here.energies(np.asarray(theta)), wanted[0], rtol=1e-10)


def products_of(function, *points):
    """Precisions of all matrix products and convolutions of a traced function."""
    found = equations(jax.make_jaxpr(function)(*points).jaxpr)
    names = {"dot_general", "conv_general_dilated"}
    both = [e.params["precision"] for e in found if e.primitive.name in names]
    assert both, "there is nothing to look at"
    return {pair and pair[0].name for pair in both} | {pair and pair[1].name for pair in both}


def test_verdicts_are_never_in_tensorfloat32():
    """A GPU multiplies float32 in tensorfloat32 unless it is told otherwise."""
    for model in (SMALL, BATCH, MLP(widths=(5,))):
        here = surface(model, precision="float32")
        theta = jnp.zeros(here.dimension, jnp.float32)
        assert products_of(partial(total_energy, here.energy, here.parts), theta) == {"HIGHEST"}
        assert products_of(partial(total_gradient, here.energy, here.parts), theta) == {"HIGHEST"}
        for arithmetic, name in {"tensorfloat32": "HIGH", "bfloat16": "DEFAULT"}.items():
            rough = replace(here.energy, arithmetic=arithmetic)
            found = products_of(partial(total_gradient, rough, here.parts), theta)
            assert found == {name, "HIGHEST"}, "the sum over examples is never rough"


def test_formulas_are_never_in_tensorfloat32():
    here = model_surface(DoubleWell(), precision="float32")
    theta = jnp.zeros(here.dimension, jnp.float32)
    assert products_of(partial(total_gradient, here.energy, here.parts), theta) == {"HIGHEST"}


def test_divergences_are_never_in_tensorfloat32():
    here = surface(SMALL, precision="float32")
    inputs, _, weights = here.data
    side = jnp.zeros((len(weights), 4), jnp.float32)
    parts = whole(bead := between(here), (inputs, side, side, weights))
    theta = jnp.zeros(here.dimension, jnp.float32)
    assert products_of(partial(total_gradient, bead, parts), theta) == {"HIGHEST"}


def test_tensorfloat32_is_refused_where_there_is_none():
    with pytest.raises(UserError, match=r"engine\.gradients=tensorfloat32: a CPU has no such"):
        surface(SMALL, Engine(gradients="tensorfloat32"), precision="float32")


def test_batch_norm_uses_training_statistics_on_the_test_split():
    theta = initial_thetas(BATCH, DATA, KEY, 1)
    train, test = surface(BATCH), surface(BATCH, functional=Functional("cross_entropy", "test"))
    fit = BATCH.clone(outputs=4)

    @jax.jit
    def answers(theta, inputs):
        statistics = train.energy.context(theta, train.parts.reference)
        return fit.apply({"params": train.energy.layout.unravel(theta), **statistics}, inputs)

    outputs = np.asarray(answers(theta[0], DATA.test.inputs.astype(float)))
    chosen = np.take_along_axis(outputs, DATA.test.targets[:, None], 1)[:, 0]
    wanted = DATA.test.weights @ (logsumexp(outputs, axis=1) - chosen)
    np.testing.assert_allclose(test.energies(theta), [wanted], rtol=1e-10)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(BATCH, id="small"),
        slow(SMALL.clone(norm="batch"), id="cnn"),
        slow(AlexNet((2, 3), (4,), norm="batch"), id="alexnet"),
    ],
)
def test_stored_statistics_give_the_ends_their_energy(model):
    here = surface(model, Engine(block=4))
    thetas = initial_thetas(model, DATA, KEY, 2)
    wide, lift = with_stored_statistics(here)
    ends = lift(thetas)
    assert ends.shape == (2, wide.dimension)
    assert wide.dimension - here.dimension == 2 * (2 + 3)
    np.testing.assert_array_equal(ends[:, : here.dimension], thetas)
    np.testing.assert_allclose(wide.energies(ends), here.energies(thetas), rtol=1e-10)
    # Between the ends the two policies differ, and statistics are not descended.
    middle = ends.mean(0)
    narrow = here.energies(middle[None, : here.dimension])
    assert abs(wide.energies(middle[None]) / narrow - 1) > 1e-4
    _, gradient = wide.energies_and_gradients(jnp.asarray(middle[None]))
    assert not gradient[0, here.dimension :].any()
    assert gradient[0, : here.dimension].any()


def test_without_batch_norm_there_is_nothing_to_store():
    here = surface(SMALL)
    same, lift = with_stored_statistics(here)
    assert same is here
    assert lift(POINT := np.zeros((1, here.dimension))) is POINT


@pytest.mark.parametrize("batch", [None, 4, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("model", NETWORKS[1:3])
def test_examples_that_wait_on_the_host_train_the_same_networks(model, batch):
    varied = Dataset("noise", DATA.train, DATA.test, 4, Augmentation(crop=2))
    starts = initial_thetas(model, DATA, KEY, 2)
    found = []
    for place in ("device", "host"):
        engine = Engine(data=place, strategy="loop", block=4)
        here = model_surface(model, varied, CE, batch=batch, engine=engine)
        assert on_host(here.parts.blocks) == on_host(here.slope_data) == (place == "host")
        job = (optax.sgd(0.1), starts, [1e-9], 5, 5, KEY, batch is not None)
        found.append(train(here, *job).lowest)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_a_batch_of_all_examples_is_still_varied():
    varied = Dataset("noise", DATA.train, DATA.test, 4, Augmentation(crop=2, flip=True))
    start = initial_thetas(SMALL, DATA, KEY, 1)
    ends = []
    for dataset in (DATA, varied):
        here = model_surface(SMALL, dataset, CE, batch=len(DATA.train))
        trainer = Sgd(steps=3, batch=len(DATA.train), check=3)
        ends.append(trainer.descend(here, start, [1e-9], KEY, Progress()).lowest[0])
    assert ends[0] != ends[1]


def test_examples_wait_where_the_engine_says():
    assert Engine(data="host").waits(1) and not Engine(data="device").waits(1 << 50)
    assert not Engine().waits(1 << 50), "a CPU has no memory of its own"
    assert Engine(data="host").plan(100, 10, False, waits=True).strategy == "loop"
    examples = (np.zeros((3, 2)),)
    names = {
        Engine().case(CE, place(examples), (), "float32")
        for place in (tuple, lambda e: (jnp.asarray(e[0]),))
    }
    assert len(names) == 2, "what was tuned for one place is not used for the other"
    with pytest.raises(ValueError, match=r"^data=host needs strategy=loop"):
        Engine(data="host", strategy="vmap")
    with pytest.raises(ValueError, match=r"^data must be one of auto, device, host, got 'disk'"):
        Engine(data="disk")


def test_training_varies_images_and_judging_does_not():
    varied = Dataset("noise", DATA.train, DATA.test, 4, Augmentation(crop=2, flip=True))
    model = SMALL
    here = model_surface(model, varied, CE, batch=5)
    assert here.batch == MiniBatch(5, varied.augmentation)
    drawn, *_ = jax.jit(MiniBatch(5, varied.augmentation))(here.slope_data, KEY)
    unvaried, *_ = jax.jit(MiniBatch(5))(here.slope_data, jax.random.split(KEY)[0])
    assert drawn.shape == unvaried.shape
    assert not np.allclose(drawn, unvaried)
    theta = initial_thetas(model, DATA, KEY, 1)
    np.testing.assert_array_equal(here.energies(theta), surface(model).energies(theta))
