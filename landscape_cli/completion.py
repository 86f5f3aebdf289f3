"""What the shell offers for a word being typed: verbs, experiments, flags; the rest is Hydra's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from landscape_cli import listing
from landscape_cli.flags import run_parser, tune_parser, with_experiment

PARSERS = {"run": run_parser, "sweep": run_parser, "tune": lambda verb: tune_parser()}


class Question(NamedTuple):
    """What Hydra is to be asked.

    Attributes:
        line: the command line without what only we understand.
        flags: of Hydra, besides.
    """

    line: str
    flags: list[str]


def offered(line: str, verbs: Iterable[str]) -> list[str] | Question:
    """The words to choose from, none where the shell completes file names; or whom to ask.

    Args:
        line: typed so far, from `landscape` to the beginning of the next word.
        verbs: of the command.
    """
    verb, *words = line.split(" ")[1:] or [""]
    if not words:
        return list(verbs)
    *before, last = words
    if verb not in PARSERS:
        return list(listing.KINDS) if verb == "list" else []
    parser = PARSERS[verb](verb)
    if last.startswith("-"):
        return parser.flags
    chosen = parser.parse_intermixed_args([word for word in before if word])
    if verb == "tune":
        experiment, *given = with_experiment(chosen.words)
    else:
        experiment, given = chosen.experiment, chosen.overrides
    if experiment is None:
        return list(listing.options("experiment", listing.conf_folders(chosen.config_dir)))
    flags = ["--config-dir", chosen.config_dir] if chosen.config_dir else []
    # Hydra knows no verbs and would read `run` as an override.
    return Question(" ".join(["landscape", f"experiment={experiment}", *given, last]), flags)
