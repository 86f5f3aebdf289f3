"""Training: crossings against closed forms, one network in company, what ends a network."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import near, slow

from landscape_cli.contracts import Progress
from landscape_cli.core import training
from landscape_cli.core.ledger import RECORDS
from landscape_cli.core.surface import Surface
from landscape_cli.core.training import check_batch, train
from landscape_cli.errors import UserError

KEY = jax.random.key(0)
RATE = 0.05
PLAIN = optax.sgd(RATE)
ADAM = optax.adam(0.02)
LEVELS = (1.0, 0.1, 1e-3, 1e-6)


def bowl(theta, data):
    return 0.5 * theta @ theta


def regression(theta, data):
    inputs, targets, weights = data
    return weights @ (inputs @ theta - targets) ** 2


def draw(data, key):
    inputs, targets, weights = data
    rows = near(key, 8, len(weights))
    return inputs[rows], targets[rows], weights[rows] * (len(weights) / 8)


def cliff(theta, data):
    """A bowl with no value beyond ‖θ‖ = 2."""
    return jnp.where(theta @ theta > 4.0, jnp.nan, 0.5 * theta @ theta)


def double_well(theta, data):
    """Energy about 0 in the minimum near x = 1, about 0.6 in the one near x = -1."""
    x, y = theta
    return (x**2 - 1) ** 2 + 0.3 * (1 - x) + y**2


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(64, 3))
    targets = inputs @ np.array([1.0, -2.0, 0.5])
    return tuple(map(jnp.asarray, (inputs, targets, np.full(64, 1 / 64))))


@pytest.fixture
def starts():
    return np.random.default_rng(1).normal(size=(6, 3)) * np.geomspace(0.5, 5, 6)[:, None]


def run(surface, starts, optimizer=PLAIN, levels=LEVELS, steps=400, check=32, **more):
    return train(surface, optimizer, starts, levels, steps, check, KEY, **more)


def assert_same(found, wanted, rtol=1e-12):
    """Equal but for the order of sums in another program."""
    np.testing.assert_array_equal(found.steps, wanted.steps)
    np.testing.assert_array_equal(found.diverged, wanted.diverged)
    for name in ("thetas", "energies", "lowest", "curve"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=rtol)


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_crossings_on_a_bowl_are_those_of_geometric_decay(starts, strategy):
    # θ_t = (1 - η)^t θ_0, so F_t = (1 - η)^2t F_0: the first step at or below λ in closed form.
    surface = Surface(bowl, (), 3, strategy=strategy)
    found = run(surface, starts)
    energies = 0.5 * (starts**2).sum(axis=1)
    ratio = np.log(np.array(LEVELS) / energies[:, None]) / (2 * np.log(1 - RATE))
    steps = np.maximum(np.ceil(ratio), 0).astype(int)
    np.testing.assert_array_equal(found.steps, steps)
    assert (found.steps[:, 0] == 0).any() and (found.steps > 0).any()
    thetas = starts[:, None] * (1 - RATE) ** steps[:, :, None]
    np.testing.assert_allclose(found.thetas, thetas, rtol=1e-11)
    np.testing.assert_allclose(found.energies, 0.5 * (thetas**2).sum(axis=2), rtol=1e-11)
    assert (found.energies <= LEVELS).all()
    before = found.energies / (1 - RATE) ** 2
    assert (before > LEVELS)[found.steps > 0].all()


def test_the_energy_of_a_crossing_is_that_of_its_parameters(data, starts):
    surface = Surface(regression, data, 3)
    found = run(surface, starts, ADAM, steps=2000)
    assert found.reached.all()
    np.testing.assert_allclose(surface.energies(found.thetas), found.energies, rtol=1e-12)


@pytest.mark.parametrize("check", [7, 100, 1000])
def test_full_batch_crossings_do_not_depend_on_when_the_host_looks(data, starts, check):
    surface = Surface(regression, data, 3)
    assert_same(run(surface, starts, ADAM, check=check), run(surface, starts, ADAM, check=32))


@pytest.mark.parametrize(
    ("strategy", "batch"),
    [slow("vmap", False), ("vmap", True), slow("loop", False), ("loop", True)],
)
def test_a_network_trains_alone_as_in_a_batch(data, starts, batch, strategy):
    surface = Surface(regression, data, 3, batch=draw, strategy=strategy)
    levels = (1.0, 1e-1, 1e-2)
    together = run(surface, starts, ADAM, levels, batch=batch)
    alone = run(surface, starts[:1], ADAM, levels, batch=batch)
    steps = min(len(alone.curve_steps), len(together.curve_steps))
    np.testing.assert_array_equal(alone.steps[0], together.steps[0])
    np.testing.assert_allclose(alone.thetas[0], together.thetas[0], rtol=1e-9)
    np.testing.assert_allclose(alone.curve[0, :steps], together.curve[0, :steps], rtol=1e-9)


@pytest.mark.parametrize("batch", [slow(False), True])
def test_a_light_network_trains_the_same_in_any_company(data, batch):
    """By all bits: near the end of a descent a last bit moves the crossing by percents."""
    surface = Surface(regression, data, 3, batch=draw, work=1)
    starts = np.random.default_rng(1).normal(size=(24, 3))
    together = run(surface, starts, ADAM, (1.0, 1e-1, 1e-2), batch=batch)
    for count in (1, 6, 12):
        some = run(surface, starts[:count], ADAM, (1.0, 1e-1, 1e-2), batch=batch)
        assert np.array_equal(some.thetas, together.thetas[:count], equal_nan=True)


@pytest.mark.parametrize("batch", [False, True])
def test_networks_that_do_not_fit_together_train_in_chunks(data, starts, batch):
    surface = Surface(regression, data, 3, batch=draw)
    together, chunked = (
        run(replace(surface, chunk=chunk), starts, ADAM, steps=60, batch=batch) for chunk in (9, 2)
    )
    assert_same(chunked, together)


@pytest.mark.parametrize("batch", [False, True])
def test_the_host_loop_gives_the_numbers_of_the_compiled_one(data, starts, batch):
    surface = Surface(regression, data, 3, batch=draw)
    compiled = run(surface, starts, ADAM, steps=150, batch=batch)
    hosted = run(replace(surface, strategy="loop"), starts, ADAM, steps=150, batch=batch)
    assert_same(hosted, compiled, rtol=1e-9)


def test_chunks_of_networks_change_nothing(data, starts):
    surface = Surface(regression, data, 3)
    assert_same(run(replace(surface, chunk=2), starts, ADAM), run(surface, starts, ADAM))


def test_mini_batches_find_the_minimum_and_follow_the_key(data, starts):
    surface = Surface(regression, data, 3, batch=draw)
    found = run(surface, starts, levels=(1.0, 1e-6), steps=2000, batch=True)
    assert found.reached.all()
    assert (found.energies <= (1.0, 1e-6)).all()
    assert (found.steps % 32 == 0).all()  # the full data is looked at every `check` steps
    np.testing.assert_allclose(surface.energies(found.thetas), found.energies, rtol=1e-12)
    again = run(surface, starts, levels=(1.0, 1e-6), steps=2000, batch=True)
    np.testing.assert_array_equal(found.thetas, again.thetas)
    other = train(surface, PLAIN, starts, (1.0, 1e-6), 2000, 32, jax.random.key(1), batch=True)
    assert not np.array_equal(found.thetas, other.thetas)


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_a_diverged_network_keeps_its_crossings_and_leaves_the_others_alone(strategy):
    # Too large a step size: |1 - η c| > 1 along the second axis only.
    def steep(theta, data):
        return 0.5 * (theta[0] ** 2 + 30 * theta[1] ** 2)

    starts = np.array([[3.0, 0.0], [3.0, 1e-4], [2.0, 0.0]])
    surface = Surface(steep, (), 2, strategy=strategy)
    found = train(surface, optax.sgd(0.1), starts, (1.0, 1e-9), 2000, 16, KEY)
    np.testing.assert_array_equal(found.diverged, [False, True, False])
    np.testing.assert_array_equal(found.reached, [[True, True], [True, False], [True, True]])
    assert found.lowest[1] < 1.0 and np.isnan(found.thetas[1, 1]).all()
    kept = np.array([3.0 * 0.9 ** found.steps[1, 0], 1e-4 * (-2.0) ** found.steps[1, 0]])
    np.testing.assert_allclose(found.thetas[1, 0], kept, rtol=1e-12)


@pytest.mark.parametrize("batch", [False, True])
def test_a_start_without_a_value_is_diverged_at_once(batch):
    surface = Surface(cliff, (), 2, batch=lambda data, key: data)
    found = run(surface, np.array([[3.0, 0.0], [1.0, 0.0]]), levels=(0.1,), batch=batch)
    np.testing.assert_array_equal(found.diverged, [True, False])
    np.testing.assert_array_equal(found.reached, [[False], [True]])
    assert np.isnan(found.lowest[0]) and np.isnan(found.curve[0]).all()


def test_a_network_in_a_higher_minimum_is_reported_not_repaired():
    surface = Surface(double_well, (), 2)
    starts = np.array([[1.5, 0.5], [-1.5, 0.5]])
    found = run(surface, starts, levels=(1.5, 0.1, 0.01), steps=300)
    np.testing.assert_array_equal(found.reached[0], [True, True, True])
    assert not found.reached[1, -1] and not found.diverged.any()
    assert np.isnan(found.thetas[1, -1]).all() and np.isnan(found.energies[1, -1])
    assert found.lowest[1] > 0.1 and np.isfinite(found.curve[1]).all()


def test_the_last_step_counts(starts):
    surface = Surface(bowl, (), 3)
    steps = int(run(surface, starts[-1:]).steps[0, -1])
    assert run(surface, starts[-1:], steps=steps).reached.all()
    assert not run(surface, starts[-1:], steps=steps - 1).reached[0, -1]


def test_the_level_functional_may_differ_from_the_loss(data, starts):
    def worst(theta, data):
        inputs, targets, _ = data
        return jnp.abs(inputs @ theta - targets).max()

    for strategy in ("vmap", "loop"):
        surface = Surface(worst, data, 3, loss=regression, strategy=strategy)
        found = run(surface, starts[:3], ADAM, levels=(1.0, 1e-2), steps=2000)
        assert found.reached.all()
        np.testing.assert_allclose(surface.energies(found.thetas), found.energies, rtol=1e-12)


def test_an_error_rate_of_undefined_outputs_is_divergence():
    def error(theta, data):  # finite whatever θ is, as a 0-1 error is
        return jnp.where(theta[0] > 0.5, 0.0, 1.0)

    def loss(theta, data):
        return -jnp.sqrt(1.0 - theta[0] ** 2)

    for strategy, batch in (("vmap", False), ("vmap", True), ("loop", False), ("loop", True)):
        surface = Surface(
            error, (), 1, loss=loss, smooth=False, strategy=strategy, batch=lambda d, k: d
        )
        starts = np.array([[2.0], [-2.0], [0.9]])  # the first and the last arrive at once
        found = run(surface, starts, levels=(0.5,), batch=batch, steps=50)
        np.testing.assert_array_equal(found.diverged, [not batch, True, False])


@pytest.mark.parametrize("steps", [100, 5000])
def test_curves_are_thin_and_end_with_their_network(data, starts, steps):
    found = run(Surface(regression, data, 3), starts, levels=(1e-3, 1e-25), steps=steps)
    assert len(found.curve_steps) == found.curve.shape[1] <= RECORDS
    assert found.curve_steps[0] == 0 and len(set(np.diff(found.curve_steps))) == 1
    for curve, last in zip(found.curve, found.steps[:, -1], strict=True):
        ended = found.curve_steps > (last if last >= 0 else steps)
        np.testing.assert_array_equal(np.isnan(curve), ended)
    if steps == 5000:
        assert found.reached.all() and len(found.curve_steps) >= RECORDS // 4
        assert np.isnan(found.curve).any()


def test_a_second_call_compiles_nothing(data, starts):
    surface = Surface(regression, data, 3)
    run(surface, starts, ADAM)
    compiled = training._advance._cache_size()
    run(Surface(regression, data, 3), starts + 0.1, ADAM, steps=333)
    assert training._advance._cache_size() == compiled


def test_training_stops_when_everybody_has_arrived(starts):
    class Steps(Progress):
        def __init__(self):
            self.seen, self.notes = [], []

        def phase(self, name, total=0, unit=""):
            assert (name, total, unit) == ("training", 10**6, "steps")

        def update(self, done, note=""):
            self.seen.append(done)
            self.notes.append(note)

    progress = Steps()
    found = run(Surface(bowl, (), 3), starts, steps=10**6, progress=progress)
    assert max(progress.seen) < found.steps.max() + 33
    assert progress.notes[-1] == "6 of 6 networks below 1e-06"


def test_gradients_are_those_of_networks_in_training(starts):
    """Up to the look at which a network has arrived, whoever goes on beside it."""
    found = run(Surface(bowl, (), 3), starts)
    assert found.gradient_evaluations == 32 * (found.steps[:, -1] // 32 + 1).sum()


@pytest.mark.parametrize("batch", [False, True])
def test_a_finished_network_costs_nothing_in_the_host_loop(data, starts, batch):
    surface = Surface(regression, data, 3, batch=draw, strategy="loop")
    found = run(surface, starts, ADAM, levels=(0.1,), steps=2000, batch=batch)
    taken = found.steps[:, -1] + (0 if batch else 1)  # the last energy came with a gradient
    assert surface.count.gradients == found.gradient_evaluations == taken.sum()
    looks = found.steps[:, -1] // 32 + 1
    assert surface.count.energies == (looks.sum() if batch else 0)


def test_float32_levels_hold_in_float64_too(data, starts):
    surface = Surface(
        regression, tuple(leaf.astype(jnp.float32) for leaf in data), 3, dtype=np.float32
    )
    found = run(surface, starts, ADAM, levels=(1.0, 0.1, 0.01))
    assert found.reached.all() and found.thetas.dtype == np.float32
    assert (surface.energies(found.thetas).astype(float) <= (1.0, 0.1, 0.01)).all()


def test_mini_batches_that_cannot_be_drawn_are_refused(data):
    surface = Surface(regression, data, 3, batch=draw)
    assert check_batch(surface, 8) and not check_batch(surface, None)
    assert check_batch(surface, 64), "all of them, as the surface draws them: augmented, say"
    assert not check_batch(Surface(regression, data, 3), 64)
    with pytest.raises(UserError, match=r"trainer.batch=65: the data has 64 examples"):
        check_batch(surface, 65)
    with pytest.raises(UserError, match=r"trainer.batch=8: this surface has no examples"):
        check_batch(Surface(bowl, (), 3), 8)
    with pytest.raises(ValueError, match="build the surface"):
        check_batch(Surface(regression, data, 3), 8)
