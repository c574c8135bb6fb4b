"""Decisions of planners that the plan keeps to, with what each costs a week."""

from __future__ import annotations

from typing import Any

from meio_jax.report.html import Markup
from meio_jax.report.numbers import number, whole
from meio_jax.report.parts import Column, called, card, cell, empty, name_cell, table
from meio_jax.runs.data import RunData

_ROWS = 40


def overrides(data: RunData) -> Markup | None:
    """The overrides that cost most, first; None where a run has none."""
    if "plan/overrides" not in data.tables:
        return None
    found = data.table("plan/overrides")
    if not found.height:
        return None
    top = found.sort("cost_a_week", descending=True, nulls_last=True, maintain_order=True).head(_ROWS)
    rows = [_row(row) for row in top.iter_rows(named=True)]
    columns = [Column("Override"), Column("Kind"), Column("Item, node"), Column("Source"), Column("Units", True)]
    columns += [Column(f"{data.currency} a week", True), Column("Until"), Column("Reason")]
    more = empty(f"{whole(found.height - _ROWS)} more in plan/overrides.") if found.height > _ROWS else None
    return card("Overrides", table(columns, rows, label="Overrides by cost a week"), more, wide=True)


def _row(row: dict[str, Any]) -> list[Markup]:
    source = called(row, "vendor_id") if row["vendor_id"] else called(row, "from_node") if row["from_node"] else ""
    expires = f"{row['expires']:%d %b %Y}" if row["expires"] else ""
    until = expires if row["status"] == "in force" else row["status"]
    return [
        name_cell(row["override_id"]),
        cell(row["kind"]),
        cell(f"{called(row, 'item_id')} at {called(row, 'node_id')}"),
        cell(source),
        _figure(row["units"]),
        _figure(row["cost_a_week"]),
        cell(until),
        cell(row["reason"]),
    ]


def _figure(value: float | None) -> Markup:
    return cell("") if value is None else cell(number(value), figure=True, sort=value)
