"""Where a result came from: versions, commit, device, seed, command, references."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LIBRARIES = ("landscape-cli", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "hydra-core")


def describe(
    experiment: str,
    words: Iterable[str],
    seed: int,
    parts: Mapping[str, Any],
    choices: Mapping[str, str],
) -> dict[str, Any]:
    """The manifest as known before work begins; the run folder adds how it went.

    Args:
        experiment: its name.
        words: what was typed besides.
        seed: of the run.
        parts: by kind, or by kind and name.
        choices: the name of every part as it was chosen, by Hydra's keys: `model`,
            `method@methods.neb`.
    """
    parts = flat(parts)
    chosen = {key.rpartition("@")[2]: name for key, name in choices.items()}
    return {
        "experiment": experiment,
        "command": shlex.join(["landscape", "run", experiment, *words]),
        "seed": seed,
        "chosen": {
            kind: name for kind, name in chosen.items() if kind in parts or kind == "budget"
        },
        "parts": {kind: repr_line(part) for kind, part in parts.items()},
        "versions": versions(),
        "git_commit": git_commit(Path(__file__).parents[1]),
        "device": device(),
        "references": references(parts.values()),
    }


def flat(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts by key, those of a mapping as `methods.neb`; what was not chosen left out."""
    found: dict[str, Any] = {}
    for key, part in parts.items():
        inner = (
            {f"{key}.{name}": each for name, each in part.items()}
            if isinstance(part, Mapping)
            else {key: part}
        )
        found |= {name: each for name, each in inner.items() if each is not None}
    return found


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers."""
    found = {"python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in LIBRARIES}


def device() -> dict[str, Any]:
    """What is computed on."""
    from landscape_cli.core.threads import local_devices

    devices = local_devices()
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "count": len(devices),
        "machine": platform.platform(),
    }


def references(parts: Iterable[Any]) -> list[str]:
    """The BibTeX entries of the parts, each key once."""
    texts = [getattr(type(part), "reference", "") for part in parts]
    entries = [entry.strip() for text in texts for entry in re.split(r"(?m)^(?=@)", text)]
    found: dict[str, str] = {}
    for entry in filter(None, entries):
        found.setdefault(entry.partition(",")[0], entry)
    return list(found.values())


def repr_line(part: Any) -> str:
    """A part on one line; linen modules print themselves on many."""
    return " ".join(repr(part).replace("# attributes", "").split())


def git_commit(checkout: Path) -> str | None:
    """The commit of a checkout, with `+changes` if files differ; None for a wheel."""
    if not (checkout / ".git").exists():
        return None
    git = ["git", "-C", str(checkout)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        status = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if status.stdout.strip() else "")
