"""Closed forms: known minima and saddles, and what they refuse."""

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from landscape_cli.data.none import NoData
from landscape_cli.data.polynomial import Polynomial
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.models.base import initial_thetas, model_surface, weight_mask
from landscape_cli.models.curvy_valley import CurvyValley
from landscape_cli.models.double_well import DoubleWell
from landscape_cli.models.egg_carton import EggCarton
from landscape_cli.models.factorization import Factorization
from landscape_cli.models.mlp import MLP
from landscape_cli.models.muller_brown import MullerBrown
from landscape_cli.models.quadratic_bowl import QuadraticBowl
from landscape_cli.models.ring import Ring

FORMS = [
    Ring(2),
    Ring(5),
    MullerBrown(shift=146.7),
    Factorization(1),
    Factorization(3),
    QuadraticBowl(4, 100.0),
    DoubleWell(3, 2.0),
    EggCarton(2),
    EggCarton(4),
    CurvyValley(),
    CurvyValley(2.0),
]
KEY = jax.random.key(0)

# (surface, point, energy, number of descending directions)
STATIONARY = [
    (MullerBrown(), (-0.558224, 1.441726), -146.699517, 0),
    (MullerBrown(), (0.623499, 0.028038), -108.166724, 0),
    (MullerBrown(), (-0.050011, 0.466694), -80.767818, 0),
    (MullerBrown(), (-0.822002, 0.624313), -40.664844, 1),
    (MullerBrown(), (0.212487, 0.292988), -72.248940, 1),
    (Ring(2), (0.0, 0.0), 1.0, 2),
    (Ring(3), (0.6, 0.0, 0.8), 0.0, 0),
    (Factorization(1), (0.0, 0.0), 1.0, 1),
    (Factorization(2), (0.0, 0.0, 0.0, 0.0), 1.0, 2),
    (DoubleWell(3, 2.0), (0.0, 0.0, 0.0), 2.0, 1),
    (DoubleWell(3, 2.0), (-1.0, 0.0, 0.0), 0.0, 0),
    (QuadraticBowl(3), (0.0, 0.0, 0.0), 0.0, 0),
    (EggCarton(2), (0.5, -1.5), 0.0, 0),
    (EggCarton(2), (1.0, 0.5), 2.0, 1),
    (EggCarton(2), (1.0, 0.0), 4.0, 2),
    (EggCarton(3), (0.5, 1.5, 2.0), 2.0, 1),
    (CurvyValley(), (2.5 * np.pi, 1.0), 0.0, 0),
    (CurvyValley(), (-2.5 * np.pi, -1.0), 0.0, 0),
    (CurvyValley(), (0.0, 0.0), 1.0, 1),
]


@cache
def of_two_derivatives(form):
    """Energy, gradient and Hessian, compiled together."""
    energy = form.energy
    return jax.jit(
        lambda theta: (energy(theta), jax.grad(energy)(theta), jax.hessian(energy)(theta))
    )


@pytest.mark.parametrize(("form", "point", "energy", "descending"), STATIONARY)
def test_stationary_points(form, point, energy, descending):
    found, slope, curvature = of_two_derivatives(form)(jnp.asarray(point))
    assert found == pytest.approx(energy, abs=1e-6)
    # Müller-Brown points are given to 6 digits; its curvatures reach thousands.
    assert np.abs(slope).max() < 5e-3
    assert (np.linalg.eigvalsh(curvature) < -1e-9).sum() == descending


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_surfaces_of_closed_forms(form):
    data = NoData().load(KEY)
    surface = model_surface(form, data, Functional("energy"))
    assert surface.energy == model_surface(form).energy
    thetas = initial_thetas(form, data, KEY, 3)
    assert thetas.shape == (3, surface.dimension) == (3, weight_mask(form).size)
    np.testing.assert_allclose(surface.energies(thetas), [form.energy(t) for t in thetas])
    energies, gradients = surface.energies_and_gradients(jnp.asarray(thetas))
    assert energies.shape == (3,) and gradients.shape == thetas.shape


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_ends_are_minima(form):
    ends = form.ends(4, KEY)
    if ends is None:
        assert isinstance(form, QuadraticBowl)
        return
    starts, stops = ends
    assert starts.shape == stops.shape == (4, form.dimension)
    assert (np.linalg.norm(starts - stops, axis=1) > 0.5).all()
    slopes = jax.jit(jax.vmap(jax.grad(form.energy)))(jnp.concatenate([starts, stops]))
    assert np.abs(slopes).max() < 1e-5


