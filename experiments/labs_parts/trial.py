"""Randomised A/B by item: every item meets the same customers and vendors under both plans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.backtest import Options, Outcome, PlanTable, World, simulate

SUMS = (
    "total", "purchase", "inbound", "transfer", "handling", "holding", "outbound", "downgrade", "lost_sale",
    "backorder", "terminal", "demand", "shipped", "on_time", "lost", "downgraded", "purchased", "transferred",
    "waited", "unit_km", "carbon_kg",
)  # fmt: skip


@dataclass(frozen=True)
class Sides:
    """Item tables of two plans, means over replications: `[items]` by name, baseline first."""

    baseline: dict[str, np.ndarray]
    ours: dict[str, np.ndarray]


@dataclass(frozen=True)
class Felt:
    """Worlds where all items follow one plan. `usage` has a row per resource, bucket and replication
    (`resource_id, bucket, kind, usage, capacity`); `sums` by name has a figure of each replication."""

    usage: pl.DataFrame
    sums: dict[str, np.ndarray]


def all_items_follow(tables, world: World, plan: PlanTable, options: Options, *, seed: int, replications: int) -> Felt:
    """Worlds where all items follow one plan: they alone can say what capacities feel."""
    usage, sums = [], []
    begin = float(item_value_at_start(world).sum())
    fast = world.speeds[:-1]
    for replication in range(replications):
        outcome = simulate(tables, plan, seed=seed + replication, replications=1, options=options, world=world)
        usage.append(outcome.capacity.select("resource_id", "bucket", "kind", "usage", "capacity"))
        items = outcome.items.select(pl.col("outbound", "lost", "on_time", "demand", "shipped").sum()).to_dicts()[0]
        asked = outcome.promises.filter(pl.col("speed_id").is_in(fast)).select(pl.col("demand", "on_time").sum())
        promised = dict(zip(("asked_fast", "kept_fast"), asked.row(0), strict=True))
        sums.append({"total": outcome.cost + begin} | items | promised)
    return Felt(pl.concat(usage), {name: np.array([one[name] for one in sums], float) for name in sums[0]})


def units_at_start(world: World) -> np.ndarray:
    """Units of each item that the network has at the start, on hand and under way."""
    start = world.on_hand.sum(1).astype(float)
    np.add.at(start, world.on_order[0], world.on_order[2])
    return start


def item_value_at_start(world: World) -> np.ndarray:
    """Their value at the rate at which what is left at the end is credited, money."""
    return world.terminal_credit * world.catalog.unit_cost * units_at_start(world)


def item_table(outcome: Outcome, world: World) -> dict[str, np.ndarray]:
    """What the labs compare, per item."""
    table = {name: outcome.items[name].to_numpy().astype(float) for name in SUMS}
    place = pl.DataFrame({"item_id": world.items, "row": np.arange(len(world.items))})

    def spread(frame: pl.DataFrame, value: str) -> np.ndarray:
        summed = frame.group_by("item_id").agg(pl.col(value).sum().alias("v"))
        joined = place.join(summed, on="item_id", how="left").sort("row")
        return joined["v"].fill_null(0.0).to_numpy().astype(float)

    table["stock"] = spread(outcome.levels, "on_hand")
    for speed in world.speeds:
        asked = outcome.kept.filter(pl.col("speed_id") == speed)
        table[f"asked_{speed}"], table[f"kept_{speed}"] = spread(asked, "demand"), spread(asked, "on_time")
        table[f"sent_{speed}"] = spread(outcome.detail.filter(pl.col("speed_id") == speed), "units")
    start = units_at_start(world)
    table["left"] = start + table["purchased"] - table["shipped"]
    # What is left is credited at replacement cost; charging the start alike makes the total the cost of what was used.
    table["total"] = table["total"] + item_value_at_start(world)
    return table


def _blend(chosen: np.ndarray, yes: dict[str, np.ndarray], no: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.where(chosen, yes[name], no[name]) for name in yes}


def _mean(tables: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.mean([table[name] for table in tables], axis=0) for name in tables[0]}


def run_trial(
    tables, world: World, plans: tuple[PlanTable, PlanTable], options: Options, *, seed: int, replications: int
) -> Sides:
    """Cross over: in each replication half of the items, drawn anew, follow our plan and the others the baseline;
    then the halves swap, in the same world of customers, vendors and shared capacities.

    Args:
        tables: The instance, cut to the days that count.
        world: `read_world(tables)`.
        plans: The baseline and ours.
        options: What the simulator enforces; must keep detail.
        seed: Master seed; replication r uses `seed + r`.
        replications: Worlds.
    """
    baseline, ours = plans
    sides: tuple[list, list] = ([], [])
    items = np.asarray(world.items)
    for replication in range(replications):
        at = seed + replication
        chosen = np.random.default_rng(at).permutation(len(items)) < len(items) // 2

        def play(plan: PlanTable, at: int = at) -> Outcome:
            return simulate(tables, plan, seed=at, replications=1, options=options, world=world)

        first = item_table(play(baseline.mixed(ours, items[chosen].tolist())), world)
        second = item_table(play(baseline.mixed(ours, items[~chosen].tolist())), world)
        sides[0].append(_blend(chosen, second, first))
        sides[1].append(_blend(chosen, first, second))
    return Sides(_mean(sides[0]), _mean(sides[1]))
