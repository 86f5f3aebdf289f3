"""What an energy takes: counted by hand in small programs."""

import jax
import jax.numpy as jnp
import numpy as np

from landscape_cli.core.energy import Contextual
from landscape_cli.core.work import _with_gradient, equations, work

X, W, V = (np.zeros(shape, np.float32) for shape in ((4, 8), (8, 16), (16, 2)))


def layers(x, w, v):
    return jnp.tanh(x @ w) @ v


def taken(function, *arrays):
    return _with_gradient(jax.make_jaxpr(function)(*arrays).jaxpr)


def test_a_gradient_keeps_what_products_read_and_make():
    """Not what is given; and on the way back it takes the largest of them thrice."""
    hidden, outputs = 4 * 16 * 4, 4 * 2 * 4
    assert taken(layers, X, W, V) == (2 * hidden + outputs) + 3 * hidden
    assert taken(jnp.tanh, X) == 0, "no product, nothing to keep"


def test_what_nobody_needs_is_not_computed():
    def more(x, w, v):
        _ = layers(x, w, v) @ jnp.zeros((2, 1000), x.dtype)
        return layers(x, w, v)

    assert taken(more, X, W, V) == taken(layers, X, W, V)


def test_inner_programs_are_looked_into_and_not_counted_themselves():
    inner = jax.make_jaxpr(jax.jit(layers))(X, W, V).jaxpr
    plain = jax.make_jaxpr(layers)(X, W, V).jaxpr
    names = lambda program: [equation.primitive.name for equation in equations(program)]
    assert len(inner.eqns) == 1 and names(inner) == names(plain)


class Centered(Contextual):
    """An energy whose context is a mean over examples of its own."""

    def context(self, theta, reference):
        return jnp.tanh(reference[0] @ theta).mean()

    def __call__(self, theta, data, context):
        return ((data[0] @ theta - context) ** 2).sum()


def test_examples_of_the_context_count_apart():
    counted = lambda examples: work(
        Centered(), (np.zeros((5, 3)),), 3, (np.zeros((examples, 3)),), np.dtype(np.float64)
    )
    (few, convolves, context), (many, _, larger) = counted(2), counted(100)
    assert few == many and larger == 50 * context and not convolves
