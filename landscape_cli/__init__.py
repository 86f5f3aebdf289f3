"""Strings, level sets and geodesics on neural-network loss surfaces.

    import landscape_cli as landscape
    result = landscape.geodesic(energy, start, end, level=0.1)

Importing the package does not import JAX; using the door does.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape_cli.door import Geodesic, geodesic

__version__ = version("landscape-cli")
__all__ = ["Geodesic", "__version__", "geodesic"]


def __getattr__(name: str) -> Any:
    """Load the library door on first use, so that the command line starts without JAX."""
    if name in ("geodesic", "Geodesic"):
        from landscape_cli import door

        return getattr(door, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
