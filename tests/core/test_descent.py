"""Descending a pool: company, order, padding and stragglers change nothing; targets are kept."""

import zlib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import near, slow

from landscape_cli.core import descent
from landscape_cli.core.descent import adam, descend
from landscape_cli.core.lanes import FLIGHTS, LADDER, flight, pad, rung
from landscape_cli.core.random import named_key
from landscape_cli.core.surface import Surface
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.functional import Functional
from landscape_cli.models.base import model_surface
from landscape_cli.models.mlp import MLP
from landscape_cli.models.ring import Ring

RING = model_surface(Ring(3))
POINTS = np.random.default_rng(0).normal(size=(21, 3)) * np.linspace(0.3, 3, 21)[:, None]
TARGETS = np.geomspace(1e-6, 0.5, 21)
ADAM = adam(0.01)


def cliff(theta, data):
    """A bowl without a value beyond ‖θ‖ = 2."""
    return jnp.where(theta @ theta > 4.0, jnp.nan, 0.5 * theta @ theta)


def test_the_ladder():
    assert all(a < b <= 2 * a for a, b in pairwise(LADDER))
    assert [rung(n) for n in (1, 4, 5, 17, 25, 1000)] == [4, 4, 8, 24, 32, 1024]
    most = LADDER[-1]
    assert [rung(most), rung(most + 1), rung(3 * most - 1)] == [most, 2 * most, 3 * most]
    assert flight(FLIGHTS[-1] + 1) == 2 * FLIGHTS[-1], "there is no largest"
    padded = pad(POINTS[:3], 5)
    np.testing.assert_array_equal(padded, POINTS[[0, 1, 2, 0, 0]])


def test_everyone_arrives_below_their_own_target_or_says_so():
    found = descend(RING, ADAM, POINTS, TARGETS, 4000)
    assert (found.energies <= TARGETS).all()
    np.testing.assert_allclose(found.energies, RING.energies(found.thetas), rtol=1e-12)
    brief = descend(RING, ADAM, POINTS, TARGETS, 50)
    assert (brief.gradients <= 50).all()
    assert (brief.energies > TARGETS).any()


def test_steps_are_a_limit():
    found = descend(RING, ADAM, POINTS, np.zeros(21), 30)
    assert (found.gradients == 30).all()


def test_a_target_that_is_no_number_is_refused():
    """Every comparison with it is false: nobody would ever be said to be there, nor to go on."""
    with pytest.raises(ValueError, match="targets: NaN"):
        descend(RING, ADAM, POINTS[:2], np.array([0.1, np.nan]), 10)


def test_who_is_below_already_does_not_move_and_costs_nothing():
    inside = np.array([[1.0, 0.0, 0.0], [0.0, 1.01, 0.0]])
    found = descend(RING, ADAM, inside, np.array([0.01, 0.01]), 100)
    np.testing.assert_array_equal(found.thetas, inside)
    np.testing.assert_array_equal(found.gradients, 0)


