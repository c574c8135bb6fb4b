"""What changed from one run to another, and why: the work of `meio diff`, without its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.errors import InputError, Note, Problem
from meio_jax.items.attribution import ITEMS, REASONS, Side, explain_orders
from meio_jax.items.compare import compared, days_between
from meio_jax.items.replan import ReplanOptions
from meio_jax.plans.names import named
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.runs.data import RunData, read_run
from meio_jax.runs.run import config_of_run, configure_jax

MOST_ITEMS = 500
OTHERS = "not analysed"


@dataclass(frozen=True)
class Diff:
    """What changed from run A to run B.

    Attributes:
        frames: Tables of differences by name (`meio_jax.items.compare`), and `reasons`; with names where there are any.
        summary: Figures of the whole: costs, orders, and the change of orders by reason, in units and money.
        notes: What could not be done, and why.
    """

    frames: dict[str, pl.DataFrame]
    summary: dict[str, Any]
    notes: list[str]


def diff_runs(
    a: Path,
    b: Path,
    *,
    instances: tuple[Path | None, Path | None] = (None, None),
    items: int = MOST_ITEMS,
    options: ReplanOptions | None = None,
    progress: AbstractProgress | None = None,
) -> Diff:
    """What changed from one run to another, and why.

    Args:
        a: Folder of the earlier run.
        b: Folder of the later run.
        instances: Folders of their instances, where they have moved.
        items: How many items, those whose orders changed by most money first, are planned again to say why; 0: none.
        options: Length of each search.
        progress: Where to report.

    Returns:
        Tables of what changed, and why.

    Raises:
        InputError: If a run or its instance cannot be read, or B begins before A.

    Example:
        >>> same = diff_runs(Path("runs/quickstart"), Path("runs/quickstart"), items=0)
        >>> same.frames["orders"].height
        0
    """
    progress = Silent() if progress is None else progress
    sides = [read_run(run, given) for run, given in zip((a, b), instances, strict=True)]
    if days_between(*sides) < 0:
        found = Note(f"a run that begins on {sides[0].network.settings.start_date}")
        expected = f"one that begins not after {sides[1].network.settings.start_date}"
        raise InputError([Problem(str(a), "", "", found, expected, "give the earlier run first")])
    frames = compared(*sides)
    notes = [f"{side.folder}: {note}" for side in sides for note in side.notes]
    if items:
        notes = _unexplained(*sides)
        frames["reasons"] = _reasons(sides, frames["orders"], items if not notes else 0, options, progress)
    names = known_names(*sides)
    return Diff({name: named(frame, names) for name, frame in frames.items()}, _summary(sides, frames), notes)


def known_names(a: RunData, b: RunData) -> dict[str, pl.DataFrame]:
    """Names of items, nodes and vendors of two runs by the column of their ids, those of B before those of A."""
    vendors = [side.table("plan/orders") for side in (b, a)]
    parts = {
        "item_id": [side.item_names for side in (b, a)],
        "node_id": [side.network.nodes.select(pl.col("node_id").alias("id"), "name") for side in (b, a)],
        "vendor_id": [
            table.select(pl.col("vendor_id").alias("id"), pl.col("vendor_name").alias("name"))
            for table in vendors
            if "vendor_name" in table.columns
        ],
    }
    found = {}
    for column, frames in parts.items():
        if frames and (own := pl.concat(frames).filter(pl.col("name") != "")).height:
            found[column] = own.unique("id", keep="first", maintain_order=True)
    if "node_id" in found:
        found |= dict.fromkeys(("from_node", "to_node"), found["node_id"])
    return found


def _unexplained(a: RunData, b: RunData) -> list[str]:
    """Why orders cannot be attributed, one line each."""
    notes = [
        f"{side.folder}: {note} What it planned is not known any more, so changes of orders have no reasons."
        for side in (a, b)
        for note in side.notes
    ]
    forms = [side.network.settings.forecast for side in (a, b)]
    if forms[0] != forms[1]:
        notes.append(f"The forecasts have two forms ({forms[0]}, {forms[1]}), so changes of orders have no reasons.")
    policies = [config_of_run(side.folder).policy for side in (a, b)]
    if len({(one.name, one.protection, one.correction) for one in policies}) > 1:
        notes.append("The policies differ, so changes of orders have no reasons.")
    settings = [(side.network.settings.period, side.network.settings.ordering) for side in (a, b)]
    if settings[0] != settings[1]:
        notes.append("Periods or the moment of ordering differ, so changes of orders have no reasons.")
    return notes


def _reasons(
    sides: list[RunData], orders: pl.DataFrame, most: int, options: ReplanOptions | None, progress: AbstractProgress
) -> pl.DataFrame:
    """Parts of every change of orders; what is not analysed is one part."""
    known = [set(side.items["item_id"].to_list()) for side in sides]
    money = orders.group_by("item_id").agg(pl.col("cost_change").abs().sum())
    names = money.sort("cost_change", "item_id", descending=[True, False])["item_id"].to_list()
    both = [name for name in names if name in known[0] and name in known[1]][:most]
    parts = []
    if both:
        progress.stage(f"planning {len(both)} items again with one thing changed at a time")
        config = config_of_run(sides[1].folder)
        configure_jax(config)
        tables = {name: side.table("plan/orders") for name, side in zip("ab", sides, strict=True)}
        earlier, later = (Side(side.folder, side.instance) for side in sides)
        parts.append(explain_orders(earlier, later, both, tables, options))
    rest = orders.filter(~pl.col("item_id").is_in(both))
    alone = pl.col("item_id").is_in(known[0] & known[1])
    reason = pl.when(alone).then(pl.lit(OTHERS)).otherwise(pl.lit(ITEMS)).alias("reason")
    sums = rest.group_by("item_id", "node_id", reason).agg(
        units=pl.col("units_change").sum().cast(pl.Float64), cost=pl.col("cost_change").sum()
    )
    columns = ["item_id", "node_id", "reason", "units", "cost"]
    return pl.concat([*parts, sums.select(columns)]).sort("item_id", "node_id", "reason")


def _summary(sides: list[RunData], frames: dict[str, pl.DataFrame]) -> dict[str, Any]:
    orders = [side.table("plan/orders").select(pl.col("units", "cost").sum()).row(0) for side in sides]
    summary: dict[str, Any] = {
        "run_a": str(sides[0].folder),
        "run_b": str(sides[1].folder),
        "currency": sides[1].currency,
        "days_between": days_between(*sides),
        "cost": frames["cost"].to_dicts(),
        "orders": {name: {"units": int(u), "cost": float(c)} for name, (u, c) in zip("ab", orders, strict=True)},
        "changed_order_lines": frames["orders"].height,
    }
    if "reasons" in frames:
        sums = frames["reasons"].group_by("reason").agg(pl.col("units", "cost").sum())
        by = {row["reason"]: row for row in sums.to_dicts()}
        known = [name for name in (*REASONS, OTHERS) if name in by]
        summary["reasons"] = [{"reason": name, "units": by[name]["units"], "cost": by[name]["cost"]} for name in known]
    return summary
