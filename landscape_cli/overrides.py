"""What the user typed after the experiment, refused where Hydra would not say it in a line.

Hydra reads `key=value`, `+key=value` and `~key`; here are the words that it misreads, answers
with a traceback, or takes though the experiment makes nothing of them.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from landscape_cli import listing
from landscape_cli.errors import UserError, nearest


def spelled_out(override: str, folders: list[Path]) -> str:
    """`warm_start=bezier`, a choice among methods, as Hydra writes it."""
    key, _, value = override.partition("=")
    if key != "warm_start":
        return override
    if value == "null":
        return "~method@warm_start"
    known = list(listing.options("method", folders))
    for name in value.split(","):
        if name not in known:
            hint = nearest(name, known)
            allowed = ", ".join([*known, "null"])
            raise UserError(f"{override}: no such method; choose from {allowed}{hint}")
    return f"method@{override}"


def check(words: Iterable[str], folders: list[Path], several: bool = False) -> None:
    """Refuse what Hydra would misread, pass over or answer with a traceback.

    Args:
        words: overrides as typed.
        folders: of options.
        several: they are of a multirun.

    Raises:
        UserError: a choice that is no name, a pattern or range with nothing in it, a part or
            setting that every run needs removed, a setting of what has none, no folder for the
            run, that of a single run for several, a second experiment.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    for word in words:
        try:
            override = parser.parse_override(word)
        except HydraException:
            continue  # Hydra comes to it, and says it
        key = override.key_or_group
        if key == "hydra.run.dir" and several:
            raise UserError(f"{word}: is of a single run; with -m choose hydra.sweep.dir")
        if not key:
            raise UserError(f"{word}: write key=value")
        if key == "experiment":
            raise UserError(f"{word}: the experiment is the first word, without a key")
        if override.is_delete():
            _check_removal(word, key, override.package)
        else:
            if override.is_range_sweep() and not list(override.sweep_iterator()):
                raise UserError(f"{word}: has no values, so there would be no jobs")
            _check_choice(word, key, override.value(), folders)
            _check_setting(word, key, override.value())


def check_used(words: Iterable[str], experiment: str, unused: Mapping[str, str]) -> None:
    """Refuse what the user typed and the experiment never looks at.

    Args:
        words: overrides as typed; what is removed is not asked for.
        experiment: its name.
        unused: see `contracts.Experiment`.

    Raises:
        UserError: a word chooses or sets something of that kind.
    """
    for word in words:
        key = word.lstrip("+").partition("=")[0].rpartition("@")[2]
        for name, why in unused.items():
            if not word.startswith("~") and (key == name or key.startswith(f"{name}.")):
                typed = word.replace("method@warm_start=", "warm_start=", 1)
                raise UserError(f"{typed}: {experiment} takes no {name}; {why}")


def _check_removal(word: str, key: str, package: str | None) -> None:
    """Every run needs its parts and run-wide settings, except those chosen besides."""
    from landscape_cli import config

    if package is None and key in (*config.KINDS, *_run_wide(), "budget"):
        raise UserError(f"{word}: cannot be removed, every run needs it; choose another value")


def _check_choice(word: str, group: str, value: Any, folders: list[Path]) -> None:
    """An option is chosen by name; a pattern must match, or Hydra would run no job at all."""
    from hydra.core.override_parser.types import ChoiceSweep, Glob, QuotedString

    names = list(listing.options(group, folders))
    if not names:
        return
    if isinstance(value, Glob) and not value.filter(names):
        raise UserError(f"{word}: matches nothing; choose from {', '.join(names)}")
    chosen = value.list if isinstance(value, ChoiceSweep) else [value]
    if not all(isinstance(each, str | QuotedString | list | Glob) for each in chosen):
        raise UserError(f"{word}: choose from {', '.join(names)}")


def _check_setting(word: str, key: str, value: Any) -> None:
    """A run-wide setting is a number, a text or a list, and holds no settings of its own."""
    from landscape_cli.schema import describe

    if key in ("hydra.run.dir", "hydra.sweep.dir") and not str(value or "").strip():
        raise UserError(f"{word}: name a folder")  # Hydra would take the current one
    name, _, inner = key.partition(".")
    if (hint := _run_wide().get(name)) and (inner or isinstance(value, dict)):
        raise UserError(f"{word}: {name} is {describe(hint)}, without settings of its own")


def _run_wide() -> dict[str, Any]:
    """The types of the run-wide settings, by name."""
    from landscape_cli import config

    return typing.get_type_hints(config.Settings)
