"""The small vocabulary in which `schema` declares the tables: column, reference, table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

ColumnType = Literal["string", "int", "float", "date", "bool"]

DTYPES: dict[str, Any] = {
    "string": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "date": pl.Date(),
    "bool": pl.Boolean(),
}

_NOUNS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "date": "a date (YYYY-MM-DD), 1950 to 2200",
    "bool": "true or false",
}

MOST = 1e9
"""Upper end of a number whose column says no other: sums over catalog and horizon stay within 32-bit floats."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    A column with a `default`, or one that is `nullable`, may be absent and its cells may be empty: they take
    the default or stay empty (null). The range is given by `ge`, `gt`, `le`, `lt`; `hint` says what to do about a
    value that is outside. `fraction` of a whole number says what becomes of parts of one: they are refused (""),
    rounded up, or read as 1 where they go into 1 without rest; both with a warning.
    `or_date` names a column of dates that may stand for this one, which numbers periods.
    """

    name: str
    type: ColumnType
    meaning: str
    unit: str = ""
    ge: int | float | None = None
    gt: int | float | None = None
    le: int | float | None = None
    lt: int | float | None = None
    default: object = None
    nullable: bool = False
    allowed: tuple[str, ...] = ()
    hint: str = "correct the value"
    fraction: Literal["", "up", "of one"] = ""
    or_date: str = ""

    @property
    def required(self) -> bool:
        """Whether the column must be there and hold a value in every row."""
        return self.default is None and not self.nullable

    @property
    def dtype(self) -> Any:
        """The polars DataType of the column after reading (beartype cannot check that class, hence Any)."""
        return DTYPES[self.type]

    @property
    def range_text(self) -> str:
        """The range in words, such as `>= 0 and < 24`; empty where any value will do."""
        bounds = ((">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    @property
    def expected(self) -> str:
        """What a cell must hold, in words, for messages."""
        if self.allowed:
            return "one of " + ", ".join(self.allowed)
        unit = f" ({self.unit})" if self.unit else ""
        return f"{_NOUNS[self.type]} {self.range_text}".rstrip() + unit

    def out_of_range(self) -> pl.Expr | None:
        """Expression true where a value (not null) violates the range; None where there is no range."""
        col = pl.col(self.name)
        tests = []
        if self.ge is not None:
            tests.append(col < self.ge)
        if self.gt is not None:
            tests.append(col <= self.gt)
        if self.le is not None:
            tests.append(col > self.le)
        if self.lt is not None:
            tests.append(col >= self.lt)
        return pl.any_horizontal(tests) if tests else None


@dataclass(frozen=True)
class Reference:
    """A foreign key: `columns` hold values of `target_columns` in table `target`; empty cells may be."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table: its columns in order, its key (no two rows alike in it; () = none) and its references.

    `optional` tables may be absent or empty. Tables with a text `without` may be absent: it says what is taken in their
    place (`defaults`). `item_column` names the column that holds the item of a row, for tables that grow with the
    catalog. Columns in `unread` may be there and are not read.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    optional: bool = False
    without: str = ""
    item_column: str = ""
    unread: tuple[str, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def empty(self) -> pl.DataFrame:
        """A frame without rows, with the columns and types of this table."""
        return pl.DataFrame(schema={column.name: column.dtype for column in self.columns})
