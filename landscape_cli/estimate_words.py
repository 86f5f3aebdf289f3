"""What is printed of an estimate: one line at the start of a run, a table for `--dry-run`."""

from __future__ import annotations

import numpy as np

from landscape_cli.core.threads import workers
from landscape_cli.estimate import CUT, Estimate, Memory, Timing, data_bytes
from landscape_cli.quantities import in_bytes, in_seconds


def line(estimate: Estimate, memory: Memory, timing: Timing) -> str:
    """The estimate on one line."""
    count = estimate.surface.dimension
    said = [
        f"estimate: {count:,} parameters, {estimate.examples:,} examples",
        f"engine {estimate.engine}",
        f"memory {of_memory(estimate, memory)}",
    ]
    if estimate.networks:
        said.append(f"training {of_training(estimate)}")
    if estimate.known:
        said.append(f"{estimate.strings:,} strings, gradients {of_gradients(estimate)}")
    return "; ".join([*said, *of_time(estimate, timing)])


def table(estimate: Estimate, memory: Memory, timing: Timing) -> list[str]:
    """The estimate in aligned lines."""
    surface, costs = estimate.surface, [cost for _, cost in estimate.known]
    data = f"{estimate.examples:,} examples, {in_bytes(CUT * data_bytes(surface))}"
    programs = f"{in_bytes(estimate.activations)} a program, {workers()} at a time"
    each = f"gradient {in_seconds(timing.gradient)}, energy {in_seconds(timing.energy)}"
    rows = {
        "parameters": f"{surface.dimension:,} ({np.dtype(surface.dtype)})",
        "data": data,
        "engine": estimate.engine,
        "activations": programs,
    }
    if estimate.statistics:
        held = f"{in_bytes(estimate.statistics)} more a program"
        rows["batch norm"] = f"{held}, of all examples of the statistics"
    if estimate.networks:
        rows["training"] = of_training(estimate)
    if costs:
        moved, kept = max(cost.bytes for cost in costs), sum(cost.kept for cost in costs)
        held = f"{in_bytes(moved)} while they are moved, {in_bytes(kept)} kept"
        rows["strings"] = f"{estimate.strings:,}, {held}"
    rows["memory"] = of_memory(estimate, memory)
    if costs:
        rows["gradients"] = of_gradients(estimate)
    rows["speed"] = f"{each}; compiled in {in_seconds(timing.compiling)}"
    if times := of_time(estimate, timing):
        rows["time"] = "; ".join(times)
    return [f"{name:12} {text}" for name, text in rows.items()]


def of_memory(estimate: Estimate, memory: Memory) -> str:
    """`0.4 GiB needed at most, 12.3 GiB free`."""
    needed, free, _ = estimate.need(memory)
    said = "unknown" if free is None else in_bytes(free)
    doubt = "" if free is None or needed <= free else ": it may not fit"
    return f"{in_bytes(needed)} needed at most, {said} free{doubt}"


def of_training(estimate: Estimate) -> str:
    """`32 networks through 8 levels, 20,000 steps at most`."""
    again = f"{estimate.trainings:,} times " if estimate.trainings > 1 else ""
    levels = f"{estimate.levels} level{'s' * (estimate.levels > 1)}"
    steps = "" if estimate.steps is None else f", {estimate.steps:,} steps at most"
    return f"{again}{estimate.networks:,} networks through {levels}{steps}"


def of_gradients(estimate: Estimate) -> str:
    """`165,500 a string on its usual way, 6,556,000 at most`; of all methods together."""
    known = estimate.counted
    spent = [np.sum([(c.gradients, c.most) for c in joining.costs], axis=0) for joining in known]
    usual, most = np.average(spent, axis=0, weights=[joining.strings for joining in known])
    if not most:
        return "none"
    several = len(np.unique(spent, axis=0)) > 1
    mean = " (mean of all methods)" if several else ""
    return f"{usual:,.0f} a string on its usual way, {most:,.0f} at most{mean}"


def of_time(estimate: Estimate, timing: Timing) -> list[str]:
    """`training 20 s at most`, `strings 60 s, about 20 min at most`, `and compiling`.

    What is known of their evaluations, that is; what few of them take is mostly compiling.
    """
    words = []
    if estimate.networks:
        known = f"training {in_seconds(estimate.training(timing))} at most"
        words.append("no estimate of training" if estimate.steps is None else known)
    if estimate.known:
        usual, most = map(in_seconds, estimate.seconds(timing))
        words.append(f"strings {usual}, about {most} at most")
    if any(said.endswith("at most") for said in words):
        words.append("and compiling")
    if unknown := estimate.strings - sum(joining.strings for joining in estimate.counted):
        words.append(f"no estimate of {unknown:,} strings")
    return words
