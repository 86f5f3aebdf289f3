"""Table: statements that were put to the test, one row each: expected, found, passed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from typing import Any, ClassVar

import numpy as np
import xarray

from landscape_cli.contracts import Record
from landscape_cli.records.meanings import NONE


@dataclass(frozen=True)
class Row:
    """One statement and what came of it.

    Attributes:
        statement: what is claimed, in words.
        expected: what it predicts, in words.
        found: what was seen, in words.
        passed: whether they agree.
        value: the number behind `found`; NaN where there is none.
    """

    statement: str
    expected: str
    found: str
    passed: bool
    value: float = math.nan


class Table(Record):
    """Rows under a name of their own, so that a run can save several tables."""

    name = "table"
    meanings: ClassVar = {
        "statement": ("what is claimed", NONE),
        "expected": ("what it predicts", NONE),
        "found": ("what was seen", NONE),
        "passed": ("whether they agree", NONE),
        "value": ("the number behind what was seen; NaN: none", NONE),
    }

    def __init__(self, data: xarray.Dataset) -> None:
        """Wrap `data`; its attribute `name` names the record and its file."""
        super().__init__(data)
        self.name = str(data.attrs.get("name", type(self).name))

    @classmethod
    def of(cls, rows: Iterable[Row], name: str | None = None) -> Table:
        """A table of `rows`; `name` is the class's unless given.

        Example:
            >>> table = Table.of([Row("1 + 1", "2", "2", True, 2.0)], name="sums")
            >>> table.name, table.summary()["passed"]
            ('sums', 1)
        """
        columns = list(zip(*[astuple(row) for row in rows], strict=True)) or [()] * 5
        types = (str, str, str, bool, float)
        named = zip(fields(Row), columns, types, strict=True)
        variables = {f.name: ("row", np.array(column, kind)) for f, column, kind in named}
        return cls(xarray.Dataset(variables, attrs={"name": name or cls.name}))

    @property
    def rows(self) -> list[Row]:
        """The rows, as they were put in."""
        columns = [self.data[field.name].values.tolist() for field in fields(Row)]
        return [Row(*values) for values in zip(*columns, strict=True)]

    def headline(self) -> str:
        """How many statements passed."""
        return f"{sum(row.passed for row in self.rows)} of {len(self.rows)} statements passed"

    def summary(self) -> dict[str, Any]:
        """`statements`, `passed`, `failed`, then for every statement what was found."""
        passed = sum(row.passed for row in self.rows)
        found = {
            row.statement: f"{'passed' if row.passed else 'FAILED'}: "
            f"expected {row.expected}, found {row.found}"
            for row in self.rows
        }
        counts = {
            "statements": len(self.rows),
            "passed": passed,
            "failed": len(self.rows) - passed,
        }
        return {**counts, **found}
