"""Strings, level sets and geodesics on neural-network loss surfaces.

    import landscape_cli as landscape
    result = landscape.geodesic(energy, start, end, level=0.1)
    result = landscape.connect(energy, start, end, method="auto_neb")
    energy = landscape.surface(module, inputs, targets, loss="cross_entropy")
    result = landscape.load("ring.nc")
    params_b = landscape.align(module, params_a, params_b, inputs)
    variables = landscape.unravel(strings, bead)

Importing the package does not import JAX; using the door does.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape_cli.alignment import align
    from landscape_cli.connection import Connection, load
    from landscape_cli.core.engine import Engine
    from landscape_cli.door import connect, geodesic
    from landscape_cli.module_energy import surface
    from landscape_cli.records.layout import unravel

__version__ = version("landscape-cli")
__all__ = [
    "Connection", "Engine", "__version__", "align", "connect", "geodesic", "load",
    "surface", "unravel",
]  # fmt: skip


def __dir__() -> list[str]:
    """With what is loaded on first use."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Load the library door on first use, so that the command line starts without JAX."""
    if name in ("connect", "geodesic"):
        from landscape_cli import door

        return getattr(door, name)
    if name in ("Connection", "load"):
        from landscape_cli import connection

        return getattr(connection, name)
    if name == "Engine":
        from landscape_cli.core.engine import Engine

        return Engine
    if name == "surface":
        from landscape_cli.module_energy import surface

        return surface
    if name == "align":
        from landscape_cli.alignment import align

        return align
    if name == "unravel":
        from landscape_cli.records.layout import unravel

        return unravel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
