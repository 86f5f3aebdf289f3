"""The bytes of a netCDF-4 file as labelled arrays; whatever is damaged says so once."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import h5netcdf
import xarray
from xarray.backends import H5NetCDFStore


class File(h5netcdf.File):
    """An open file that can be given up while it is being opened.

    Where the first attribute cannot be read, h5netcdf has not yet set what its `__del__` asks
    for, and Python would print that as an exception it ignored.
    """

    _writable = False


def read_netcdf(content: bytes) -> xarray.Dataset:
    """All of a file, in memory.

    Raises:
        ValueError: it is damaged or no such file, of which the libraries complain in many ways.
    """
    try:
        with File(BytesIO(content), decode_vlen_strings=True) as file:
            return xarray.open_dataset(H5NetCDFStore(file)).load()
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


def read_attribute(file: Path, name: str) -> str:
    """One attribute of a file, of which no more is read; empty: it has none.

    Raises:
        ValueError: as `read_netcdf` does.
    """
    try:
        with File(file, decode_vlen_strings=True) as opened:
            return str(opened.attrs.get(name, ""))
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error