def test_company_and_order_and_padding_do_not_matter():
    whole = descend(RING, ADAM, POINTS, TARGETS, 2000)
    order = np.random.default_rng(1).permutation(21)
    mixed = descend(RING, ADAM, POINTS[order], TARGETS[order], 2000)
    np.testing.assert_allclose(mixed.thetas, whole.thetas[order], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(mixed.gradients, whole.gradients[order])
    for row in (0, 7, 20):
        alone = descend(RING, ADAM, POINTS[[row]], TARGETS[[row]], 2000)
        np.testing.assert_allclose(alone.thetas[0], whole.thetas[row], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(alone.gradients[0], whole.gradients[row])


@pytest.mark.parametrize("soon", [0.0, 1e9])
def test_a_light_energy_takes_every_point_the_same_way_in_any_company(monkeypatch, soon):
    """A last bit grows on the way, and it is a matter of time who goes on together."""
    cubic = Polynomial(coefficients=(0.0, 3.0, -10.0, 8.0)).load(jax.random.key(0))
    net = model_surface(MLP((4, 4)), cubic, Functional("mse"))
    assert net.light
    points = np.random.default_rng(0).normal(size=(40, net.dimension))
    targets = np.full(40, 0.05)
    whole = descend(net, ADAM, points, targets, 150)
    monkeypatch.setattr(descent, "SOON", soon)
    for count in (1, 9, 33):
        some = descend(net, ADAM, points[:count], targets[:count], 150)
        assert np.array_equal(some.thetas, whole.thetas[:count]), "not one bit"
        assert np.array_equal(some.gradients, whole.gradients[:count])


def test_a_straggler_costs_only_itself():
    targets = np.full(21, 0.1)
    targets[5] = -1.0  # never reached
    surface = model_surface(Ring(3))
    found = descend(surface, ADAM, POINTS, targets, 4000)
    others = np.arange(21) != 5
    assert (found.energies[others] <= 0.1).all()
    assert found.gradients[5] == 4000
    # Steps of the others and of the padding of the smallest rung; not 21 times 4000.
    assert surface.count.gradients < 4 * 4000 + 2 * found.gradients[others].sum() + 500


def test_a_nan_ends_one_point_and_leaves_the_others_alone():
    surface = Surface(cliff, (), 3)
    starts = np.array([[1.0, 0, 0], [5.0, 0, 0], [0, 1.5, 0]])
    found = descend(surface, ADAM, starts, np.full(3, 0.01), 2000)
    assert np.isnan(found.energies[1]) and (found.energies[[0, 2]] <= 0.01).all()
    np.testing.assert_array_equal(found.thetas[1], starts[1])
    leap = descend(
        surface, optax.sgd(-1.0), starts[[0]], np.zeros(1), 100
    )  # uphill, over the cliff
    assert np.isnan(leap.energies[0])


@pytest.mark.parametrize("split", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_host_loop_and_batched_program_agree(split):
    """`split`: gradients of another function than the level functional."""
    other = (lambda theta, data: (theta @ theta - data) ** 2) if split else None
    surfaces = [
        Surface(RING.energy, (), 3, loss=other, loss_data=1.0 if split else None, strategy=name)
        for name in ("vmap", "loop")
    ]
    some = POINTS[::3], TARGETS[::3]
    together, one_by_one = (descend(s, ADAM, *some, 200) for s in surfaces)
    assert len(set(together.gradients.tolist())) > 3, "some arrive, sooner or later"
    np.testing.assert_allclose(one_by_one.thetas, together.thetas, atol=1e-8)
    np.testing.assert_allclose(one_by_one.energies, together.energies, atol=1e-8)
    # A host loop looks more often who has arrived; nobody pays for more than a look's steps.
    assert (one_by_one.gradients <= together.gradients).all()
    assert (together.gradients - one_by_one.gradients < 25).all()


def test_descent_is_that_of_optax():
    theta = jnp.asarray(POINTS[15])
    state, taken = ADAM.init(theta), 0
    step = jax.jit(lambda theta, state: ADAM.update(jax.grad(RING.energy)(theta, ()), state))
    while RING.energies(np.asarray(theta)[None]) > 0.01:
        update, state = step(theta, state)
        theta, taken = theta + update, taken + 1
    found = descend(RING, ADAM, POINTS[[15]], np.array([0.01]), 4000)
    np.testing.assert_allclose(found.thetas[0], theta, atol=1e-12)
    assert found.gradients[0] - taken in range(25)


@pytest.mark.parametrize(
    ("kind", "lanes"), [({"work": 100}, 256), ({}, 48), ({"strategy": "loop"}, 33)]
)
def test_states_are_begun_for_no_more_lanes_than_there_are(kind, lanes, monkeypatch):
    """Adam's are twice as large as the points, which are networks."""
    begun = []

    def initial_states(optimizer, thetas):
        begun.append(thetas.shape)
        return jax.vmap(optimizer.init)(thetas)

    monkeypatch.setattr(descent, "initial_states", initial_states)
    surface = Surface(RING.energy, (), 3, **kind)
    assert (descend(surface, ADAM, np.ones((33, 3)), np.full(33, 3.9), 5).energies <= 3.9).all()
    assert begun == [(lanes, 3)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_a_target_between_two_numbers_is_reached_from_below(strategy):
    """0.8 in float32 is above 0.8: an energy of just that has not arrived, whoever looks."""

    def errors(theta, data):
        return jnp.where(theta[0] > 0.5, *jnp.asarray([0.8, 0.6], jnp.float32))

    surface = Surface(
        errors, (), 1, loss=lambda theta, data: theta @ theta, smooth=False, strategy=strategy,
        dtype=np.float32,
    )  # fmt: skip
    targets = np.array([0.8, np.float32(0.8), 0.5])
    found = descend(surface, optax.sgd(0.05), np.ones((3, 1)), targets, 300)
    np.testing.assert_array_equal(found.energies, np.array([0.6, 0.8, 0.6], np.float32))
    assert 0 < found.gradients[0] < found.gradients[2] == 300 and found.gradients[1] == 0


def test_chunks_bound_the_memory_and_change_nothing():
    wide = descend(RING, ADAM, POINTS, TARGETS, 500)
    narrow = descend(Surface(RING.energy, (), 3, chunk=4), ADAM, POINTS, TARGETS, 500)
    np.testing.assert_allclose(narrow.thetas, wide.thetas, atol=1e-12)


@pytest.mark.parametrize("count", [3, 12, 70])
def test_light_surfaces_descend_alike(count):
    """Whose lanes come in few sizes, with padding that is not computed."""
    points = np.random.default_rng(1).normal(size=(count, 3))
    targets = np.geomspace(1e-4, 0.5, count)
    light, other = (Surface(RING.energy, (), 3, work=work) for work in (100, 0))
    assert light.light and not other.light
    found, wanted = (descend(each, ADAM, points, targets, 500) for each in (light, other))
    np.testing.assert_allclose(found.thetas, wanted.thetas, atol=1e-12)
    np.testing.assert_allclose(found.energies, wanted.energies, atol=1e-12)
    np.testing.assert_array_equal(found.gradients, wanted.gradients)


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
def test_a_loss_on_other_examples_is_not_taken_for_the_energy(strategy):
    """The same formula on the training split (center 0) and on the test split (center 1, 0, 0)."""

    def squares(theta, data):
        return ((theta - data) ** 2).sum()

    train, test = jnp.zeros(3), jnp.array([1.0, 0.0, 0.0])
    surface = Surface(squares, test, 3, loss_data=train, strategy=strategy)
    start = np.array([[-2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    found = descend(surface, optax.sgd(0.05), start, np.array([1.5, 0.25]), 200)
    # θ_t = 0.9^t θ_0 until (θ - 1)² is at the target; there the point stays.
    steps = [np.ceil(np.log((np.sqrt(1.5) - 1) / 2) / np.log(0.9)), 3]
    np.testing.assert_allclose(found.thetas[:, 0], start[:, 0] * 0.9 ** np.array(steps))
    np.testing.assert_allclose(found.energies, surface.energies(found.thetas))
    assert (found.energies <= [1.5, 0.25]).all()


def test_a_program_traced_for_one_split_does_not_serve_two():
    """Equal functions compile once; whether the energy is the loss must not be remembered."""

    @dataclass(frozen=True)
    class Squares:
        power: int = 2

        def __call__(self, theta, data):
            return ((theta - data) ** self.power).sum()

    train, test = jnp.zeros(3), jnp.array([1.0, 0.0, 0.0])
    formula = Squares()
    one = Surface(formula, train, 3)
    two = Surface(Squares(), test, 3, loss=Squares(), loss_data=train)
    start, goal, optimizer = np.array([[2.0, 0.0, 0.0]]), np.array([0.25]), optax.sgd(0.05)
    assert descend(one, optimizer, start, goal, 200).energies[0] <= 0.25
    found = descend(two, optimizer, start, goal, 200)
    np.testing.assert_allclose(found.thetas[0, 0], 2 * 0.9**3)


def valley(theta, data):
    return data[0] @ (theta @ data[1].T) ** 2 + 0.01 * (theta @ theta)


def three(data, key):
    chosen = near(key, 3, 8)
    return data[0][chosen] * 8 / 3, data[1][chosen]


DIRECTIONS = np.random.default_rng(2).normal(size=(8, 3))
VALLEY = dict(
    energy=valley, data=(jnp.full(8, 1 / 8), jnp.asarray(DIRECTIONS)), dimension=3, batch=three
)
KINDS = {"vmap": {}, "light": {"work": 100}, "loop": {"strategy": "loop"}}
FOURTEEN = np.random.default_rng(3).normal(size=(14, 3))
ALL_THE_SAME = np.full(14, 0.05)


@jax.jit
def step_by_hand(theta, state, data, key, number, left):
    """Of Optax, on the mini-batch of a point and a step."""
    drawn = three(data, jax.random.fold_in(jax.random.fold_in(key, number), left))
    update, state = ADAM.update(jax.grad(valley)(theta, drawn), state)
    return theta + update, state


@cache
def by_hand(seed, row):
    """A plain loop, whatever the surface's kind: where it ends, and how many steps are left."""
    energy, key, data = jax.jit(valley), named_key(seed, "descent"), VALLEY["data"]
    theta = jnp.asarray(FOURTEEN[row])
    state, left = ADAM.init(theta), 102
    number = np.uint32(zlib.crc32(FOURTEEN[row].tobytes()))
    while left and energy(theta, data) > 0.05:
        for _ in range(min(4, left)):
            theta, state = step_by_hand(theta, state, data, key, number, left)
            left -= 1
    return np.asarray(theta), left


@pytest.mark.parametrize("seed", [slow(0), 5])
@pytest.mark.parametrize("kind", KINDS)
def test_mini_batches_by_hand(kind, seed):
    """Against a plain loop with Optax; F is looked at before every fourth step."""
    surface = Surface(**VALLEY, **KINDS[kind])
    found = descend(surface, ADAM, FOURTEEN, ALL_THE_SAME, 102, every=4, seed=seed)
    for row in (0, 5):
        theta, left = by_hand(seed, row)
        np.testing.assert_allclose(found.thetas[row], theta, atol=1e-10)
        assert found.gradients[row] == 102 - left
    steps = set(found.gradients.tolist())
    assert 102 in steps and len(steps) > 3, "some arrive, sooner or later"
    np.testing.assert_allclose(found.energies, surface.energies(found.thetas), atol=1e-12)
    assert all(n % 4 == 0 or n == 102 for n in steps)


def test_mini_batches_do_not_depend_on_the_company():
    surface = Surface(**VALLEY)
    whole = descend(surface, ADAM, FOURTEEN, ALL_THE_SAME, 100, every=5)
    some = [3, 11]
    few = descend(surface, ADAM, FOURTEEN[some], ALL_THE_SAME[some], 100, every=5)
    np.testing.assert_allclose(few.thetas, whole.thetas[some], rtol=0, atol=1e-12)
    exact = descend(surface, ADAM, FOURTEEN, ALL_THE_SAME, 100)
    assert np.abs(exact.thetas - whole.thetas).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_draws_other_mini_batches_and_compiles_nothing(kind):
    surface = Surface(**VALLEY, **KINDS[kind])
    drawn = lambda seed: descend(surface, ADAM, FOURTEEN[:3], np.zeros(3), 20, every=4, seed=seed)
    first, programs = drawn(0), [descent._advance(light)._cache_size() for light in (True, False)]
    other = drawn(1)
    assert programs == [descent._advance(light)._cache_size() for light in (True, False)]
    assert (first.thetas != other.thetas).all()
    np.testing.assert_array_equal(drawn(1).thetas, other.thetas)
    plain = descend(surface, ADAM, FOURTEEN[:3], np.zeros(3), 20, every=4)
    np.testing.assert_array_equal(first.thetas, plain.thetas)
