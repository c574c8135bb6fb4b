"""The state of a simulated world, and what it does on a day, as tables of an instance and of a plan."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.backtest.lookup import frame
from meio_jax.backtest.plan_shares import offer_items
from meio_jax.backtest.prices import unit_prices
from meio_jax.backtest.review import Shipments
from meio_jax.backtest.simulation import Simulation, expected_days, promised_days


def promised_to_backlog(simulation: Simulation) -> np.ndarray:
    """Units on hand that those who wait will take first, `[items, nodes]`."""
    return np.minimum(simulation.state.on_hand, simulation.state.waiting)


def stock_table(simulation: Simulation) -> pl.DataFrame:
    """Table `on_hand`: what is there, less what demand that waits will take before anybody else.

    An instance has no table of backlog. Without it the position would count units that are sold already.
    """
    world, stock = simulation.world, simulation.state.on_hand - promised_to_backlog(simulation)
    item, node = np.nonzero(stock)
    return pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items, pl.String).gather(item),
            "node_id": pl.Series("node", world.nodes, pl.String).gather(node),
            "units": stock[item, node].astype(float),
        }
    )


def expiries_table(simulation: Simulation, today: int) -> pl.DataFrame:
    """Table `expiries`: until when the stock of `stock_table` can be sold; demand that waits takes the oldest."""
    world, state = simulation.world, simulation.state
    item = np.flatnonzero(state.lot_row >= 0)
    lots = state.lots[:, :, today:]
    promised = promised_to_backlog(simulation)[item]
    left = np.diff(np.maximum(np.cumsum(lots, 2) - promised[:, :, None], 0), axis=2, prepend=0)
    # The last column holds what can be sold until some later day.
    row, node, day = np.nonzero(left[:, :, :-1])
    return pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items, pl.String).gather(item[row]),
            "node_id": pl.Series("node", world.nodes, pl.String).gather(node),
            "last_period": day,
            "units": left[row, node, day].astype(float),
        }
    )


def under_way_table(simulation: Simulation, today: int) -> pl.DataFrame:
    """Table `on_order`: everything that is under way after the receipts of `today`, by the day it is promised for.

    A shipment that is late, or waits outside, is expected tomorrow. Demand that waits and finds no stock will take the
    first units that arrive: these are left out.
    """
    world = simulation.world
    parts = [simulation.queue, *(part for day in sorted(simulation.due) for part in simulation.due[day])]
    # Nobody knows yet that these will not come.
    parts += [lacking[:4] for day in sorted(simulation.missing) for lacking in simulation.missing[day]]
    item, node, units, promised = (np.concatenate([part[k] for part in parts]) for k in range(4))
    table = pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items, pl.String).gather(item),
            "node_id": pl.Series("node", world.nodes, pl.String).gather(node),
            "period_due": np.maximum(promised - today, 1),
            "units": units.astype(float),
        }
    )
    keys = ["item_id", "node_id"]
    table = table.group_by(*keys, "period_due", maintain_order=True).agg(pl.col("units").sum())
    owed = simulation.state.waiting - promised_to_backlog(simulation)
    if not owed.any():
        return table
    at_item, at_node = np.nonzero(owed)
    owing = pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items, pl.String).gather(at_item),
            "node_id": pl.Series("node", world.nodes, pl.String).gather(at_node),
            "owed": owed[at_item, at_node].astype(float),
        }
    )
    joined = table.sort("period_due", maintain_order=True).join(owing, on=keys, how="left", maintain_order="left")
    # What is owed beyond what came before this row.
    left = pl.col("owed").fill_null(0.0) - (pl.col("units").cum_sum().over(keys) - pl.col("units"))
    taken = left.clip(0.0, pl.col("units"))
    rest = joined.with_columns(units=pl.col("units") - taken).filter(pl.col("units") > 0)
    return rest.select(*keys, "period_due", "units")


def backlog_table(simulation: Simulation) -> pl.DataFrame:
    """Demand that waits, by item, region and speed asked for."""
    world, waits = simulation.world, simulation.backlog
    table = pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items, pl.String).gather(waits.item),
            "region_id": pl.Series("region", world.regions, pl.String).gather(waits.region),
            "speed_id": pl.Series("speed", world.speeds, pl.String).gather(waits.speed),
            "units": waits.units.astype(float),
        }
    )
    return table.group_by("item_id", "region_id", "speed_id", maintain_order=True).agg(pl.col("units").sum())


def observed_history(tables, items: list[str], sales: np.ndarray) -> pl.DataFrame:
    """Past sales, with those of the days lived `[days, items]` added; a day without sales has no row."""
    history = frame(tables, "forecast")
    day, item = np.nonzero(sales)
    dates = pl.Series("ds", [tables.settings.date_of(int(d)) for d in day], pl.Date)
    seen = pl.DataFrame(
        {"item_id": pl.Series("item", items, pl.String).gather(item), "ds": dates, "units": sales[day, item]}
    )
    if "available" in history.columns:
        seen = seen.with_columns(available=pl.lit(True))
    cast = seen.with_columns(pl.col(name).cast(history.schema[name]) for name in seen.columns)
    return pl.concat([history, cast.select(history.columns)])


def orders_table(simulation: Simulation, done: list[Shipments], day: int) -> pl.DataFrame:
    """The purchase orders among what was ordered and shipped on a day, with the columns of `plan/orders`."""
    world, supply = simulation.world, simulation.world.supply
    _, units, source = _filled(done)
    # What a vendor refused has no units.
    bought = (source >= len(supply.lane_from)) & (units > 0)
    offer, units = source[bought] - len(supply.lane_from), units[bought]
    today, due = _dates(simulation, source[bought], supply.offer_node[offer], day)
    cost = unit_prices(supply, offer, units)
    return pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items, pl.String).gather(offer_items(supply)[offer]),
            "vendor_id": pl.Series("vendor", world.vendors, pl.String).gather(supply.offer_vendor[offer]),
            "node_id": pl.Series("node", world.nodes, pl.String).gather(supply.offer_node[offer]),
            "units": units,
            "packs": units // supply.offer_pack[offer],
            "unit_cost": cost,
            "cost": cost * units,
            "order_date": today,
            "due_date": due,
        }
    )


def transfers_table(simulation: Simulation, done: list[Shipments], day: int) -> pl.DataFrame:
    """The transfers among what was ordered and shipped on a day, with the columns of `plan/transfers`."""
    world, supply = simulation.world, simulation.world.supply
    item, units, source = _filled(done)
    moved = source < len(supply.lane_from)
    lane = source[moved]
    today, due = _dates(simulation, lane, supply.lane_to[lane], day)
    nodes = pl.Series("node", world.nodes, pl.String)
    table = pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items, pl.String).gather(item[moved]),
            "from_node": nodes.gather(supply.lane_from[lane]),
            "to_node": nodes.gather(supply.lane_to[lane]),
            "units": units[moved],
            "ship_date": today,
            "due_date": due,
        }
    )
    # Units of different age are one transfer.
    keys = [name for name in table.columns if name != "units"]
    return table.group_by(keys, maintain_order=True).agg(pl.col("units").sum()).select(table.columns)


def _filled(done: list[Shipments]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Item, units and source of everything that was ordered and shipped."""
    columns = [[getattr(out, name)[: int(out.filled[0])] for out in done] for name in ("item", "units", "source")]
    item, units, source = (np.concatenate([np.zeros(0, np.int64), *parts]) for parts in columns)
    return item, units, source


def _dates(simulation: Simulation, source: np.ndarray, node: np.ndarray, day: int) -> tuple[pl.Series, pl.Series]:
    """The day, and the days on which what comes from these sources is expected."""
    date_of = simulation.world.settings.date_of
    today = date_of(day)
    supply = simulation.supply_side[0]
    expected = expected_days(supply, node, day + promised_days(supply, source))
    due = [date_of(int(number)) for number in expected]
    return pl.Series("today", [today] * len(due), pl.Date), pl.Series("due", due, pl.Date)
