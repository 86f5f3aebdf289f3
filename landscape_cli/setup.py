"""What a recipe is handed: the parts of a run, and how they work together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape_cli.contracts import Data, Dataset, Gauge, PathMethod, Trainer
from landscape_cli.core.engine import Engine
from landscape_cli.core.report import Progress
from landscape_cli.errors import UserError

if TYPE_CHECKING:
    import jax

    from landscape_cli.core.string import Found
    from landscape_cli.core.surface import Surface

COSTS = ("gradient_evaluations", "energy_evaluations", "seconds")  # of a string


@dataclass(frozen=True)
class Setup:
    """What a recipe is handed: the parts of a run, already built and checked.

    Attributes:
        model: a Flax module or a `ClosedForm`; `data`, `functional`, `trainer`, `method`, `gauge`
            and `engine` are the parts of these configuration groups.
        levels: positive, strictly decreasing.
        pairs, seed, precision, bn, bn_examples: the run-wide settings (`config.Settings`).
        warm_start: what finds the first strings of a method; see `warm_start_for`.
        methods, gauges: further ones by the names they were given (`+method@methods.<name>=...`).
        budget: counts by name, from `conf/budget`.
        progress: where long work says what it does.
        names: option that was chosen for a part, by its key as Hydra writes it, such as "method"
            or "method@warm_start"; see `called`.
        made: what `once` has made. A copy with another model or seed needs an empty one.
    """

    model: Any
    data: Data
    functional: Any
    trainer: Trainer
    method: PathMethod
    gauge: Gauge
    levels: tuple[float, ...]
    pairs: int
    seed: int
    precision: str = "float64"
    bn: str = "recompute"
    bn_examples: int = 2048
    engine: Engine = field(default_factory=Engine)
    warm_start: PathMethod | None = None
    methods: dict[str, PathMethod] = field(default_factory=dict)
    gauges: dict[str, Gauge] = field(default_factory=dict)
    budget: dict[str, Any] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    names: Mapping[str, str] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict, repr=False)

    def called(self, kind: str) -> str:
        """The name under which a part was chosen, such as that of its YAML; else its class."""
        return self.names.get(kind) or type(getattr(self, kind)).__name__

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returned when `name` was first asked for."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    @property
    def dataset(self) -> Dataset:
        """The data of the run, loaded once."""
        load = self.data.reporting(self.progress).load
        return self.once("dataset", lambda: load(self.key("data")))

    def connect(
        self,
        surface: Surface,
        starts: np.ndarray,
        ends: np.ndarray,
        levels: np.ndarray,
        pairs: np.ndarray,
        method: PathMethod | None = None,
    ) -> Iterator[tuple[int, Found]]:
        """`method` (the run's own, unless given) from where the run's `warm_start` ended.

        What a string's warm start took is part of what the string took.

        Raises:
            UserError: they do not go together; see `warm_start_for`.
        """
        job = (surface, starts, ends, levels, pairs, self.progress)
        chosen = method or self.method
        first = self.warm_start_for(method, anywhere=not np.isfinite(levels).all())
        if first is None:
            return chosen.connect(*job, seed=self.seed)
        return self._warmed(first, chosen, job)

    def _warmed(
        self, first: PathMethod, chosen: PathMethod, job: tuple[Any, ...]
    ) -> Iterator[tuple[int, Found]]:
        """Strings of `chosen` from those of `first`, each with the costs of both."""
        found = dict(first.connect(*job, seed=self.seed))
        begun = [found[i].beads for i in range(len(found))]
        begun = [beads if np.isfinite(beads).all() else None for beads in begun]
        for i, string in chosen.connect(*job, initial=begun, seed=self.seed):
            spent = {name: getattr(string, name) + getattr(found[i], name) for name in COSTS}
            yield i, string.with_(**spent)

    def warm_start_for(
        self, method: PathMethod | None = None, *, anywhere: bool = False
    ) -> PathMethod | None:
        """What finds the first strings of `method` (the run's own, unless given); None: nothing.

        Args:
            method: one of several; where it cannot be warmed up, it begins as it always does.
            anywhere: any path will do, whatever the level.

        Raises:
            UserError: the run's own method cannot be warmed up, or the warm start needs a level.
        """
        if self.warm_start is None or (method is not None and not method.warms):
            return None
        if not (method or self.method).warms:
            name = self.called("method")
            raise UserError(f"warm_start: {name} starts from nothing; choose another method")
        if anywhere and not self.warm_start.level_free:
            name = self.names.get("method@warm_start") or type(self.warm_start).__name__
            raise UserError(
                f"warm_start={name}: looks inside a level set, and here any path will do; choose "
                "one that needs no level, such as warm_start=auto_neb"
            )
        return self.warm_start

    def key(self, *names: str | int) -> jax.Array:
        """A random key for `names`, the same in every run with this seed."""
        from landscape_cli.core.random import named_key

        return named_key(self.seed, *names)