@pytest.mark.parametrize(("alpha", "x0"), [(1.0, 2.5 * np.pi), (3.0, 2.0)])
def test_the_valley_is_the_published_one(alpha, x0):
    """(y - sin x)² + (βx⁴ - αx²) / (α² / 4β) + 1, β = α / 2x₀²: PAPERS.md 2.3."""
    points = np.random.default_rng(0).uniform(-10, 10, (50, 2))
    x, y = points.T
    beta = alpha / (2 * x0**2)
    published = (y - np.sin(x)) ** 2 + (beta * x**4 - alpha * x**2) / (alpha**2 / (4 * beta)) + 1
    np.testing.assert_allclose(model_surface(CurvyValley(x0)).energies(points), published)


def test_curvatures_of_a_bowl_are_even_in_their_logarithm():
    np.testing.assert_allclose(QuadraticBowl(3, 100.0).curvatures, [1, 10, 100])


@pytest.mark.parametrize("form", [EggCarton(2), EggCarton(4)], ids=repr)
def test_the_carton_is_the_published_one_raised(form):
    points = np.random.default_rng(0).uniform(-2, 2, (50, form.dimension))
    published = np.cos(2 * np.pi * points).sum(1) + form.dimension
    np.testing.assert_allclose(model_surface(form).energies(points), published, atol=1e-14)


@pytest.mark.parametrize(
    ("level", "length"), [(1e-4, 1.563257), (0.04, 1.437478), (0.5, 1.150384), (1.0, 1.0)]
)
def test_geodesics_of_the_ring(level, length):
    assert Ring.normalized_length(level) == pytest.approx(length, abs=1e-6)


def test_float32_stays_float32():
    for form in FORMS:
        theta = jnp.asarray(initial_thetas(form, None, KEY, 1, "float32"))
        surface = model_surface(form, precision="float32")
        assert surface.energies_and_gradients(theta)[0].dtype == np.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: model_surface(Ring(), None, Functional("mae")), "choose functional=energy"),
        (
            lambda: model_surface(Ring(), Polynomial((1.0, 1.0)).load(KEY)),
            "data=linear: Ring is a closed form; choose data=none",
        ),
        (lambda: model_surface(MLP(), NoData().load(KEY), Functional()), "has no train examples"),
        (lambda: model_surface(MLP(), NoData().load(KEY), Functional("energy")), "closed-form"),
    ],
)
def test_closed_forms_and_data_do_not_mix(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Ring(1), "dimension must be at least 2"),
        (lambda: Factorization(0), "width must be at least 1"),
        (lambda: QuadraticBowl(0), "dimension must be at least 1"),
        (lambda: QuadraticBowl(2, 0.5), "condition must be finite and at least 1"),
        (lambda: DoubleWell(0), "dimension must be at least 1"),
        (lambda: DoubleWell(2, 0.0), "height must be positive"),
        (lambda: EggCarton(1), "dimension must be at least 2"),
        (lambda: CurvyValley(0.0), "x0 must be positive"),
        (lambda: CurvyValley(float("nan")), "x0 must be positive"),
    ],
)
def test_bad_settings(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@dataclass(frozen=True)
class Odd(Ring):
    """A user's formula with a fault."""

    fault: str = ""

    def energy(self, theta):
        if self.fault == "raises":
            raise RuntimeError("boom")
        return {"vector": theta, "tuple": (theta[0], theta[1])}[self.fault]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("vector", r"^model: Odd.energy gives shape \(2,\), expected one number$"),
        ("tuple", "^model: Odd.energy gives type tuple, expected one number$"),
        ("raises", "^model: Odd.energy: RuntimeError: boom$"),
        ("other", "^model: Odd.energy: KeyError: 'other'$"),
    ],
)
def test_a_fault_of_a_users_formula_is_one_line(fault, message):
    with pytest.raises(UserError, match=message):
        model_surface(Odd(fault=fault))
