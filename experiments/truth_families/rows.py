"""Rows of a truth table: text cells, read with messages that say where something is wrong."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


class TruthError(ValueError):
    """A truth table that cannot be used; the message names file, line, column, value and what was expected."""


@dataclass(frozen=True)
class Row:
    """One line of a table; empty cells count as missing."""

    file: str
    line: int
    cells: dict[str, str]

    def _wrong(self, column: str, expected: str) -> TruthError:
        found = self.cells.get(column)
        return TruthError(f"{self.file}, line {self.line}, column `{column}`: found {found!r}, expected {expected}")

    def has(self, column: str) -> bool:
        return bool(self.cells.get(column))

    def text(self, column: str) -> str:
        if not self.has(column):
            raise self._wrong(column, "a value")
        return self.cells[column]

    def texts(self, column: str) -> list[str]:
        return [part.strip() for part in self.text(column).split(";")]

    def number(self, column: str) -> float:
        return self._parsed(column, float, "a number")[0]

    def numbers(self, column: str, count: int | None = None) -> list[float]:
        """Numbers parted by `;`, as many as `count` if given."""
        return self._parsed(column, float, "numbers parted by ';'", count)

    def fractions(self, column: str) -> list[Fraction]:
        """Exact numbers parted by `;`."""
        return self._parsed(column, Fraction, "numbers parted by ';'")

    def whole(self, column: str) -> int:
        return self._parsed(column, int, "a whole number")[0]

    def wholes(self, column: str, count: int | None = None) -> list[int]:
        return self._parsed(column, int, "whole numbers parted by ';'", count)

    def _parsed(self, column: str, kind: type, expected: str, count: int | None = None) -> list:
        try:
            values = [kind(part) for part in self.texts(column)]
        except (ValueError, ZeroDivisionError):
            raise self._wrong(column, expected) from None
        if count is not None and len(values) != count:
            raise self._wrong(column, f"{count} {expected}")
        return values


def read_rows(path: Path) -> list[Row]:
    """All rows of a table; lines that start with `#` are comments.

    Raises:
        TruthError: If the file cannot be read or has no header.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TruthError(f"{path.name}: {error}; expected a readable UTF-8 CSV file") from None
    kept = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not kept:
        raise TruthError(f"{path.name}: no header; expected the columns of the published table of that name")
    cells = csv.DictReader(line for _, line in kept)
    return [
        Row(path.name, number, {name: (value or "").strip() for name, value in row.items() if name is not None})
        for (number, _), row in zip(kept[1:], cells, strict=True)
    ]
