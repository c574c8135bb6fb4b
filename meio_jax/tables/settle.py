"""From what people write down to what is planned with: overdue orders, returns, rows of weeks. Each with a warning."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from meio_jax.tables.findings import ROW, Findings, View

_UNITS = "units"


def settle(view: View, findings: Findings) -> View:
    """A table with overdue orders due in period 0 and returns taken off sales; its rows stay the same rows."""
    if view.table.name == "on_order":
        return _overdue(view, findings)
    if view.table.name == "forecast" and "ds" in view.frame.columns and _UNITS in view.frame.columns:
        return _returns(view, findings)
    return view


def _overdue(view: View, findings: Findings) -> View:
    late = view.rows(pl.col("period_due") < 0)
    if late.is_empty():
        return view
    findings.warn_rows(
        view,
        late,
        "overdue orders",
        "orders that were due before period 0 are taken to arrive in period 0",
        "{units} units due in period {period_due}",
        "give the period in which they are expected now, or remove those that will not come",
    )
    return replace(view, frame=view.frame.with_columns(pl.col("period_due").clip(lower_bound=0)))


def _returns(view: View, findings: Findings) -> View:
    """Past sales in which every return is taken off the latest sales before it, and nothing is negative."""
    back = view.rows(pl.col(_UNITS) < 0)
    if back.is_empty():
        return view
    items = back.get_column("item_id").unique()
    own = view.rows(pl.col("item_id").is_in(items.implode()) & pl.col(_UNITS).is_not_null()).sort("item_id", "ds", ROW)
    lost, netted = 0.0, []
    for part in own.partition_by("item_id", maintain_order=True):
        units, left = net_returns(part.get_column(_UNITS).to_list())
        lost += left
        netted.append(part.select(ROW).with_columns(pl.Series("__net", units, dtype=pl.Float64)))
    more = f"; {lost:g} units were returned that no earlier row sold, and are left out" if lost else ""
    findings.warn_rows(
        view,
        back,
        "returns in history",
        "negative sales are returns: they are taken off the latest sales of the item before them" + more,
        "{units}",
        "net them yourself where that is not right, for instance if returned units are sold again",
    )
    changed = view.numbered().join(pl.concat(netted).lazy(), on=ROW, how="left", maintain_order="left")
    frame = changed.with_columns(pl.coalesce("__net", _UNITS).alias(_UNITS)).drop(ROW, "__net").collect()
    return replace(view, frame=frame)


def net_returns(units: list[float]) -> tuple[list[float], float]:
    """Sales of an item by day with each return taken off the days before it, the latest first.

    Args:
        units: Sales in order of days; returns are negative.

    Returns:
        What is left of each day, none of it negative, and the units returned that no day before had sold.
    """
    net, left_over = list(units), 0.0
    for day, sold in enumerate(net):
        owed, before = max(-sold, 0.0), day - 1
        net[day] = max(sold, 0.0)
        while owed > 0 and before >= 0:
            taken = min(owed, net[before])
            net[before] -= taken
            owed -= taken
            before -= 1
        left_over += owed
    return net, left_over


def spread_rows(history: pl.DataFrame, days: int) -> pl.DataFrame:
    """Past sales by day, from rows that each stand for `days` days from theirs on."""
    if days == 1 or history.is_empty():
        return history
    lag = pl.DataFrame({"__lag": list(range(days))}, schema={"__lag": pl.Int64})
    daily = history.lazy().join(lag.lazy(), how="cross", maintain_order="left")
    daily = daily.select(
        "item_id", pl.col("ds") + pl.duration(days=pl.col("__lag")), pl.col(_UNITS) / days, "available"
    )
    found = daily.group_by("item_id", "ds", maintain_order=True)
    return found.agg(pl.col(_UNITS).sum(), pl.col("available").all()).collect()
