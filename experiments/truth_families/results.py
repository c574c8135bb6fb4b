"""What one comparison with a known answer found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from truth_families.rows import Row


@dataclass(frozen=True)
class Result:
    """One line of the table: ours against a known number.

    `gap_pct` is (ours - reference) / reference in percent, its absolute value where `two_sided`; the tolerance is
    met where it is at most `tolerance_pct`. `ci95` is the 95 % interval of `ours`. Where the reference is 0 (the
    price of a capacity that does not bind) the difference is a share of `scale`.
    """

    family: str
    instance: str
    reference: float
    ours: float
    ci95: tuple[float, float]
    tolerance_pct: float
    seconds: float
    two_sided: bool = False
    scale: float = 0.0

    @property
    def size(self) -> float:
        """What differences are shares of."""
        return abs(self.reference) or self.scale

    @property
    def gap_pct(self) -> float:
        gap = 100 * (self.ours - self.reference) / self.size
        return abs(gap) if self.two_sided else gap

    @property
    def met(self) -> bool:
        return self.gap_pct <= self.tolerance_pct

    def as_dict(self) -> dict:
        """Plain data for JSON."""
        kept = asdict(self)
        del kept["two_sided"], kept["scale"]
        order = ("family", "instance", "reference", "ours", "ci95", "gap_pct", "tolerance_pct", "seconds")
        return {name: {**kept, "gap_pct": self.gap_pct}[name] for name in order}


class Family(Protocol):
    """A module of this package that solves the rows of one table."""

    NAME: str

    def run(self, rows: Sequence[Row], *, quick: bool, report: Callable[[Result], None]) -> None:
        """Solve all rows with the same settings and report each result as it is found."""
