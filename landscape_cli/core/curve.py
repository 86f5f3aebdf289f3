"""Smooth and bent curves with few control points, of which the first and last are the ends.

    φ(t) = Σ_k w_k(t) c_k,   t in [0, 1],   c_0 and c_{n} the ends, n = bends + 1

A Bezier curve has Bernstein polynomials for w, a polygonal chain ("polychain") hat functions: its
control points are its corners. Both are linear in c, so that a curve is trained, stretched and
sampled by products with small matrices, and its geometry is that of the differences of c.

Reference: Garipov, Izmailov, Podoprikhin, Vetrov and Wilson, "Loss surfaces, mode connectivity,
and fast ensembling of DNNs", 2018, arXiv 1802.10026, section 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from landscape_cli.core.string import at

FINE = 2048  # steps in t that arclength is summed over
PEAKED = 8.0  # how sharply "peak" looks at the highest points; at 0 it is "uniform"
WEIGHTINGS = ("uniform", "arc", "peak")


class Family(ABC):
    """How control points make a curve; all in NumPy, for any number of bends."""

    @abstractmethod
    def weights(self, bends: int, t: np.ndarray) -> np.ndarray:
        """(t, control) the weights w_k(t): they sum to one."""

    @abstractmethod
    def rates(self, bends: int, t: np.ndarray) -> np.ndarray:
        """(t, segment) what φ'(t) takes of the differences c_{k+1} - c_k."""

    @abstractmethod
    def grown(self, control: np.ndarray, bends: int) -> np.ndarray:
        """The same curve (control, param) with more control points."""

    @abstractmethod
    def places(self, control: np.ndarray, beads: int) -> np.ndarray:
        """(bead,) increasing t, 0 and 1 included, for a polyline of equal arcs."""

    def polyline(self, control: np.ndarray, beads: int) -> np.ndarray:
        """(bead, param) a string through the curve, whose ends are those of `control`."""
        t = self.places(control, beads)
        string = self.weights(len(control) - 2, t).astype(control.dtype) @ control
        string[[0, -1]] = control[[0, -1]]  # ends never move by one bit
        return string

    def fitted(self, string: np.ndarray, bends: int) -> np.ndarray:
        """(control, param) of the curve nearest to a string, by least squares over its arcs."""
        t = np.linspace(0.0, 1.0, 8 * (bends + 1) + 1)[1:-1]
        weights = self.weights(bends, t)
        ends = string[[0, -1]]
        rest = at(string, t) - weights[:, [0, -1]] @ ends
        inner = np.linalg.lstsq(weights[:, 1:-1], rest, rcond=None)[0]
        return np.concatenate([ends[:1], inner, ends[1:]]).astype(string.dtype)


@dataclass(frozen=True)
class Bernstein(Family):
    """Bezier curves of degree bends + 1; degree elevation adds control points."""

    def weights(self, bends: int, t: np.ndarray) -> np.ndarray:
        """Bernstein polynomials of degree bends + 1."""
        n = bends + 1
        t = np.asarray(t, float)[:, None]
        k = np.arange(n + 1)
        return np.array([comb(n, i) for i in k], float) * t**k * (1 - t) ** (n - k)

    def rates(self, bends: int, t: np.ndarray) -> np.ndarray:
        """φ' = n Σ b_k (c_{k+1} - c_k) with the polynomials b of one degree less."""
        return (bends + 1) * self.weights(bends - 1, t)

    def grown(self, control: np.ndarray, bends: int) -> np.ndarray:
        """Degree elevation, one at a time."""
        while len(control) < bends + 2:
            share = np.arange(1, len(control))[:, None] / len(control)
            inner = share * control[:-1] + (1 - share) * control[1:]
            control = np.concatenate([control[:1], inner, control[-1:]]).astype(control.dtype)
        return control

    def places(self, control: np.ndarray, beads: int) -> np.ndarray:
        """Equal arcs: the speed at every t follows from the products of the differences."""
        t = np.linspace(0.0, 1.0, FINE + 1)
        steps = np.diff(control.astype(float), axis=0)
        rates = self.rates(len(control) - 2, t)
        speed = np.sqrt(np.maximum(((rates @ (steps @ steps.T)) * rates).sum(1), 0.0))
        arc = np.concatenate([[0.0], np.cumsum(speed[1:] + speed[:-1])])
        if not 0 < arc[-1] < np.inf:
            return np.linspace(0.0, 1.0, beads)
        return np.interp(np.linspace(0.0, arc[-1], beads), arc, t)


