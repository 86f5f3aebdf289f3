"""The contracts every part of an experiment fulfils: one abstract class per kind.

A part is a frozen dataclass whose fields are its settings, with one verb. `config.build`
accepts a class for a configuration group only if it is a subclass of the contract of that
group (`KINDS`), so a YAML file can name nothing else.

    Data.load ─▶ Dataset ─┐
    Functional ───────────┼─▶ model_surface ─▶ Surface ─▶ Trainer.descend ─▶ Trajectories
    Model ────────────────┘                        └───▶ PathMethod.connect ─▶ Found …
    Gauge.align ─▶ the copy of an end point that methods join to another
    Experiment.run(setup) ─▶ Record … ─▶ files and figures
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from landscape_cli.core.report import Progress, Trajectories

__all__ = ["Progress", "Trajectories"]  # part of the contracts, made in the core

if TYPE_CHECKING:
    import jax
    import xarray
    from matplotlib.figure import Figure

    from landscape_cli.core.string import Found
    from landscape_cli.core.surface import Surface
    from landscape_cli.data.augment import Augmentation
    from landscape_cli.estimate import Estimate
    from landscape_cli.setup import Setup


@dataclass(frozen=True)
class Examples:
    """Inputs, targets and weights of one split.

    Attributes:
        inputs: (example, ...) float array; images are (example, height, width, channel).
        targets: (example, output) floats for regression, (example,) integers for classes.
        weights: (example,) non-negative, summing to one; a quadrature's weights or 1/n.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.inputs)

    def first(self, count: int) -> Examples:
        """The first `count` examples, weighted to sum to one."""
        weights = self.weights[:count]
        return Examples(self.inputs[:count], self.targets[:count], weights / weights.sum())


@dataclass(frozen=True)
class Dataset:
    """What `Data.load` returns: two splits and the kind of task.

    Attributes:
        name: the data set's name, for messages and figure labels.
        train: the training split.
        test: the test split.
        classes: number of classes, or None for regression.
        augmentation: varies the inputs of mini-batches in training; None to leave them as they
            are. Energies never see it.
    """

    name: str
    train: Examples
    test: Examples
    classes: int | None = None
    augmentation: Augmentation | None = None

    @property
    def outputs(self) -> int:
        """Width a network's last layer must have."""
        return self.classes or int(self.train.targets.shape[-1])


class Data(ABC):
    """A source of examples. Settings are fields; reading files happens in `load` only."""

    reference: ClassVar[str] = ""  # BibTeX of the source

    @abstractmethod
    def load(self, key: jax.Array) -> Dataset:
        """Read or make the examples; `key` drives random draws and subsets."""

    def reporting(self, progress: Progress) -> Data:
        """The same data, which say to `progress` how a download goes, if they have one."""
        return self


class Trainer(ABC):
    """How end points are found: descend from `thetas` through all `levels`.

    Attributes:
        batch: examples of a mini-batch, which the surface is built to draw; None: all of them.
    """

    reference: ClassVar[str] = ""
    batch: int | None = None

    @abstractmethod
    def descend(
        self,
        surface: Surface,
        thetas: np.ndarray,
        levels: Sequence[float],
        key: jax.Array,
        progress: Progress,
    ) -> Trajectories:
        """Train all networks (network, param) until the lowest level or the budget."""

    def most_steps(self, surface: Surface) -> int | None:
        """Steps that a network takes on this surface at most; None: unknown."""
        return None


@dataclass(frozen=True)
class Cost:
    """What a path method may need, by its settings alone.

    Attributes:
        bytes: on the device, for the strings that advance together, with all beads they may get.
        least: of these, what strings take that need few beads.
        kept: bytes of the beads of all strings, as results, with all they may get.
        gradients: of a string that takes the usual way and all of its evaluations on it.
        most: gradients of a string that takes every way round.
        energies: of a string on the usual way.
        most_energies: of a string that takes every way round.
        change: the settings that make `bytes` smaller.
        of: what gradients are of, to be timed: "energy", the "loss" that is descended, or a
            mini-"batch" of it.
    """

    bytes: int
    least: int
    kept: int
    gradients: int
    most: int
    energies: int
    most_energies: int
    change: str = "pairs"
    of: str = "loss"


Move = Callable[["np.ndarray", "np.ndarray"], "np.ndarray"]  # reference, theta -> its copy
Strings = Sequence["np.ndarray | None"]  # one (bead, param) array, or none, for every string


