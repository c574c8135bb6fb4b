"""The differences of two runs as a person reads them in a terminal."""

from __future__ import annotations

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from meio_jax.cli.console import escape
from meio_jax.items.diff import Diff
from meio_jax.items.reasons_text import WORDS
from meio_jax.plans.names import called

_ROWS = 10


def diff_text(found: Diff, folder: str) -> RenderableType:
    """Costs, orders by reason, and the largest changes of orders, targets and prices."""
    summary = found.summary
    parts: list[RenderableType] = []
    days = summary["days_between"]
    when = "on the same day" if not days else f"{days} periods apart"
    parts.append(f"From {escape(summary['run_a'])} to {escape(summary['run_b'])}, {when}. Tables: {escape(folder)}.")
    parts.append(_costs(found))
    parts += [Text(note, style="yellow") for note in found.notes]
    if "reasons" in summary:
        parts.append(_reasons(found))
        parts.append(_largest(found))
    else:
        parts.append(_orders(found))
    parts.append(_prices(found))
    return Group(*parts)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(escape(name), justify="right" if number and not name.startswith("why") else "left")
    return table


def _costs(found: Diff) -> Table:
    table = _table("Expected cost (holdout)", "term", "earlier", "later", "change")
    for row in found.frames["cost"].filter((pl.col("cost_a") != 0) | (pl.col("cost_b") != 0)).iter_rows(named=True):
        figures = (f"{row['cost_a']:,.0f}", f"{row['cost_b']:,.0f}", f"{row['change']:+,.0f}")
        table.add_row(row["term"].replace("_", " "), *figures, style="bold" if row["term"] == "total" else None)
    for row in found.frames["service"].iter_rows(named=True):
        shares = [row["promised_a"], row["promised_b"]]
        shown = ["–" if share is None else f"{share:.2%}" for share in shares]
        change = "–" if row["change"] is None else f"{100 * row['change']:+.2f} points"
        table.add_row(f"promised, {escape(row['speed_id'])}", *shown, change)
    return table


def _reasons(found: Diff) -> Table:
    orders, currency = found.summary["orders"], found.summary["currency"]
    table = _table("Why today's orders changed", "reason", "units", currency)
    for row in found.summary["reasons"]:
        table.add_row(WORDS[row["reason"]], f"{row['units']:+,.1f}", f"{row['cost']:+,.2f}")
    units, cost = (orders["b"][name] - orders["a"][name] for name in ("units", "cost"))
    table.add_section()
    table.add_row("change of today's orders", f"{units:+,}", f"{cost:+,.2f}", style="bold")
    return table


def _largest(found: Diff) -> Table:
    reasons = found.frames["reasons"]
    words = pl.col("^(item|node)_name$").first()
    sums = reasons.group_by("item_id", "node_id").agg(pl.col("units", "cost").sum(), words)
    sums = sums.sort(pl.col("cost").abs(), "item_id", "node_id", descending=[True, False, False]).head(_ROWS)
    table = _table("Largest changes of orders", "item", "units", found.summary["currency"], "why (units)")
    for row in sums.iter_rows(named=True):
        own = reasons.filter(pl.col("item_id") == row["item_id"], pl.col("node_id") == row["node_id"])
        own = own.sort(pl.col("cost").abs(), "reason", descending=[True, False])
        why = ", ".join(f"{WORDS[one['reason']]} {one['units']:+.1f}" for one in own.iter_rows(named=True))
        name = f"{escape(called(row, 'item_id'))} at {escape(called(row, 'node_id'))}"
        table.add_row(name, f"{row['units']:+,.0f}", f"{row['cost']:+,.2f}", why)
    return table


def _orders(found: Diff) -> Table:
    table = _table("Largest changes of orders", "order line", "earlier", "later", found.summary["currency"])
    for row in found.frames["orders"].head(_ROWS).iter_rows(named=True):
        line = escape(f"{called(row, 'item_id')} from {called(row, 'vendor_id')} to {called(row, 'node_id')}")
        table.add_row(line, f"{row['units_a']:,}", f"{row['units_b']:,}", f"{row['cost_change']:+,.2f}")
    return table


def _prices(found: Diff) -> Table:
    table = _table("Largest changes of capacity prices", "capacity", "first day", "earlier", "later")
    for row in found.frames["prices"].head(_ROWS).iter_rows(named=True):
        table.add_row(escape(row["resource_id"]), str(row["first"]), f"{row['price_a']:.4g}", f"{row['price_b']:.4g}")
    return table
