"""Convolutions as products: the same numbers and gradients as XLA's; where they are used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import images, slow

from landscape_cli.functional import Functional
from landscape_cli.models import rows
from landscape_cli.models.base import initial_thetas, model_surface
from landscape_cli.models.cnn import CNN
from landscape_cli.models.layers import convolve
from landscape_cli.models.rows import by_rows

RNG = np.random.default_rng(0)


def convolutions(function, *args):
    """How many convolutions XLA is asked for."""
    return str(jax.make_jaxpr(function)(*args)).count("conv_general_dilated[")


@pytest.mark.parametrize("padding", ["SAME", "VALID", slow(0), slow(1), 3])
@pytest.mark.parametrize("stride", [1, 2, slow(3)])
@pytest.mark.parametrize(
    ("shape", "kernel"), [((7, 7, 1), (5, 5, 3)), ((9, 6, 2), (3, 4, 4)), ((4, 5, 3), (1, 1, 2))]
)
def test_products_are_convolutions(shape, kernel, stride, padding):
    pixels = jnp.asarray(RNG.normal(size=(5, *shape)))
    weights = jnp.asarray(RNG.normal(size=(*kernel[:2], shape[-1], kernel[-1])))

    def look(pixels, weights):
        found = convolve(pixels, weights, stride, padding)
        return (jnp.sin(found)).sum(), found

    def inside(pixels, weights):
        with by_rows():
            return look(pixels, weights)

    assert convolutions(look, pixels, weights) == 1
    assert convolutions(inside, pixels, weights) == 0
    both = lambda way: jax.jit(jax.grad(way, (0, 1), has_aux=True))(pixels, weights)
    slopes = [both(look), both(inside)]
    for wanted, found in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_large_convolutions_and_other_devices_keep_theirs(monkeypatch):
    pixels, weights = jnp.ones((2, 32, 32, 3)), jnp.ones((3, 3, 3, 16))
    with by_rows():
        assert convolutions(convolve, pixels, weights) == 1
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        assert convolutions(convolve, pixels[:, :7, :7], weights) == 1


def test_a_small_network_is_all_products_and_computed_as_one(monkeypatch):
    """Its energies are XLA's; what reads the traced network still finds convolutions."""
    net, data = CNN(channels=(3, 4), widths=(5,)), images(12)
    make = lambda: model_surface(net, data, Functional("cross_entropy"))
    thetas = initial_thetas(net, data, jax.random.key(0), 3)
    surface = make()
    found = surface.energies_and_gradients(jnp.asarray(thetas))
    assert surface.strategy == "vmap"
    assert convolutions(surface.energy, jnp.asarray(thetas[0]), surface.data) == 0
    module = surface.energy.module
    params = {"params": surface.energy.layout.unravel(jnp.asarray(thetas[0]))}
    assert convolutions(module.apply, params, surface.data[0]) == 2
    monkeypatch.setattr(rows, "LARGEST", 0)
    plain = make()
    assert plain.strategy == "loop"
    anew = lambda *args: plain.energy(*args)  # equal energies are traced once
    assert convolutions(anew, jnp.asarray(thetas[0]), plain.data) == 2
    for some, wanted in zip(found, plain.energies_and_gradients(jnp.asarray(thetas)), strict=True):
        np.testing.assert_allclose(some, wanted, rtol=1e-10, atol=1e-12)
