"""`landscape tune`: time the ways to compute gradients of a model here, remember the fastest.

A candidate is a `Plan`: a strategy, examples and points at a time. It is timed as strings use it,
every worker computing, on a few blocks of examples. What is remembered is keyed by everything that
speed depends on (`Engine.case`), so that no other model, machine or version is led astray.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jax
import numpy as np

from landscape_cli.cache import cache_folder
from landscape_cli.core.energy import on_host
from landscape_cli.core.engine import Engine, Plan
from landscape_cli.core.surface import Surface
from landscape_cli.errors import UserError
from landscape_cli.files import write
from landscape_cli.measure import gradients, points_of, seconds_of
from landscape_cli.models.base import ClosedForm, model_surface
from landscape_cli.quantities import in_bytes, in_seconds
from landscape_cli.setup import Setup

BLOCKS = (8, 16, 32, 64, None)  # examples at a time; None: all
CHUNKS = (1, 8, 64)  # points at a time
TIMED = 4  # blocks of examples that a candidate is timed on
HOPELESS = 3.0  # times slower than the best: the strategy's other candidates are left out
NOISE = 1.03  # the rule's plan is kept where nothing is faster by more than this
STEADY = 0.3  # seconds that a candidate is timed for
BUDGET = 120.0  # seconds after which no further candidate is begun


@dataclass(frozen=True)
class Row:
    """One candidate and how it did."""

    plan: Plan
    seconds: float | None  # a gradient over all examples; None: left out
    note: str = ""  # why it was left out
    why: str = ""  # the same without numbers, of all that were left out alike


def store() -> Path:
    """The folder that holds the plans, a file each: of two at once none is lost."""
    return cache_folder("tune")


def _files() -> list[Path]:
    """What lies there; nothing where that cannot be read."""
    with suppress(OSError):
        return sorted(store().glob("*.json"))
    return []


def remembered() -> dict[str, Plan]:
    """The plans by their cases; files that hold no plan are passed over."""
    plans = {}
    for file in _files():
        with suppress(OSError, TypeError, KeyError, ValueError):
            plan = Plan(**json.loads(file.read_text(encoding="utf-8"))["plan"])
            Engine(strategy=plan.strategy, block=plan.block, chunk=plan.chunk)  # in range?
            plans[file.stem] = plan
    return plans


def remember(case: str, row: Row, what: str) -> None:
    """Keep a plan, in place of an older one for the same case."""
    entry = {"plan": asdict(row.plan), "of": what, "seconds": row.seconds}
    write(store() / f"{case}.json", json.dumps(entry, indent=1).encode())


def forget() -> int:
    """Delete the files; returns how many plans they held."""
    count = len(remembered())
    for file in _files():
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"{file}: cannot be deleted ({error.strerror})") from error
    return count


def tune(setup: Setup, limit: float) -> list[str]:
    """Time the candidates for a model and remember the fastest.

    Args:
        setup: model, data, functional, precision; `engine.memory` bounds the candidates.
        limit: seconds that the first gradients of a candidate may take.

    Returns:
        The lines of a table.

    Raises:
        UserError: there is nothing to choose, or nothing was fast enough.
    """
    model, engine = setup.model, setup.engine.recalling({})
    name = type(model).__name__
    if isinstance(model, ClosedForm):
        raise UserError(f"model: {name} is a closed form; there is nothing to tune")
    for key, open_value in (("strategy", "auto"), ("block", None), ("chunk", None)):
        if (given := getattr(engine, key)) != open_value:
            raise UserError(f"engine.{key}={given}: tune is to find it; leave it out")
    surface = model_surface(
        model, setup.dataset, setup.functional, setup.precision, engine=engine,
        reference=setup.bn_examples,
    )  # fmt: skip
    rule = Plan(surface.strategy, surface.chunk, surface.block)
    setup.progress.phase("engines")
    rows: list[Row] = []
    for row in candidates(surface, rule, engine.granted, limit):
        rows.append(row)
        setup.progress.update(len(rows), _words(row.plan))
    timed = [row for row in rows if row.seconds is not None]
    if not timed:
        counts = Counter(row.why for row in rows)
        why = ", ".join(f"{count} {why}" for why, count in counts.items())
        raise UserError(f"no candidate is left: {why}; nothing is remembered")
    winner = fastest(timed, rule)
    what = f"{name} on {setup.dataset.name}, {setup.precision}"
    case = engine.case(surface.energy, surface.data, surface.reference, surface.dtype)
    remember(case, winner, what)
    return [*table(rows, rule), f"remembered for {what}: {_words(winner.plan)}"]


def table(rows: list[Row], rule: Plan) -> list[str]:
    """A line for every candidate, the fastest first, those that were left out last."""
    lines = [f"{'engine':44} {'ms a gradient':>13} {'ratio':>6}"]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    for row in sorted(rows, key=lambda row: (row.seconds is None, row.seconds or 0.0)):
        name = _words(row.plan) + (" (by rule)" if row.plan == rule else "")
        if row.seconds is None:
            lines.append(f"{name:44} left out: {row.note}")
        else:
            lines.append(f"{name:44} {1e3 * row.seconds:13.4g} {row.seconds / min(seconds):6.2f}")
    return lines


def fastest(rows: list[Row], rule: Plan) -> Row:
    """The fastest row, or that of the rule where they differ by no more than noise."""
    best = min(rows, key=lambda row: row.seconds or 0.0)
    ruled = [row for row in rows if row.plan == rule]
    if ruled and (ruled[0].seconds or 0.0) <= NOISE * (best.seconds or 0.0):
        return ruled[0]
    return best


def candidates(surface: Surface, rule: Plan, room: float, limit: float) -> Iterator[Row]:
    """The rule's plan, then blocks of both strategies, then points of the best block.

    Args:
        surface: planned by the rule.
        rule: its plan.
        room: bytes that the activations of one program may take.
        limit: seconds that the first gradients of a candidate may take.
    """
    began = time.perf_counter()
    total = len(jax.tree.leaves(surface.data)[0])
    each = surface.work / total
    seen: dict[Plan, Row] = {}

    def tried(plan: Plan) -> Iterator[Row]:
        if plan not in seen and (not seen or time.perf_counter() - began < BUDGET):
            seen[plan] = _timed(surface, plan, each, room, limit)
            yield seen[plan]

    def best() -> float:
        return min([row.seconds for row in seen.values() if row.seconds is not None], default=0.0)

    yield from tried(rule)
    blocks = [*sorted({b for b in BLOCKS if b is not None and b < total}), None]
    known = ("loop",) if on_host(surface.data) else ("vmap", "loop")
    for strategy in sorted(known, key=lambda name: name != rule.strategy):
        for block in blocks:
            chunk = rule.chunk
            if strategy == "vmap":
                chunk = _fitting(chunk, surface.context + (block or total) * each, room)
            plan = Plan(strategy, chunk, block)
            yield from tried(plan)
            slow = plan in seen and (seen[plan].seconds or 0.0) > HOPELESS * best()
            if strategy != rule.strategy and slow:
                break
    lead = min(seen.values(), key=lambda row: row.seconds or float("inf")).plan
    if lead.strategy == "vmap":
        for chunk in CHUNKS:
            yield from tried(replace(lead, chunk=chunk))


def _fitting(rule: int, each: float, room: float) -> int:
    """Points at a time, of so many bytes: 8, or as many as by the rule, or as many as fit."""
    chunk = max(8, rule)
    while chunk > 1 and chunk * each > room:
        chunk //= 2
    return chunk


def _timed(surface: Surface, plan: Plan, each: float, room: float, limit: float) -> Row:
    """Time one candidate on a few blocks of examples."""
    total = len(jax.tree.leaves(surface.data)[0])
    block = plan.block or total
    chunk = plan.chunk if plan.strategy == "vmap" else 1
    size = each * block * chunk + surface.context * (chunk - 1)  # one point needs its own
    if size > room:
        note = f"needs {in_bytes(size)}, engine.memory grants {in_bytes(room)}"
        return Row(plan, None, note, f"would need more than {in_bytes(room)} (engine.memory)")
    count = min(total, TIMED * block)
    some = replace(
        surface,
        data=jax.tree.map(lambda leaf: leaf[:count], surface.data),
        loss=None,
        loss_data=None,
        strategy=plan.strategy,
        chunk=plan.chunk,
        block=plan.block,
    )
    points = points_of(some)
    evaluate = lambda: gradients(some, points)
    first, _ = seconds_of(evaluate, 0)
    if first > limit:
        note = f"its first gradients took {in_seconds(first)}"
        return Row(plan, None, note, f"took longer than --limit {limit:g}")
    seconds, _ = seconds_of(evaluate, 0)
    if seconds < 10 * STEADY:
        seconds = min(seconds, *seconds_of(evaluate, int(np.clip(STEADY / seconds, 1, 20))))
    return Row(plan, seconds / (count / total * points.shape[0] * points.shape[1]))


def _words(plan: Plan) -> str:
    points = 1 if plan.strategy == "loop" else plan.chunk
    return f"{plan.strategy}, {plan.block or 'all'} examples of {points} point{'s' * (points > 1)}"
