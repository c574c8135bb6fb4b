"""What capacities are asked for at sight: stock, demand and money beside them, by kind and measure."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.measures import unit_sizes, unit_words
from meio_jax.tables.tables import Tables


def capacity_lines(tables: Tables, demand: pl.DataFrame) -> list[str]:
    """A line for every kind and measure, all nodes (or vendors) that are limited together.

    Args:
        tables: The instance.
        demand: `item_id`, mean `units` of a period.
    """
    lines = []
    for kind, rows, word, owners in _asked(tables, demand):
        limits = tables.resources.filter(pl.col("kind") == kind)
        column = "vendor_id" if kind == "vendor" else "node_id"
        for measure, size in unit_sizes().items():
            own = limits.filter((pl.col("measure") == measure) & pl.col(column).is_in(owners.implode()))
            total = float(own.group_by("resource_id").agg(pl.col("capacity").mean())["capacity"].sum())
            # Lines of other kinds are counted by order, not by unit.
            if not total or (measure == "lines" and kind != "outbound"):
                continue
            limited = own[column].unique()
            mine = _of_limited(kind, rows, limited).select((pl.col("units") * size).sum())
            used = float(mine.item())
            some = f" of {len(limited)} of {len(owners)} {column[:-3]}s" if len(limited) < len(owners) else ""
            there = f"{kind} capacity{some}: {total:,.1f} {unit_words(measure)}"
            lines.append(f"{there}, {word} {used:,.1f} ({used / total:.0%})")
    return lines + _spend(tables, demand)


def _asked(tables: Tables, demand: pl.DataFrame) -> list[tuple[str, pl.DataFrame, str, pl.Series]]:
    """Kind, units by item with its sizes, what they are called, and nodes or vendors that could be limited."""
    offers = tables.offers
    flows, stock = (rows.join(tables.items, on="item_id") for rows in (demand, tables.on_hand))
    sources = offers.group_by("item_id").agg(pl.col("vendor_id").unique().alias("sources"))
    bought = flows.join(sources, on="item_id")
    # What vendors deliver is received at least; other docks receive parts of it again.
    doors = offers["node_id"].unique()
    return [
        ("storage", stock, "starting stock", tables.nodes["node_id"]),
        ("inbound", bought, "demand for what vendors deliver", doors),
        ("outbound", flows, "demand", tables.transit["node_id"].unique()),
        ("vendor", bought, "demand for what only they offer", offers["vendor_id"].unique()),
    ]


def _of_limited(kind: str, rows: pl.DataFrame, limited: pl.Series) -> pl.DataFrame:
    """Rows that must use what is limited: stock that lies there, items that nobody else offers."""
    if kind == "storage":
        return rows.filter(pl.col("node_id").is_in(limited.implode()))
    if kind == "vendor":
        return rows.filter(pl.col("sources").list.set_difference(limited.to_list()).list.len() == 0)
    return rows


def _spend(tables: Tables, demand: pl.DataFrame) -> list[str]:
    """What demand costs at the cheapest offers against limits on all that is spent in a bucket."""
    settings = tables.settings
    whole = pl.col("node_id").is_null() & pl.col("vendor_id").is_null()
    limits = tables.resources.filter((pl.col("kind") == "spend") & whole)
    if limits.is_empty():
        return []
    cheapest = tables.offers.group_by("item_id").agg(pl.col("unit_cost").min())
    bought = demand.join(cheapest, on="item_id")
    days = min(settings.bucket_periods, settings.periods)
    used = days * float((bought["units"] * bought["unit_cost"]).sum())
    room = float(limits["capacity"].to_numpy().mean())
    share = f" ({used / room:.0%})" if room else ""
    word = settings.period if days == 1 else f"{days} {settings.period}s"
    return [f"spend: {room:,.0f} {settings.currency} in {word}, demand at the cheapest offers {used:,.0f}{share}"]
