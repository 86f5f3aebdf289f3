"""The least residual near a string: against explicit gradients, and at corners of a level set."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.core import nearby
from landscape_cli.core.batch import Batch, Pull
from landscape_cli.core.lagrangian import Tightening
from landscape_cli.core.string import length, reparametrized
from landscape_cli.models.base import ClosedForm, model_surface
from landscape_cli.models.ring import Ring


@pytest.mark.parametrize(
    ("vectors", "least"),
    [
        ([[3.0, 4.0]], 5.0),
        ([[1.0, 1.0], [1.0, -1.0]], 1.0),
        ([[1.0, 1.0], [1.0, 2.0]], np.sqrt(2)),  # an end of the segment is nearest
        ([[1.0, 1.0], [-1.0, 1.0], [0.0, -1.0]], 0.0),
        ([[2e-9, 0.0], [0.0, 2e-9]], np.sqrt(2) * 1e-9),
        ([[0.0, 0.0], [0.0, 0.0]], 0.0),
    ],
)
def test_the_point_of_a_hull_nearest_to_the_origin(vectors, least):
    vectors = np.array(vectors)
    assert nearby.shortest(vectors @ vectors.T) == pytest.approx(least, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("far", "least"), [(5e-4, 1.0), (2e-3, np.sqrt(2))])
def test_gradients_met_more_than_a_thousandth_of_the_chord_away_do_not_count(
    monkeypatch, far, least
):
    vectors = np.array([[1.0, 1.0], [1.0, -1.0]])
    monkeypatch.setattr(nearby, "_met", lambda *_: (vectors @ vectors.T, np.array([0.0, far])))
    assert nearby.least_residual(None, None, 0) == pytest.approx(least)


def test_products_are_those_of_the_gradients_that_were_met():
    settings = Tightening(memory=6, every=100, inner=0.0, ahead=0.0, tolerance=0.0)
    batch = Batch(model_surface(Ring(3)), settings, 8, check=1)
    ends = np.array([[1.0, 0, 0], [-0.9, 0.2, 0.3]])
    bent = np.stack([ends[0], [0.1, 1.2, 0.1], ends[1]])
    batch.add([Pull(reparametrized(bent, 8), 0.1, 0.0, 100)])
    met = []
    for _ in range(9):
        batch.looks = 1
        batch.advance()
        state, walls = batch.crowds[0].state, batch.crowds[0].walls
        if int(state.inner.rejected[0]) == 0:
            inner = state.inner
            met.append(
                [np.asarray(leaf[0]) for leaf in (state.beads, inner.now.gradient, inner.raised)]
            )
    products, distance = map(np.asarray, nearby._met(state, walls, 0))
    assert len(met) > 7 and np.isfinite(distance).all(), "all that is remembered, and the last"
    latest = met[::-1][:7]
    chord2 = ((ends[1] - ends[0]) ** 2).sum()
    excess = float(state.inner.now.excess[0])
    for i, (_, gradient, _) in enumerate(latest):
        for j, (_, _, raised) in enumerate(latest):
            wanted = chord2 * (gradient * raised).sum() / excess
            assert products[i, j] == pytest.approx(wanted, rel=1e-6, abs=1e-6 * products.max())
    for (beads, _, _), far in zip(latest, distance, strict=True):
        moved = np.pad(beads - latest[0][0], ((1, 1), (0, 0)))
        assert far == pytest.approx(np.sqrt(8 * (np.diff(moved, axis=0) ** 2).sum() / chord2))
    assert nearby.least_residual(state, walls, 0) <= float(state.inner.residual[0]) * (1 + 1e-9)


def test_gradients_under_other_multipliers_do_not_count():
    settings = Tightening(every=4, inner=0.0, ahead=0.0, tolerance=0.0)
    batch = Batch(model_surface(Ring(2)), settings, 8, check=1)
    ends = np.array([[1.0, 0], [-0.9, 0.3]])
    batch.add([Pull(reparametrized(np.stack([ends[0], [0.1, 1.2], ends[1]]), 8), 0.1, 0.0, 100)])
    for trial in range(1, 13):
        batch.looks = 1
        batch.advance()
        state, walls = batch.crowds[0].state, batch.crowds[0].walls
        known = np.isfinite(np.asarray(nearby._met(state, walls, 0)[1])).sum()
        assert known <= 1 + trial % 4


@dataclass(frozen=True)
class Groove(ClosedForm):
    """{F <= 1} is what lies above z = 1 - x² + |y| / 10: a hill with a groove along its back."""

    dimension: int = 3

    def energy(self, theta):
        """2 - x² + |y| / 10 - z."""
        x, y, z = theta
        return 2 - x**2 + 0.1 * jnp.abs(y) - z

    def initial(self, key):
        """Not used."""
        raise NotImplementedError

    def ends(self, count, key):
        """Not used."""
        raise NotImplementedError


def test_a_string_in_a_groove_is_balanced_by_gradients_from_either_side():
    """Over the hill along tangents and a piece of parabola, all of it on the kink y = 0."""
    ends = np.array([[-1.5, 0.0, 0.0], [1.5, 0.0, 0.0]])
    draws = np.random.default_rng(0)
    alone, least, ended = [], [], []  # whenever the inner problem has had its time
    for _ in range(4):
        between = [[-0.5, 0.3, 2.0], [0.7, -0.2, 1.5]] + 0.05 * draws.standard_normal((2, 3))
        beads = reparametrized(np.stack([ends[0], *between, ends[1]]), 16)
        batch = Batch(model_surface(Groove()), Tightening(), 16, check=10)
        batch.add([Pull(beads, 1.0, 0.0, 400)])
        while batch.pulls:
            batch.looks = 1
            batch.advance()
            crowd = batch.crowds[0]
            inner = crowd.state.inner
            if inner.since[0] > 40:
                alone.append(float(inner.residual[0]))
                least.append(nearby.least_residual(crowd.state, crowd.walls, 0))
            ended += batch.ended()
    assert len(least) > 10
    assert np.median(alone) > 2 * Tightening().tolerance, "no gradient vanishes"
    # Of eight seeds, with any rounding, 0.10 to 0.40 tolerances, and 6.7 to 47 times less.
    assert np.median(least) < min(Tightening().tolerance / 2, np.median(alone) / 5)
    touch = (3 - np.sqrt(5)) / 2  # where the tangent from an end meets the parabola
    arc = touch / 2 * np.hypot(1, 2 * touch) + np.arcsinh(2 * touch) / 4
    wanted = 2 * (np.hypot(1.5 - touch, 1 - touch**2) + arc)
    for pull in ended:
        assert float(length(pull.beads)) == pytest.approx(wanted, rel=5e-3)
        assert np.abs(pull.beads[:, 1]).max() < 1e-2
