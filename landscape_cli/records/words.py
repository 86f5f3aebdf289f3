"""A run in words, for the terminal: how it ended, settings, headline numbers, references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from landscape_cli.quantities import in_seconds


def in_words(manifest: dict[str, Any], config: dict[str, Any], summary: dict[str, Any]) -> str:
    """The text of `landscape show`, from what the files of a run folder hold."""
    results = [_block(name, _numbers(numbers)) for name, numbers in summary.items()]
    references = [line for entry in manifest.get("references", []) for line in entry.splitlines()]
    blocks = [
        _headline(manifest),
        _block("settings", _settings(config, manifest)),
        *results,
        _block("references", references),
    ]
    return "\n".join(line for block in blocks for line in block)


def in_brief(manifests: dict[str, dict[str, Any]]) -> str:
    """The runs of a multirun: how each ended, its command and what it found."""
    return "\n".join(
        line
        for run, manifest in manifests.items()
        for line in (f"run: {run}", *[f"  {line}" for line in _headline(manifest)])
    )


def _headline(manifest: dict[str, Any]) -> list[str]:
    """The experiment and how it ended, the command, what was found, the error."""
    seconds = manifest.get("seconds")
    lasted = f" in {in_seconds(seconds)}" if isinstance(seconds, int | float) else ""
    title = f"{manifest.get('experiment', 'run')}: {manifest.get('status', 'unknown')}{lasted}"
    lines = [f"{title}, started {manifest.get('started', 'at an unknown time')}"]
    lines += [f"  {manifest['command']}"] if manifest.get("command") else []
    lines += [f"  {line}" for line in manifest.get("found", [])]
    return lines + ([f"  {manifest['error']}"] if manifest.get("error") else [])


def _block(title: str, lines: Sequence[str]) -> list[str]:
    """A title with indented lines; nothing where there are none."""
    return ["", title, *[f"  {line}" for line in lines]] if lines else []


def _settings(config: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """Run-wide settings, then one line for each part, then machine and versions."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        inner = list(value.items()) if isinstance(value, dict) else []
        several = {f"{name}.{key}": each for key, each in inner if isinstance(each, dict)}
        found |= several if len(several) == len(inner) > 0 else {name: value}
    chosen = manifest.get("chosen") or {}
    lines = [(name, _part(value, chosen.get(name, ""))) for name, value in found.items()]
    lines += [(name, _fields(manifest.get(name) or {})) for name in ("device", "versions")]
    width = max((len(name) for name, _ in lines), default=0) + 2
    return [f"{name:<{width}}{value}" for name, value in lines if value]


def _part(value: Any, chosen: str) -> str:
    """`cubic_tanh: MLP widths=[4, 4]`; a setting that is no part as it is."""
    if not isinstance(value, dict):
        return str(value)
    kind = str(value.get("_target_", "")).rpartition(".")[2]
    return " ".join(filter(None, [f"{chosen}:" if chosen else "", kind, _fields(value)]))


def _fields(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={item}" for key, item in values.items() if key != "_target_")


def _numbers(summary: dict[str, Any]) -> list[str]:
    """Headline numbers: plain ones first, then a table of those named `what@row`."""
    single = {name: value for name, value in summary.items() if "@" not in name}
    width = max(map(len, single), default=0) + 2
    lines = [f"{name:<{width}}{cell(value)}" for name, value in single.items()]
    places = list(dict.fromkeys(name.split("@")[1] for name in summary if "@" in name))
    columns = list(dict.fromkeys(name.split("@")[0] for name in summary if "@" in name))
    columns = [c for c in columns if any(summary.get(f"{c}@{at}") is not None for at in places)]
    rows = [[place(at)[1], *[cell(summary.get(f"{c}@{at}")) for c in columns]] for at in places]
    return lines + (aligned([[place(places[0])[0], *columns], *rows]) if rows else [])


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table of words, its columns under one another."""
    widths = [max(map(len, column)) + 2 for column in zip(*table, strict=True)]
    padded = [[f"{word:<{w}}" for word, w in zip(row, widths, strict=True)] for row in table]
    return ["".join(row).rstrip() for row in padded]


def place(text: str) -> tuple[str, str]:
    """What stands after the `@` of a number: names of its row, and their values.

    Example:
        >>> place("0.1"), place("method=neb, gauge=none")
        (('level', '0.1'), ('method, gauge', 'neb, none'))
    """
    if "=" not in text:
        return "level", text
    names, values = zip(*[part.split("=", 1) for part in text.split(", ")], strict=True)
    return ", ".join(names), ", ".join(values)


def cell(value: Any) -> str:
    """A number with four digits; a dash for what is not there."""
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