@dataclass(frozen=True)
class Hats(Family):
    """Polygonal chains: straight between control points, which sit at t = k / (bends + 1)."""

    def weights(self, bends: int, t: np.ndarray) -> np.ndarray:
        """Hat functions."""
        n = bends + 1
        return np.maximum(0.0, 1.0 - np.abs(np.asarray(t)[:, None] * n - np.arange(n + 1)))

    def rates(self, bends: int, t: np.ndarray) -> np.ndarray:
        """φ' = n (c_{k+1} - c_k) on segment k."""
        n = bends + 1
        segment = np.minimum((np.asarray(t) * n).astype(int), n - 1)
        return n * np.eye(n)[segment]

    def grown(self, control: np.ndarray, bends: int) -> np.ndarray:
        """Corners in the middle of the longest segments, one at a time."""
        while len(control) < bends + 2:
            i = int(np.linalg.norm(np.diff(control, axis=0), axis=1).argmax())
            control = np.insert(control, i + 1, (control[i] + control[i + 1]) / 2, axis=0)
        return control

    def places(self, control: np.ndarray, beads: int) -> np.ndarray:
        """All corners; the beads beyond them divide the longest pieces, one at a time."""
        lengths = np.linalg.norm(np.diff(control, axis=0), axis=1)
        counts = np.ones(len(lengths), int)
        for _ in range(beads - 1 - len(lengths)):
            counts[(lengths / counts).argmax()] += 1
        inside = [k + np.arange(count) / count for k, count in enumerate(counts)]
        return np.append(np.concatenate(inside), len(lengths)) / len(lengths)


BEZIER, POLYCHAIN = Bernstein(), Hats()


def plan(
    family: Family, bends: int, t: np.ndarray
) -> tuple[Float[np.ndarray, "t control"], Float[np.ndarray, "t control"]]:
    """Matrices that take control points to φ(t) and to φ'(t)."""
    differences = np.diff(np.eye(bends + 2), axis=0)
    return family.weights(bends, t), family.rates(bends, t) @ differences


def times_to(weights: Array, control: Array) -> Array:
    """(..., param) combinations of control points, not in the short arithmetic of a GPU."""
    return jnp.einsum("tc,cp->tp", weights, control, precision=jax.lax.Precision.HIGHEST)


def objective(
    control: Float[Array, "control param"],
    energies: Float[Array, " t"],
    gradients: Float[Array, "t param"],
    weights: Float[Array, "t control"],
    rates: Float[Array, "t control"],
    weighting: str,
) -> tuple[Float[Array, ""], Float[Array, "control param"]]:
    """What a curve is trained for, and its gradient in all control points.

        uniform   mean F(φ(t))                                  as published for t ~ U(0, 1)
        arc       Σ F(φ) ‖φ'‖ / Σ ‖φ'‖                          the mean over arclength
        peak      τ log mean exp(F(φ) / τ)                      a soft maximum

    The temperature τ is the height of the maximum over the mean, divided by `PEAKED`; it is
    held fixed in the gradient, which with one t is that of F.

    Args:
        control: the ends included; their gradients are what they are.
        energies: F(φ(t)).
        gradients: ∇F(φ(t)).
        weights: φ(t) = weights @ control.
        rates: φ'(t) = rates @ control.
        weighting: one of `WEIGHTINGS`.
    """
    back = lambda matrix, rows: times_to(matrix.T, rows)
    if weighting == "arc":
        return _by_arc(control, energies, gradients, weights, rates, back)
    if weighting == "peak":
        top = energies.max()
        tau = jnp.maximum((top - energies.mean()) / PEAKED, jnp.finfo(energies.dtype).tiny)
        rise = jnp.exp((energies - top) / tau)
        value, share = top + tau * jnp.log(rise.mean()), rise / rise.sum()
    else:
        value, share = energies.mean(), jnp.full_like(energies, 1 / len(energies))
    return value, back(weights, share[:, None] * gradients)


def _by_arc(
    control: Array, energies: Array, gradients: Array, weights: Array, rates: Array,
    back: Callable[[Array, Array], Array],
) -> tuple[Array, Array]:  # fmt: skip
    """The mean over arclength; the second term of its gradient is from the length itself."""
    velocity = times_to(rates, control)
    speed = jnp.linalg.norm(velocity, axis=1)
    speed = jnp.where(speed.sum() > 0, speed, 1.0)  # a point: every t weighs the same
    total = speed.sum()
    value = (speed * energies).sum() / total
    pull = ((energies - value) / jnp.where(speed > 0, speed, 1.0))[:, None] * velocity
    gradient = back(weights, speed[:, None] * gradients) + back(rates, pull)
    return value, gradient / total
