"""`landscape doctor`: what this machine offers a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from omegaconf import OmegaConf

from landscape_cli import config, listing, manifest, tune
from landscape_cli.cache import cache_folder
from landscape_cli.data.files import ImageFiles
from landscape_cli.errors import UserError
from landscape_cli.jax_settings import configure_jax


def report() -> Iterator[str]:
    """Lines about versions, devices, data and the compilation cache."""
    for name, number in manifest.versions().items():
        yield f"{name}: {number}"
    try:
        configure_jax("float64")
        for name, value in manifest.device().items():
            yield f"device {name}: {value}"
    except UserError as error:
        yield f"device: {error}"
    yield f"git commit: {manifest.git_commit(Path(__file__).parents[1]) or 'not a checkout'}"
    yield from data()
    yield from cache()
    yield f"tuned: {len(tune.remembered())} plans in {tune.store()} (`landscape tune --forget`)"


def data() -> Iterator[str]:
    """What is where `LANDSCAPE_DATA` points, and the data sets found there or in the cache."""
    place = os.environ.get("LANDSCAPE_DATA")
    if not place:
        yield "data: LANDSCAPE_DATA is not set; files are looked for where data.dir says"
    else:
        try:
            inside = Path(place).expanduser().iterdir()
            names = sorted(path.name for path in inside if path.is_dir())
        except OSError as error:
            yield f"data: LANDSCAPE_DATA={place} cannot be read ({error.strerror})"
            return
        yield f"data: {place} holds {', '.join(names) or 'nothing'}"
    yield from data_sets(place or None)


def data_sets(place: str | None) -> Iterator[str]:
    """Where every data set that is read from files is; its content is not looked at."""
    for name, path in listing.options("data", [listing.conf_folder()]).items():
        target = OmegaConf.select(OmegaConf.load(path), "_target_")
        part = config.find_class(target, "data", name, ()) if target else None
        if part and issubclass(part, ImageFiles):
            try:
                files = part(dir=place).find()
                found = os.path.commonpath(files.values()) if files else "not on this machine"
            except UserError as error:
                found = str(error)
            yield f"data={name}: {found}"


def cache() -> Iterator[str]:
    """The compilation cache: where, how much, and whether it can be written."""
    folder = cache_folder("jax")
    within = folder.glob("*") if os.access(folder, os.R_OK | os.X_OK) else ()
    files = [path for path in within if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    yield f"cache: {folder}, {len(files)} files, {size:.0f} MB (`make clean-cache` empties it)"
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not os.access(existing, os.W_OK):
        yield f"cache: {existing} cannot be written, so every run compiles anew"
