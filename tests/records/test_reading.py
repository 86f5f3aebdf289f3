"""A damaged file is refused by what is raised, and nothing else is said."""

import gc
import sys
from unittest import mock

import numpy as np
import pytest
import xarray

from landscape_cli.records.reading import read_netcdf


@pytest.fixture(scope="module")
def content():
    data = xarray.Dataset({"value": ("pair", np.arange(3.0)), "word": ("pair", ["a", "b", "c"])})
    return bytes(data.assign_attrs(record="a.B").to_netcdf(engine="h5netcdf"))


def test_what_was_written_comes_back(content):
    data = read_netcdf(content)
    assert data.attrs == {"record": "a.B"}
    assert data.word.values.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(data.value, np.arange(3.0))


def test_an_error_without_words_says_its_kind(content, monkeypatch):
    """Libraries assert, and say nothing."""
    monkeypatch.setattr(xarray, "open_dataset", mock.Mock(side_effect=AssertionError))
    with pytest.raises(ValueError, match=r"^AssertionError$"):
        read_netcdf(content)


def test_flipped_bits_are_one_error(content, monkeypatch):
    """An attribute that cannot be read left a file half open, of which Python complained later."""
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    refused = 0
    for place in range(0, len(content), len(content) // 150):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        try:
            read_netcdf(bytes(damaged))
        except ValueError:
            refused += 1
    gc.collect()
    assert refused and not ignored
