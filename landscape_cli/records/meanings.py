"""What variables of a file are, in words and with units: attributes `long_name` and `units`.

Every record has a table of its own, `meanings`; what several records hold is explained here. The
unit of an energy is that of the functional, which a record keeps in its attributes.
"""

from __future__ import annotations

import xarray

from landscape_cli.contracts import Record

ENERGY = "unit of the functional"  # stands for it in the tables
NONE = ""  # names and indices, and lengths: parameters have no unit
ONE = "1"  # counts, and numbers relative to others
STATE_TYPE = "<U24"  # wide enough for every state: NumPy cuts longer words off without a word
SECONDS = "s"  # spelled out, some versions of xarray read numbers as spans of time

SHARED = {
    "pair": ("which pair of networks", NONE),
    "network": ("which network", NONE),
    "level": ("energy level λ", ENERGY),
    "gauge": ("how the second network was moved to a symmetric copy", NONE),
    "split": ("examples that energies are of", NONE),
    "t": ("position on the string: part of its length before the point", ONE),
    "start_network": ("network at the start; -1: none was trained", NONE),
    "end_network": ("network at the end; -1: none was trained", NONE),
    "connected": ("whether the string stays inside the level set", NONE),
    "normalized_length": ("length of the string over the distance of its ends", ONE),
    "chord": ("distance of the two ends, by the metric of the length", NONE),
    "barrier": ("highest energy on the path less the mean of those of its two ends", ENERGY),
    "peak": ("highest energy of the dense check of the string", ENERGY),
    "kkt_residual": ("pull of the string that no wall carries, over the whole pull", ONE),
    "length_change": ("relative change of the length from half the beads", ONE),
    "gradient_evaluations": ("gradients spent", ONE),
    "energy_evaluations": ("energies spent", ONE),
    "seconds": ("share of the wall time", SECONDS),
    "bead_count": ("beads of the string, ends included; 0: no string", ONE),
}


def shared(*names: str) -> dict[str, tuple[str, str]]:
    """The entries of `SHARED` that a record has."""
    return {name: SHARED[name] for name in names}


def explain(data: xarray.Dataset, kind: type[Record]) -> None:
    """Write what `kind.meanings` says of the variables of `data` into their attributes."""
    of_energies = str(data.attrs.get("unit") or NONE)
    for name in kind.meanings.keys() & data.variables.keys():
        words, unit = kind.meanings[name]
        unit = of_energies if unit == ENERGY else unit
        data[name].attrs |= {"long_name": words} | ({"units": unit} if unit else {})
