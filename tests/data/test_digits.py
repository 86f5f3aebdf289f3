"""scikit-learn's digits: real images, stratified split, subsets."""

import sys

import jax
import numpy as np
import pytest

from landscape_cli.data.digits import Digits
from landscape_cli.errors import UserError

KEY = jax.random.key(0)


@pytest.fixture
def digits():
    pytest.importorskip("sklearn.datasets")


@pytest.mark.usefixtures("digits")
def test_whole_set():
    data = Digits().load(KEY)
    assert data.train.inputs.shape == (1437, 8, 8, 1) and len(data.test) == 360
    assert data.classes == data.outputs == 10
    assert data.train.inputs.dtype == np.float32 and data.train.targets.dtype == np.int32
    assert data.train.inputs.min() == 0 and data.train.inputs.max() == 1
    assert data.train.weights.sum() == pytest.approx(1, abs=1e-12)
    shares = np.bincount(np.concatenate([data.train.targets, data.test.targets])) * 360 / 1797
    assert np.abs(np.bincount(data.test.targets) - shares).max() <= 1


@pytest.mark.usefixtures("digits")
def test_classes_are_learnable_and_splits_disjoint():
    data = Digits().load(KEY)
    train, test = (s.inputs.reshape(len(s), -1) for s in (data.train, data.test))
    distances = ((test[:, None] - train[None]) ** 2).sum(-1)
    guesses = data.train.targets[distances.argmin(1)]
    assert (guesses == data.test.targets).mean() > 0.95  # nearest neighbor: 98 to 99 %
    assert (distances.min(1) > 0).all()


@pytest.mark.usefixtures("digits")
def test_subsets_are_stratified_resized_and_deterministic():
    part = Digits(train=200, test=50, size=14)
    data, again = part.load(KEY), part.load(KEY)
    assert data.train.inputs.shape == (200, 14, 14, 1) and data.test.inputs.shape[0] == 50
    assert np.bincount(data.train.targets).min() >= 19
    np.testing.assert_array_equal(data.train.inputs, again.train.inputs)
    other = part.load(jax.random.key(1))
    assert not np.array_equal(data.train.inputs, other.train.inputs)


@pytest.mark.usefixtures("digits")
def test_standardize_uses_the_training_split():
    data = Digits(standardize=True).load(KEY)
    assert data.train.inputs.dtype == np.float32
    assert data.train.inputs.mean() == pytest.approx(0, abs=1e-5)
    assert data.train.inputs.std() == pytest.approx(1, abs=1e-5)
    assert 0 < abs(data.test.inputs.mean()) < 0.1


@pytest.mark.usefixtures("digits")
def test_more_than_there_are_is_refused():
    with pytest.raises(UserError, match=r"data\.train=1500: digits has 1437 training examples"):
        Digits(train=1500).load(KEY)


def test_missing_scikit_learn_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UserError, match=r"pip install 'landscape-cli\[digits\]'"):
        Digits().load(KEY)


def test_bad_settings():
    for settings in ({"train": 0}, {"test": -1}, {"size": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
            Digits(**settings)
