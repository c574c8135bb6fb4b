"""What a checked instance holds, in figures that a planner recognises."""

from __future__ import annotations

import polars as pl

from meio_jax.errors import visible
from meio_jax.tables.frozen import frozen_offers
from meio_jax.tables.lane_use import transships
from meio_jax.tables.mean_demand import mean_demand
from meio_jax.tables.open_days import open_days
from meio_jax.tables.overrides import IN_FORCE, with_status
from meio_jax.tables.summary_capacity import capacity_lines
from meio_jax.tables.tables import Tables


def daily_units(tables: Tables) -> pl.DataFrame:
    """Mean demand of every item: item_id, units (a period). Rough where the forecast is quantiles: their mean."""
    return mean_demand(tables.forecast, tables.settings)


def summary_of_tables(tables: Tables) -> str:
    """The tables that were read with their rows, then demand, stock and what capacities are asked for at sight."""
    lines, width = ["tables read:"], max(map(len, tables.frames()))
    for name, frame in tables.frames().items():
        taken = f": {tables.assumed[name]}" if name in tables.assumed else ""
        source = tables.read_from.get(name, f"(not there{taken})")
        lines.append(f"  {name:<{width}} {frame.height:>9,} rows  {source}")
    return visible_lines([*lines, *_figures(tables)])


def visible_lines(lines: list[str]) -> str:
    """The lines as one text, each without characters that a terminal would act on."""
    return "\n".join(visible(line) for line in lines)


def _figures(tables: Tables) -> list[str]:
    settings, demand = tables.settings, daily_units(tables)
    word = settings.period
    units = float(demand["units"].sum() or 0.0)
    lines = [
        f"{tables.items.height:,} items, {tables.nodes.height:,} nodes, {tables.regions.height:,} regions, "
        f"{tables.offers['vendor_id'].n_unique():,} vendors; {settings.periods} {word}s from {settings.start_date}",
        f"demand: {units:,.1f} units a {word} ({settings.forecast})",
    ]
    stock = float(tables.on_hand["units"].sum() or 0.0)
    coming = float(tables.on_order["units"].sum() or 0.0)
    cover = f", {stock / units:,.1f} {word}s of demand" if units else ""
    lines.append(f"stock: {stock:,.0f} units{cover}; on order: {coming:,.0f} units")
    return lines + _facts(tables) + capacity_lines(tables, demand)


def _facts(tables: Tables) -> list[str]:
    """What else was given: units owed, items that are phased out, and closed days."""
    lines, settings, word = [], tables.settings, tables.settings.period
    if moves := int(transships(tables.lanes, tables.nodes).sum()):
        lines.append(f"lanes: {tables.lanes.height - moves:,} of supply, {moves:,} of transshipment")
    if owed := float(tables.backlog["units"].sum() or 0.0):
        lines.append(f"owed to customers: {owed:,.0f} units, items: {tables.backlog['item_id'].n_unique():,}")
    lives = tables.items["shelf_life"].drop_nulls()
    if len(lives):
        least, most = int(lives.to_numpy().min()), int(lives.to_numpy().max())
        lines.append(f"shelf life: {len(lives):,} items, {least} to {most} {word}s")
    days = tables.items["phase_out"].drop_nulls()
    if len(days):
        now = int((days <= settings.start_date).sum())
        lines.append(f"phased out: {len(days):,} items, {now:,} of them from the start on")
    if tables.overrides.height:
        status = with_status(tables.overrides, settings)["status"]
        applied = int((status == IN_FORCE).sum())
        lines.append(f"overrides: {applied:,} in force, {len(status) - applied:,} that do not apply")
    frozen = frozen_offers(tables.offers, settings).height
    if frozen:
        lines.append(f"frozen in the first {word}s: {frozen:,} of {tables.offers.height:,} offers")
    found = open_days(tables.calendar, settings, tables.nodes["node_id"].to_list(), settings.periods)
    if found is not None:
        shut = int((~found.receipts).any(axis=0).sum())
        closed = int((~found.receipts).sum())
        lines.append(
            f"calendar: {shut:,} nodes without receipts on some {settings.period}s ({closed:,} in all), "
            f"{len(found.vendors):,} vendors with a calendar of their own"
        )
    return lines
