"""All of JAX's switches, in one place."""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from pathlib import Path

from landscape_cli.cache import cache_folder
from landscape_cli.errors import UserError
from landscape_cli.files import try_writing

# XLA orders the operations of a CPU program so that several may run at once. Here a thread a core
# runs programs of its own, and gradients are up to a quarter slower in that order.
SCHEDULER = "xla_cpu_enable_concurrency_optimized_scheduler"


@cache
def kept_programs(folder: Path) -> str | None:
    """The folder of compiled programs; says once where none can be kept, as JAX would of each."""
    try:
        try_writing(folder)
        return str(folder)
    except OSError as error:
        text = f"{folder} cannot be written ({error.strerror}), so every run compiles anew"
        print(f"landscape: {text}; LANDSCAPE_CACHE names another folder", file=sys.stderr)
        return None


def configure_jax(precision: str) -> None:
    """Set all of JAX's switches, for every job: they outlive a job of a multirun.

    Raises:
        UserError: `JAX_PLATFORMS` asks for devices that are not there.
    """
    import jax
    from jax.version import __version_info__

    flags = os.environ.get("XLA_FLAGS", "")
    # XLA ends a process whose flag it does not know: only for versions that were tried.
    if __version_info__ < (0, 11) and SCHEDULER not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --{SCHEDULER}=false".strip()
    jax.config.update("jax_enable_x64", precision == "float64")
    jax.config.update("jax_compilation_cache_dir", kept_programs(cache_folder("jax")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    logging.getLogger("jax").setLevel(logging.WARNING)  # else it tells of every backend it lacks
    asked = os.environ.get("JAX_PLATFORMS")
    try:
        jax.devices()
    except (AssertionError, RuntimeError) as error:  # the first of "cuda" without a GPU
        if not asked:
            raise
        raise UserError(
            f"JAX_PLATFORMS={asked}: JAX finds no such device, or support for it is not "
            "installed; unset it to take what is there"
        ) from error
