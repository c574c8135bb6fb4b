"""Exceptions of a plan: what to look at first, by the money at stake."""

from __future__ import annotations

import polars as pl

from meio_jax.report.html import Markup, prose
from meio_jax.report.numbers import number, whole
from meio_jax.report.parts import Column, called, card, cell, empty, name_cell, table
from meio_jax.runs.data import RunData

_ROWS = 40


def exceptions(data: RunData) -> Markup | None:
    """The exceptions with the most money at stake; None where a run has no such table."""
    if "plan/exceptions" not in data.tables:
        return None
    lazy = data.tables["plan/exceptions"].filter(pl.col("money").is_finite())
    count = lazy.select(pl.len()).collect().item()
    if not count:
        return card("Exceptions", empty("Nothing is beyond the thresholds of the configuration."))
    top = lazy.sort("money", descending=True, maintain_order=True).head(_ROWS).collect()
    rows = [
        [
            name_cell(called(row, "item_id") or "capacity"),
            cell(called(row, "node_id")),
            cell(row["kind"].replace("_", " ")),
            cell(number(row["units"]), figure=True, sort=row["units"]),
            cell(number(row["money"]), figure=True, sort=row["money"]),
            cell(row["what"]),
            cell(prose(row["mend"])),
        ]
        for row in top.iter_rows(named=True)
    ]
    columns = [Column("Item"), Column("Node"), Column("Kind"), Column("Units", True), Column(data.currency, True)]
    columns += [Column("What"), Column("What would mend it")]
    more = empty(f"{whole(count - _ROWS)} more in plan/exceptions.") if count > _ROWS else None
    return card("Exceptions", table(columns, rows, label="Exceptions by money at stake"), more, wide=True)
