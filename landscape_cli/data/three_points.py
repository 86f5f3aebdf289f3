"""Three points of the plane, each to be sent to the next: x1 → x2 → x3 → x1.

The smallest task on which a 2-3-2 ReLU network without biases has two minima that no path at
low energy joins: θ and its copy with two hidden units exchanged (Freeman and Bruna 2017).

The points are the corners of an equilateral triangle around the origin, which makes the
statement provable. Let H be the 3 × 3 matrix of hidden activations, column j for point j. At
zero loss H is invertible: the targets' only linear relation is y1 + y2 + y3 = 0, a smaller rank
would need H (1, 1, 1)ᵀ = 0, and activations are not negative. Exchanging two hidden units flips
the sign of det H, so every path passes a singular H. Where H is singular the squared errors sum
to at least 1/2, that is 1/6 as a mean over the points (|y - f|² summed over both outputs), or
1/12 as a mean over points and outputs; predicting zero gives 1 and 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from landscape_cli.contracts import Data, Dataset, Examples
from landscape_cli.data.draws import uniform_weights
from landscape_cli.references import FREEMAN_BRUNA

if TYPE_CHECKING:
    import jax


@dataclass(frozen=True)
class ThreePoints(Data):
    """The cyclic shift of an equilateral triangle; both splits are the same three points."""

    reference: ClassVar[str] = FREEMAN_BRUNA

    def load(self, key: jax.Array) -> Dataset:
        """Make the points; nothing is random."""
        angles = np.pi / 2 + 2 * np.pi / 3 * np.arange(3)
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        examples = Examples(points, np.roll(points, -1, axis=0), uniform_weights(3))
        return Dataset("three_points", examples, examples)