class PathMethod(ABC):
    """How two points of a level set are joined; all strings of a run at once.

    Attributes:
        level_free: looks for a low path whatever the level, and is then judged against it. The
            others look for a path inside {F <= level}, and leave a chord that is inside alone.
        warms: can begin from the string of another method.
        straight: joins by the chord and looks no further.
        needs_network: raises UserError on a closed form.
    """

    reference: ClassVar[str] = ""
    level_free: ClassVar[bool] = False
    warms: ClassVar[bool] = True
    straight: ClassVar[bool] = False
    needs_network: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Refuse a method that is not to be told the seed, before any run hands it over.

        Raises:
            TypeError: its `connect` has no argument `seed`.
        """
        super().__init_subclass__()
        taken = signature(cls.connect).parameters.values()
        if not any(each.name == "seed" or each.kind == each.VAR_KEYWORD for each in taken):
            raise TypeError(f"{cls.__name__}.connect must take the run's seed: add seed: int = 0")

    @abstractmethod
    def connect(
        self,
        surface: Surface,
        starts: np.ndarray,
        ends: np.ndarray,
        levels: np.ndarray,
        pairs: np.ndarray,
        progress: Progress,
        initial: Strings | None = None,
        seed: int = 0,
    ) -> Iterator[tuple[int, Found]]:
        """Join `starts[i]` to `ends[i]` inside {F <= levels[i]}; yield (i, found) as each ends.

        Args:
            surface: the surface F.
            starts: (string, param) end points with F <= level.
            ends: (string, param) end points with F <= level.
            levels: (string,) the level of each string; infinite where any path will do, which
                only level-free methods take.
            pairs: (string,) integer identity of the pair a string belongs to: strings of one
                pair at neighbouring levels may start from one another.
            progress: told what is going on.
            initial: strings to begin from, between the same ends; None for the chord.
            seed: of every random draw, 0 to 2³² - 1. Equal seeds give equal strings, in any order
                and batch: name draws under it (`core.random`). A program is handed a key made of
                it, so that another seed compiles nothing.
        """

    def cost(self, surface: Surface, pairs: int, levels: int) -> Cost | None:
        """What `pairs` strings at each of `levels` levels may need; None: unknown.

        Raises:
            UserError: as `connect` does of a surface that it is not for, before any work is done.
        """
        return None


class Gauge(ABC):
    """Which copies of a network count as the same: moves end points along its symmetries.

    Copies give the same outputs, which is checked on a few examples before they are returned.
    """

    reference: ClassVar[str] = ""

    @abstractmethod
    def moves(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> list[Move]:
        """What brings every network closest to its reference, by this gauge's measure.

        Args:
            surface: the surface of the networks; `surface.network` is the network.
            references: (pair, param) finite networks that are left as they are.
            thetas: (pair, param) finite networks to move.
            key: for measures that draw examples or an order at random.

        Returns:
            For every pair a function of its reference and network, at this level or another.

        Raises:
            UserError: the network has no such symmetry.
        """

    def align(
        self, surface: Surface, references: np.ndarray, thetas: np.ndarray, key: jax.Array
    ) -> np.ndarray:
        """The copy of every network that lies closest to its reference.

        Args:
            surface: see `moves`.
            references: (pair, param), or (pair, level, param): levels of a pair, falling, share
                the move that is chosen at the lowest one that both networks reached.
            thetas: of the same shape, networks to move. Those that are not finite, or whose
                references are not, stay as they are.
            key: see `moves`.

        Returns:
            Networks with the outputs of `thetas`.

        Raises:
            UserError: as `moves` does.
        """
        if thetas.ndim == 2:
            return self.align(surface, references[:, None], thetas[:, None], key)[:, 0]
        both = np.isfinite(references) & np.isfinite(thetas)
        there = np.asarray(both.all(axis=2))
        pairs = np.flatnonzero(there.any(axis=1))
        lowest = there.shape[1] - 1 - there[pairs, ::-1].argmax(1)
        chosen = self.moves(surface, references[pairs, lowest], thetas[pairs, lowest], key)
        moved = np.array(thetas)
        for pair, move in zip(pairs, chosen, strict=True):
            for level in np.flatnonzero(there[pair]):
                moved[pair, level] = move(references[pair, level], thetas[pair, level])
        return moved

    def check(self, surface: Surface) -> None:  # noqa: B027
        """Refuse, before any work is done, networks that have no such symmetry.

        Raises:
            UserError: as `moves` does.
        """

    def align_many(self, surface: Surface, thetas: np.ndarray, key: jax.Array) -> np.ndarray:
        """Copies of many networks (network, param) that lie close to one another.

        Each in turn is aligned with the mean of the others until they come no closer.

        Raises:
            UserError: as `moves` does.
        """
        from landscape_cli.core.symmetry.merging import merged

        return merged(partial(self.align, surface), thetas, key)


class Record(ABC):
    """A result on its way to a file: labelled host arrays, headline numbers, figures.

    A record is saved to `data/<name>.nc` whenever a recipe yields it; yielding a fuller record
    of the same name replaces the file atomically. Figures are drawn from `data` alone, so that
    `landscape plot` can redraw them from the file.
    """

    name: str  # of a class, or of one record
    meanings: ClassVar[Mapping[str, tuple[str, str]]] = {}  # words and unit of every variable

    def __init__(self, data: xarray.Dataset) -> None:
        self.data = data

    def gather(self) -> Record:
        """Lay out in `data` what was found since, where that is put off until it is saved."""
        return self

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """Flat headline numbers for `summary.json`.

        Those called `what@row` make a table of `landscape show`: rows are levels, as in
        `height@0.1`, or say what else they are, as in `height@method=neb`.
        """

    def headline(self) -> str:
        """What a finished run found, in the line it ends with; empty: nothing to say."""
        return ""

    def figures(self) -> dict[str, Figure]:
        """Figures by file stem; drawn from `self.data` alone."""
        return {}

    @classmethod
    def comparison(cls, groups: Mapping[str, Sequence[Self]]) -> dict[str, Figure]:
        """Figures, by file stem, of the records of this class that the jobs of a multirun left.

        Args:
            groups: two records or more; those of a group differ in nothing but their seeds, and
                its name says which of the swept settings they have in common.
        """
        return {}


class Experiment(ABC):
    """A recipe: how one question is asked, read top to bottom.

    Attributes:
        unused: groups and settings of every run that this recipe never looks at, and why; who
            types one is told.
    """

    reference: ClassVar[str] = ""
    unused: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def run(self, setup: Setup) -> Iterator[Record]:
        """Do the work; yield records, fuller ones replacing earlier ones of the same name."""

    def plan(self, setup: Setup) -> Estimate | None:
        """What `run` will need, before any work is done; None: unknown."""
        return None
