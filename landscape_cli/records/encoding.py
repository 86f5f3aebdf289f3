"""How a record becomes a netCDF file and comes back, and how numbers become strict JSON."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from landscape_cli.contracts import Record
from landscape_cli.errors import UserError
from landscape_cli.records.meanings import explain


def netcdf(record: Record) -> memoryview:
    """`record` as a netCDF-4 file that names the record's class.

    Made in memory, so that a full disk meets one plain write and never the HDF5 library; a view
    of it, because another copy may be large.
    """
    kind, record = type(record), record.gather()
    attributes = {key: attribute(value) for key, value in record.data.attrs.items()}
    attributes["record"] = f"{kind.__module__}.{kind.__qualname__}"
    data = record.data.copy()
    data.attrs = attributes
    explain(data, kind)
    return data.to_netcdf(engine="h5netcdf")


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: NumPy unwrapped, NaN and infinity as None.

    Example:
        >>> plain({"mean": np.float64("nan"), "n": np.int64(3)})
        {'mean': None, 'n': 3}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def json_text(value: Any) -> str:
    """Strict JSON, without NaN literals, that a person can read."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_record(file: Path) -> Record:
    """The record in `file`, of the class the file names.

    Raises:
        UserError: a damaged file, or a class of a module that is neither in `landscape_cli` nor
            imported already: a file from somewhere else must not choose what is imported.
    """
    from landscape_cli.records.reading import read_netcdf

    try:
        data = read_netcdf(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: not readable as netCDF ({first_line(error)})") from error
    if "level_unit" in data.attrs:  # as versions up to 0.1 called it
        data.attrs["unit"] = data.attrs.pop("level_unit")
    return _record_class(file, str(data.attrs.pop("record", "")))(data)


def record_class(file: Path) -> type[Record]:
    """The class of the record in `file`, whatever its size.

    Raises:
        UserError: as `read_record` does.
    """
    from landscape_cli.records.reading import read_attribute

    try:
        name = read_attribute(file, "record")
    except ValueError as error:
        raise UserError(f"{file}: not readable as netCDF ({first_line(error)})") from error
    return _record_class(file, name)


def attribute(value: Any) -> str | int | float:
    """What netCDF takes as an attribute: text and numbers as they are, the rest as JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return "" if value is None else json.dumps(plain(value), ensure_ascii=False)


def _record_class(file: Path, name: str) -> type[Record]:
    """The class `name`, if it is a record of this package or of a module imported already."""
    if not name:
        raise UserError(f"{file}: not a file of a run (it names no record)")
    module, _, attribute = name.rpartition(".")
    try:
        if module.startswith("landscape_cli."):
            importlib.import_module(module)
        found = vars(sys.modules[module])[attribute]  # no getattr, which may import as well
    except (ImportError, KeyError) as error:
        if module.startswith("landscape_cli."):
            text = f"{file}: this version of landscape has no record {name}"
        else:
            named = module if all(part.isidentifier() for part in module.split(".")) else "NAME"
            text = (
                f"{file}: its record class {name!r} is not one of landscape_cli; if you trust the "
                f"plug-in, name your folder with --config-dir DIR or it with --plugin {named}"
            )
        raise UserError(text) from error
    if not (isinstance(found, type) and issubclass(found, Record)):
        raise UserError(f"{file}: {name} is not a record")
    return found


def first_line(error: BaseException) -> str:
    """What `error` says, on one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
