"""`bn=` as a recipe treats it: the coordinates of strings, and which of them lengths count."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from landscape_cli.experiments.geodesic import Geodesic

from landscape_cli import jax_settings
from landscape_cli.contracts import Data, Dataset, Examples
from landscape_cli.errors import UserError
from landscape_cli.functional import Functional
from landscape_cli.gauges.none import NoGauge
from landscape_cli.methods.straight import Straight
from landscape_cli.models.layers import connected, normalized
from landscape_cli.setup import Setup
from landscape_cli.trainers.adam import Adam

STATISTICS = 2 * 3  # mean and variance of three channels
LEVELS = (1.3, 1.0)


class Net(nn.Module):
    """One layer, batch norm, one layer."""

    norm: str = "batch"
    groups: int = 1
    outputs: int | None = None

    @nn.compact
    def __call__(self, inputs, train=False):
        """Outputs for every example."""
        hidden = connected(self, inputs, 0, 3)
        hidden = jnp.tanh(normalized(self, hidden, 0, train))
        return connected(self, hidden, 1, self.outputs or 1)


@dataclass(frozen=True)
class Blobs(Data):
    """Four clusters in the plane."""

    def load(self, key):
        draws = np.random.default_rng(0)
        labels = np.arange(32) % 4
        centers = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
        points = (centers[labels] + 0.1 * draws.normal(size=(32, 2))).astype(np.float32)
        split = Examples(points, labels.astype(np.int32), np.full(32, 1 / 32))
        return Dataset("blobs", split, split, classes=4)


def run(bn, metric="all", norm="batch"):
    setup = Setup(
        model=Net(norm), data=Blobs(), functional=Functional("cross_entropy"),
        trainer=Adam(steps=2000), method=Straight(), gauge=NoGauge(), levels=LEVELS,
        pairs=2, seed=0, bn=bn,
    )  # fmt: skip
    records = {record.name: record.data for record in Geodesic(metric=metric).run(setup)}
    return records["geodesics"], records["strings"]


@pytest.fixture(scope="module")
def runs():
    jax_settings.configure_jax("float64")  # wider fixtures run before the one that does it for all
    return {bn: run(bn) for bn in ("recompute", "interpolate", "coordinates")}


def test_ends_keep_their_energies(runs):
    rows, _ = runs["recompute"]
    assert (rows["state"] != "end not reached").all()
    for bn in ("interpolate", "coordinates"):
        other, strings = runs[bn]
        assert strings.sizes["param"] == runs["recompute"][1].sizes["param"] + STATISTICS
        for name, at in (("start_energy", 0), ("end_energy", -1)):
            np.testing.assert_allclose(other[name], rows[name], rtol=1e-12)
            np.testing.assert_allclose(other["profile"][..., at], rows[name], rtol=1e-5)


def test_lengths_count_statistics_where_they_are_coordinates(runs):
    chords = {bn: rows["chord"].values for bn, (rows, _) in runs.items()}
    np.testing.assert_allclose(chords["interpolate"], chords["recompute"], rtol=1e-12)
    assert (chords["coordinates"] > chords["recompute"]).all()
    by_weights = {bn: run(bn, "weights")[0]["chord"].values for bn in ("recompute", "interpolate")}
    np.testing.assert_allclose(by_weights["interpolate"], by_weights["recompute"], rtol=1e-12)
    assert (by_weights["recompute"] < chords["recompute"]).all()


def test_the_policies_differ_between_the_ends(runs):
    inside = {bn: rows["profile"].values[..., 1:-1] for bn, (rows, _) in runs.items()}
    np.testing.assert_allclose(inside["interpolate"], inside["coordinates"], rtol=1e-10)
    assert np.abs(inside["interpolate"] / inside["recompute"] - 1).max() > 1e-3


@pytest.mark.parametrize("bn", ["interpolate", "coordinates"])
def test_statistics_that_are_not_there_cannot_be_treated_in_a_way_of_their_own(bn):
    with pytest.raises(UserError, match=f"^bn={bn}: Net has no batch norm; leave it out$"):
        run(bn, norm="layer")
