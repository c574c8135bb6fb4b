"""What a simulation gives: frames that can be compared, plan against plan, item by item."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest.books import C_DEMAND, COUNTS, TERMS, Books, State
from meio_jax.backtest.network import World

WHOLE = ("vendor_orders", "trucks", "refused_orders", "postponed_orders")
"""Whole orders at vendors with rules of their own (table `vendors`), and what became of others."""


class Run(NamedTuple):
    """One replication: books, final state, `usage [2, resources, buckets]` (sum and daily peak), units by
    lane and offer `flows [lanes + offers, buckets]`, units owed `[items]`, orders served, seconds
    spent, and whole orders at vendors `[4]`: placed, their trucks, refused, and put off (times)."""

    books: Books
    state: State
    usage: np.ndarray
    flows: np.ndarray
    owed: np.ndarray
    orders: int
    seconds: float
    whole: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """Results; means over the replications unless a frame has a column `replication`. Charged days only.

    Attributes:
        items: per item: the cost terms and `total` (money), units (`demand, shipped, on_time, late, lost,
            downgraded, backordered`, `waited` outside and `held` before outbound docks in unit-days, `purchased,
            received, transferred, wasted`),
            `unit_km`, `carbon_kg`.
        replications: the same, summed over items, per replication; also `orders`, `seconds`, and of vendors with rules
            for whole orders `vendor_orders`, their `trucks`, `refused_orders` and `postponed_orders`.
        item_costs: `[replications, items]` total cost, for paired comparisons.
        item_demand: `[replications, items]` units asked for, which explain most of the noise of the costs.
        balance: per replication, units over all days: `start, purchased, shipped, wasted, end` (start + purchased =
            shipped + wasted + end, counting goods under way).
        sites: units, outbound and handling cost by node and speed used.
        promises: by speed asked for: demand, on_time, downgraded, lost; `km` is the mean distance at that
            speed.
        service: demand and on_time by region, speed and bucket.
        stock: per day and node at the end of the day: units, m3, what waits outside (units, m3), and what of the first
            is promised and waits to leave (units, m3).
        capacity: per resource and bucket: usage in the unit of its capacity, `peak` (largest day), capacity,
            `violation` (relative, of the mean usage), `excess` (relative, of the peak day), and `kept_in`, the share of
            the replications in which the bucket keeps it (null for floors).
        transfers: units by lane and bucket.
        purchases: units by vendor, node and bucket.
        detail: units and outbound cost by item, node and speed (empty unless asked for).
        levels: mean stock by item and node (likewise).
        kept: demand and units on time by item and speed asked for (likewise).
    """

    items: pl.DataFrame
    replications: pl.DataFrame
    item_costs: np.ndarray
    item_demand: np.ndarray
    balance: pl.DataFrame
    sites: pl.DataFrame
    promises: pl.DataFrame
    service: pl.DataFrame
    stock: pl.DataFrame
    capacity: pl.DataFrame
    transfers: pl.DataFrame
    purchases: pl.DataFrame
    detail: pl.DataFrame
    levels: pl.DataFrame
    kept: pl.DataFrame

    @property
    def cost(self) -> float:
        """Mean total cost of a replication, money."""
        return float(np.mean(self.replications["total"].to_numpy()))

    def metrics(self) -> dict[str, float]:
        """The figures that labs compare: costs by term, promises kept, distance, stock, violations."""
        total = self.replications.select(pl.col(pl.Float64, pl.Int64).mean()).to_dicts()[0]
        out = {name: float(total[name]) for name in ("total", *TERMS, *COUNTS, "unit_km", "carbon_kg")}
        out["fill_rate"] = out["on_time"] / max(out["demand"], 1e-9)
        out["lost_share"] = out["lost"] / max(out["demand"], 1e-9)
        out["km_per_unit"] = out["unit_km"] / max(out["shipped"], 1e-9)
        by_day = self.stock.group_by("day").agg(pl.col("units").sum())["units"].to_numpy()
        out["stock_units"] = float(np.mean(by_day))
        for row in self.promises.iter_rows(named=True):
            out[f"promise_{row['speed_id']}"] = row["on_time"] / max(row["demand"], 1e-9)
        worst = self.capacity.group_by("kind").agg(pl.col("violation").max(), pl.col("excess").max())
        for row in worst.iter_rows(named=True):
            out[f"violation_{row['kind']}"] = row["violation"]
            out[f"excess_{row['kind']}"] = row["excess"]
        return out


def summarise(world: World, runs: list[Run], options) -> Outcome:
    """Frames of a list of replications."""
    books = [run.books for run in runs]
    totals = np.stack([book.cost.sum(1) for book in books])
    return Outcome(
        items=_items(world, books),
        replications=_replications(runs),
        item_costs=totals,
        item_demand=np.stack([book.tally[:, C_DEMAND] for book in books]),
        balance=_balance(world, runs),
        sites=_sites(world, books),
        promises=_promises(world, books),
        service=_service(world, books),
        stock=_stock(world, books),
        capacity=_capacity(world, runs),
        transfers=_transfers(world, runs),
        purchases=_purchases(world, runs),
        detail=_detail(world, books),
        levels=_levels(world, books),
        kept=_kept(world, books),
    )


def _mean(arrays: list[np.ndarray]) -> np.ndarray:
    total = arrays[0].astype(float)
    for array in arrays[1:]:
        total = total + array
    return total / len(arrays)


def _items(world: World, books: list[Books]) -> pl.DataFrame:
    cost, count = _mean([b.cost for b in books]), _mean([b.tally for b in books])
    columns = {name: cost[:, k] for k, name in enumerate(TERMS)}
    columns |= {"total": cost.sum(1)} | {name: count[:, k] for k, name in enumerate(COUNTS)}
    columns |= {"unit_km": _mean([b.km for b in books]), "carbon_kg": _mean([b.carbon for b in books])}
    return pl.DataFrame({"item_id": world.items} | columns)


def _replications(runs: list[Run]) -> pl.DataFrame:
    rows = []
    for index, run in enumerate(runs):
        cost, count = run.books.cost.sum(0), run.books.tally.sum(0)
        row: dict[str, float | int] = {"replication": index, "total": float(cost.sum())}
        row |= dict(zip(TERMS, cost.tolist(), strict=True)) | dict(zip(COUNTS, count.tolist(), strict=True))
        row |= {"unit_km": float(run.books.km.sum()), "carbon_kg": float(run.books.carbon.sum())}
        row |= dict(zip(WHOLE, run.whole.tolist(), strict=True))
        rows.append(row | {"orders": run.orders, "seconds": run.seconds})
    return pl.DataFrame(rows)


def _balance(world: World, runs: list[Run]) -> pl.DataFrame:
    start = int(world.on_hand.sum() + world.on_order[2].sum())
    rows = [
        {
            "replication": index,
            "start": start,
            "purchased": int(run.books.flow[:, 0].sum()),
            "shipped": int(run.books.flow[:, 1].sum()),
            "wasted": int(run.books.flow[:, 2].sum()),
            "end": int(run.state.on_hand.sum() + run.state.on_order.sum()),
        }
        for index, run in enumerate(runs)
    ]
    return pl.DataFrame(rows)


def _table(names: dict[str, list], values: dict[str, np.ndarray]) -> pl.DataFrame:
    """A long frame of arrays that share the axes `names`."""
    sizes = [len(labels) for labels in names.values()]
    grid = np.indices(sizes).reshape(len(sizes), -1)
    columns: dict = {}
    for (name, labels), index in zip(names.items(), grid, strict=True):
        columns[name] = pl.Series(name, labels).gather(index) if labels else pl.Series(name, [], pl.String)
    return pl.DataFrame(columns | {name: np.asarray(value).reshape(-1) for name, value in values.items()})


def _sites(world: World, books: list[Books]) -> pl.DataFrame:
    site = _mean([b.site for b in books])
    values = {"units": site[..., 0], "outbound_cost": site[..., 1], "handling_cost": site[..., 2]}
    return _table({"node_id": world.nodes, "speed_id": world.speeds}, values)


def _promises(world: World, books: list[Books]) -> pl.DataFrame:
    promise, distance = _mean([b.promise for b in books]), _mean([b.speed_km for b in books])
    names = ("demand", "on_time", "downgraded", "backordered", "lost")
    values = {name: promise[:, k] for k, name in enumerate(names)}
    values["share"] = promise[:, 1] / np.maximum(promise[:, 0], 1e-9)
    values["km"] = distance[:, 1] / np.maximum(distance[:, 0], 1e-9)
    return _table({"speed_id": world.speeds}, values)


def _service(world: World, books: list[Books]) -> pl.DataFrame:
    service = _mean([b.service for b in books])
    names: dict[str, list] = {"region_id": world.regions, "speed_id": world.speeds}
    names["bucket"] = list(range(world.buckets))
    return _table(names, {"demand": service[..., 0], "on_time": service[..., 1]})


def _stock(world: World, books: list[Books]) -> pl.DataFrame:
    stock = _mean([b.stock for b in books])
    names = ("units", "m3", "waiting_units", "waiting_m3", "held_units", "held_m3")
    table = _table(
        {"day": list(range(world.periods)), "node_id": world.nodes},
        {n: stock[..., k] for k, n in enumerate(names)},
    )
    return table.with_columns(pl.Series("kind", world.kinds * world.periods))


def charged_days(world: World) -> np.ndarray:
    """Charged days of every bucket."""
    days = np.arange(world.periods)
    return np.bincount(days[days >= world.warmup] // world.bucket_periods, minlength=world.buckets)


def _capacity(world: World, runs: list[Run]) -> pl.DataFrame:
    """Usage in the unit of its capacity: averages per day, totals for spend, shares for floors."""
    rows = world.limit_rows
    days = np.maximum(charged_days(world), 1)
    total, peak = _mean([run.usage[0] for run in runs]), np.max([run.usage[1] for run in runs], axis=0)
    kind = np.array(rows["kind"].to_list())
    usage = np.where((kind == "spend")[:, None], total, total / days)
    peak = np.where((kind == "spend")[:, None], usage, peak)
    floors = (kind == "service") | (kind == "in_stock")
    for number in np.flatnonzero(floors):
        usage[number] = _share(world, runs, int(number))
    peak[floors] = usage[floors]
    capacity = world.limits.capacity
    most = np.where((kind == "spend")[:, None], capacity, capacity * days)
    kept = _mean([np.where(run.usage[0] <= most + 1e-9, 1.0, 0.0) for run in runs])
    kept[floors] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        over, extreme = (np.where(capacity > 0, x / capacity - 1, np.where(x > 0, np.inf, 0)) for x in (usage, peak))
        short = np.where(np.isfinite(capacity) & (capacity > 0), 1 - usage / capacity, 0)
    over = np.where(np.isfinite(capacity), np.where(floors[:, None], short, over), 0)
    extreme = np.where(np.isfinite(capacity), np.where(floors[:, None], short, extreme), 0)
    values = {
        "usage": usage,
        "peak": peak,
        "capacity": capacity,
        "violation": np.maximum(over, 0),
        "excess": np.maximum(extreme, 0),
        "kept_in": kept,
    }
    names = {"resource_id": rows["resource_id"].to_list(), "bucket": list(range(world.buckets))}
    table = _table(names, values).with_columns(pl.col("kept_in").fill_nan(None))
    return table.join(rows.select("resource_id", "kind", "measure"), on="resource_id", how="left")


def _share(world: World, runs: list[Run], number: int) -> np.ndarray:
    """Share that a floor asks for, of demand or of item x node x days, by bucket; 1 where there is neither."""
    closer, row = world.limits.floors.row.tolist(), world.limit_rows.row(number, named=True)
    if number in closer:
        asked, kept = _mean([run.books.floor for run in runs])[closer.index(number)].T
        return np.where(asked > 0, kept / np.where(asked > 0, asked, 1), 1.0)
    service = _mean([run.books.service for run in runs])
    if row["region_group"] != -1:
        service = service[world.region_group == row["region_group"]]
    if row["speed"] != -1:
        service = service[:, row["speed"] : row["speed"] + 1]
    demand, served = service.sum((0, 1)).T
    return np.where(demand > 0, served / np.where(demand > 0, demand, 1), 1.0)


def _transfers(world: World, runs: list[Run]) -> pl.DataFrame:
    supply = world.supply
    flows = _mean([run.flows for run in runs])[: len(supply.lane_from)]
    lane, bucket = np.indices(flows.shape).reshape(2, -1)
    nodes = pl.Series("node", world.nodes)
    return pl.DataFrame(
        {
            "from_node": nodes.gather(supply.lane_from[lane]),
            "to_node": nodes.gather(supply.lane_to[lane]),
            "bucket": bucket,
            "units": flows.reshape(-1),
        }
    )


def _purchases(world: World, runs: list[Run]) -> pl.DataFrame:
    supply = world.supply
    flows = _mean([run.flows for run in runs])[len(supply.lane_from) :]
    offer, bucket = np.nonzero(flows)
    table = pl.DataFrame(
        {
            "vendor_id": pl.Series("vendor", world.vendors, pl.String).gather(supply.offer_vendor[offer]),
            "node_id": pl.Series("node", world.nodes, pl.String).gather(supply.offer_node[offer]),
            "bucket": bucket,
            "units": flows[offer, bucket],
        }
    )
    return table.group_by("vendor_id", "node_id", "bucket", maintain_order=True).agg(pl.col("units").sum())


def _detail(world: World, books: list[Books]) -> pl.DataFrame:
    detail = _mean([b.detail for b in books])
    item, node, speed = np.nonzero(detail[..., 0])
    return pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items).gather(item),
            "node_id": pl.Series("node", world.nodes).gather(node),
            "speed_id": pl.Series("speed", world.speeds).gather(speed),
            "units": detail[item, node, speed, 0],
            "outbound_cost": detail[item, node, speed, 1],
        }
    )


def _levels(world: World, books: list[Books]) -> pl.DataFrame:
    level = _mean([b.level for b in books]) / max(int(charged_days(world).sum()), 1)
    item, node = np.nonzero(level)
    return pl.DataFrame(
        {
            "item_id": pl.Series("item", world.items).gather(item),
            "node_id": pl.Series("node", world.nodes).gather(node),
            "on_hand": level[item, node],
        }
    )


def _kept(world: World, books: list[Books]) -> pl.DataFrame:
    kept = _mean([b.kept for b in books])
    items = world.items if kept.shape[0] else []
    return _table({"item_id": items, "speed_id": world.speeds}, {"demand": kept[..., 0], "on_time": kept[..., 1]})
