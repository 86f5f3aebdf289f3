"""The flags of the command, and how they become Hydra's."""

from __future__ import annotations

import argparse

from landscape_cli.errors import UserError, nearest

INFO = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]  # Hydra's choices


class Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are `UserError`s: one line, exit code 2."""

    def __init__(self, **settings) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings
        )

    @property
    def flags(self) -> list[str]:
        """All of them in their long form."""
        return [flag for flag in self._option_string_actions if flag.startswith("--")]

    def error(self, message: str):
        """Raise instead of printing the usage."""
        _, unknown, words = message.partition("unrecognized arguments: ")
        word = words.split(" ")[0].split("=")[0]
        hint = nearest(word, self._option_string_actions) if unknown else ""
        raise UserError(f"{message}{hint}; see `{self.prog} --help`")


def run_parser(verb: str) -> Parser:
    """The flags of `run` and `sweep`: Hydra's own, in any order."""
    parser = Parser(
        prog=f"landscape {verb}",
        add_help=False,
        usage=f"landscape {verb} <experiment> [flags] [group=option ...] [key=value ...]",
        description="`landscape run <experiment> --help` lists every group and setting.",
    )
    add = parser.add_argument
    add("experiment", nargs="?", help=argparse.SUPPRESS)
    add("overrides", nargs="*", help=argparse.SUPPRESS)
    add("-h", "--help", action="store_true", help="this text, or an experiment's settings")
    add("-m", "--multirun", action="store_true", help="run every combination of key=a,b,c")
    add("-c", "--cfg", choices=["job", "hydra", "all"], help="print the configuration, do not run")
    add("-p", "--package", help="with --cfg: only this part, e.g. -p model")
    add("--resolve", action="store_true", help="with --cfg: resolve ${...}")
    add("--info", nargs="?", const="all", choices=INFO, help="how the configuration was composed")
    add("--dry-run", action="store_true", help="print what the run would need, do not run")
    add("--config-dir", metavar="DIR", help="a folder with your own YAML files")
    add("--debug", action="store_true", help="show a traceback for every error")
    return parser


def tune_parser() -> Parser:
    """The flags of `tune`."""
    parser = Parser(
        prog="landscape tune",
        usage="landscape tune [experiment] [flags] [group=option ...] [key=value ...]",
        description=(
            "Time the ways to compute gradients of a model on this machine; runs of the same "
            "model,\ndata, precision and engine settings then use the fastest."
        ),
    )
    add = parser.add_argument
    add("words", nargs="*", help="as of `landscape run`, e.g. model=cifar_resnet; else geodesic")
    add("--forget", action="store_true", help="forget everything that was remembered")
    add(
        "--limit",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="leave out what takes longer for its first gradients, compiling included (20)",
    )
    add("--config-dir", metavar="DIR", help="a folder with your own YAML files")
    return parser


def with_experiment(words: list[str]) -> list[str]:
    """The words of `tune`, which may leave out the experiment, with it in the first place."""
    named = bool(words) and words[0].isidentifier()
    return words if named else ["geodesic", *words]


def hydra_flags(chosen: argparse.Namespace, multirun: bool) -> list[str]:
    """The flags to hand on. Never --experimental-rerun, which unpickles a file."""
    if chosen.resolve and not (chosen.cfg or chosen.help):
        raise UserError("--resolve goes with --cfg")
    if chosen.package and not chosen.cfg:
        raise UserError("--package goes with --cfg")
    if chosen.dry_run and (chosen.cfg or chosen.help or chosen.info):
        raise UserError("--dry-run goes without --cfg, --info and --help")
    if chosen.dry_run and multirun:
        raise UserError("--dry-run takes one run at a time; leave out -m")
    if multirun and (chosen.cfg or chosen.info):
        shown = "--cfg" if chosen.cfg else "--info"
        raise UserError(f"{shown} shows one run at a time; leave out -m")
    flags = ["--help"] if chosen.help else []
    flags += ["--multirun"] if multirun and not chosen.help else []
    flags += ["--resolve"] if chosen.resolve else []
    for flag in ("cfg", "package", "info"):
        value = getattr(chosen, flag)
        flags += [f"--{flag}", value] if value else []
    flags += ["--config-dir", chosen.config_dir] if chosen.config_dir else []
    return flags
