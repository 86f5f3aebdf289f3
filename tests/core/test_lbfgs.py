"""L-BFGS against Nocedal's recursion as it stands in textbooks; and that it costs no copies."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.core import lbfgs, trials
from landscape_cli.core.batch import Batch, Pull
from landscape_cli.core.lagrangian import Tightening, green
from landscape_cli.core.string import normalized_length, reparametrized
from landscape_cli.core.surface import Surface
from landscape_cli.core.tighten import tighten
from landscape_cli.models.base import model_surface
from landscape_cli.models.ring import Ring


def two_loop(gradient, pairs, scale, metric):
    """Nocedal's recursion, on matrices, oldest pair first."""
    q, kept = gradient.copy(), []
    for dx, dg in reversed(pairs):
        a = (dx * q).sum() / (dx * dg).sum()
        q -= a * dg
        kept.append(a)
    r = scale * metric @ q
    for (dx, dg), a in zip(pairs, reversed(kept), strict=True):
        r += dx * (a - (dg * r).sum() / (dx * dg).sum())
    return -r


@pytest.mark.parametrize(("row", "close"), [(np.float64, 1e-9), (lbfgs.ROW, 1e-5)])
@pytest.mark.parametrize("lanes", [1, 3])
def test_directions_are_those_of_textbook_bfgs(lanes, row, close, monkeypatch):
    """More pairs than are remembered; two are concave and refused, which costs the oldest."""
    monkeypatch.setattr(lbfgs, "ROW", row)
    memory, shape = 4, (5, 3)
    rng, metric = np.random.default_rng(0), green(6)
    remember = lbfgs.remembered
    if lanes > 1:  # in company, as on a GPU
        several = lambda x: jax.tree.map(lambda leaf: jnp.stack([leaf] * lanes), x)
        remember = lambda *given: jax.tree.map(
            lambda leaf: leaf[1],
            jax.vmap(partial(lbfgs.remembered, always=True))(*map(several, given)),
        )
    else:
        remember = partial(lbfgs.remembered, always=True)
    remember = jax.jit(remember)
    history, scale, pairs = lbfgs.nothing(memory, jnp.zeros(shape)), jnp.asarray(1e-3), []
    stiff, gradient = np.diag(rng.uniform(0.1, 9, 5)), rng.normal(size=shape)
    for number in range(10):
        dx = rng.normal(size=shape)
        concave = number in (2, 7)
        dg = (stiff @ dx + 0.1 * np.abs(dx)) * (-1 if concave else 1)
        pair = lbfgs.brought(*map(jnp.asarray, (dx, dg, metric @ dg)), jnp.asarray(True))
        assert bool(pair.good) != concave
        if concave:
            assert float(lbfgs.scaled(pair, scale)) == float(scale)
        scale = lbfgs.scaled(pair, scale)
        gradient = gradient + dg
        history = remember(history, pair, jnp.asarray(gradient))
        pairs = pairs[1:] if concave and len(pairs) == memory else pairs
        pairs = pairs if concave else [*pairs, (dx, dg)][-memory:]
        if number % 3 == 0:  # as other multipliers would change it
            gradient = rng.normal(size=shape)
            history = history._replace(on=lbfgs.turned(history, jnp.asarray(gradient)))
        found = lbfgs.direction(history, scale, jnp.asarray(metric @ gradient))
        wanted = two_loop(gradient, pairs, float(scale), metric)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=close * np.abs(wanted).max())


def test_a_trial_that_failed_brings_nothing():
    dx, dg = np.random.default_rng(1).normal(size=(2, 5, 3)) + 2.0
    dg[2, 1] = np.nan
    pair = lbfgs.brought(*map(jnp.asarray, (dx, dg, green(6) @ dg)), jnp.asarray(False))
    assert all(not np.any(leaf) for leaf in pair)
    history = lbfgs.remembered(lbfgs.nothing(4, jnp.zeros((5, 3))), pair, jnp.ones((5, 3)), True)
    assert all(np.isfinite(leaf).all() for leaf in history)


def test_the_unit_of_theta_does_not_matter():
    """A string a millionth as long in a set a millionth as wide is as soon taut."""
    unit = 1e-6
    beads = reparametrized(np.array([[1.0, 0.0], [0.0, 1.3], [-0.8, 0.6]]), 16)
    ring = model_surface(Ring(2))
    small = Surface(lambda theta, data: ring.energy(theta / unit, data), (), 2)
    one, other = (Pull(beads * scale, 0.1, 3e-3, 500) for scale in (1.0, unit))
    tighten(ring, [one], Tightening())
    tighten(small, [other], Tightening())
    assert max(one.residual, other.residual) < Tightening().tolerance
    assert abs(one.spent - other.spent) <= 10, "rounding may cost one look more"
    assert normalized_length(other.beads) == pytest.approx(normalized_length(one.beads), rel=1e-4)


def test_no_trial_copies_the_history():
    """Rows are overwritten in place: copying them costs more than all that is done with them."""
    surface, settings = model_surface(Ring(7)), Tightening(evaluations=0)
    batch = Batch(surface, settings, 16, 10)
    ends = np.eye(7)[:2] * 0.9
    batch.add([Pull(reparametrized(ends, 16), 0.1, 0.0, 100)])
    (crowd,) = batch.crowds
    program = trials.trials(True).lower(
        surface.steep, surface.parts, batch.metric, crowd.state, crowd.walls, np.ones(1, bool),
        10, 10, surface.chunk, settings,
    ).compile()  # fmt: skip
    text = program.as_text()
    rows = rf"f32\[(1,)?2,{settings.memory},15,7\]"
    square = rf"f64\[(1,)?{settings.memory},{settings.memory}\]"
    assert re.search(rf"{rows}\S* (parameter|dynamic-update-slice)\(", text)
    assert not re.findall(rf"({rows}|{square})\S* copy\(", text)
