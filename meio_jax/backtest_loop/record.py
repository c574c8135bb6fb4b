"""What was decided on each day, kept in the folder of a backtest: by it the days are lived again after a kill.

Customers, vendors and lanes are drawn by keys, so that the same decisions give the same days to the last unit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from meio_jax.backtest import PlanTable
from meio_jax.backtest_loop.arms import Decision
from meio_jax.backtest_loop.nervousness import Change
from meio_jax.errors import Note, Problem, Refusal, first_line
from meio_jax.folders import remove
from meio_jax.tables import write_table, write_text
from meio_jax.tables.sources import READ_ERRORS

_ABOUT = "decision.json"
# Tables of a plan that say how customers are served.
_SERVED = ("protection", "prices", "values")


@dataclass(frozen=True)
class Recorded:
    """A decision of an earlier day: what was ordered and shipped in the end, by whatever rule."""

    orders: pl.DataFrame
    transfers: pl.DataFrame
    fulfilment: PlanTable
    how: str
    seconds: float
    result: str
    change: Change | None


class Record:
    """Decisions by day and arm, under `folder/days`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "days"

    def read(self, day: int, arm: str) -> Recorded | None:
        """The decision of an arm on a day; None where it was not taken yet.

        Raises:
            Refusal: If what is kept of it is damaged.
        """
        place = self._place(day, arm)
        if not (place / _ABOUT).exists():
            return None
        try:
            return self._recorded(place)
        except (*READ_ERRORS, KeyError, TypeError, ValueError, RecursionError) as error:
            remedy = "take that folder away, and the day is decided anew"
            raise Refusal(Problem(str(place), "", "", Note(first_line(error)), "a recorded day", remedy)) from None

    @staticmethod
    def _recorded(place: Path) -> Recorded:
        about = json.loads((place / _ABOUT).read_text(encoding="utf-8"))
        there = lambda name: pl.read_parquet(place / f"{name}.parquet", glob=False)
        optional = lambda name: there(name) if (place / f"{name}.parquet").exists() else None
        targets = pl.DataFrame(schema={"item_id": pl.String, "node_id": pl.String, "target": pl.Float64})
        return Recorded(
            orders=there("orders"),
            transfers=there("transfers"),
            fulfilment=PlanTable(targets, optional("protection"), optional("prices"), values=optional("values")),
            how=about["how"],
            seconds=about["seconds"],
            result=about["result"],
            change=None if about["change"] is None else Change(**about["change"]),
        )

    def write(self, day: int, arm: str, decision: Decision, orders: pl.DataFrame, transfers: pl.DataFrame) -> None:
        """Keep what was decided, and what was ordered and shipped by it.

        The tables are written beside and renamed as a whole, so that a day is recorded or not.
        """
        place = self._place(day, arm)
        unfinished = place.with_name(f".{arm}.tmp")
        remove(unfinished)
        write_table(orders, unfinished / "orders.parquet")
        write_table(transfers, unfinished / "transfers.parquet")
        for name in () if decision.fulfilment is None else _SERVED:
            table = getattr(decision.fulfilment, name)
            if table is not None:
                write_table(table, unfinished / f"{name}.parquet")
        about = {
            "how": decision.how,
            "seconds": decision.seconds,
            "result": decision.result,
            "change": None if decision.change is None else decision.change.as_dict(),
        }
        write_text(json.dumps(about, indent=1), unfinished / _ABOUT)
        remove(place)
        unfinished.rename(place)

    def _place(self, day: int, arm: str) -> Path:
        return self._folder / f"{day:03d}" / arm
