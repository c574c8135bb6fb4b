"""Newsvendor items that share one capacity: a season of one period, bought before it starts.

Order up to q at the end of period 0, which has no demand and is not charged; period 1 is the season. The shared
capacity is the m3 that the site may receive in the season. What is left over is held once, what is not met is lost.
The plan is made on sample paths (evenly spread quantiles of each law) and judged on draws from the laws themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from meio_jax.planner import Plan
from meio_jax.tables import Tables
from truth_families.laws import law, mean_forecast, season_paths
from truth_families.network import Item, Offer, Setting, Site, build
from truth_families.plan import Effort, find_plan, judged_on
from truth_families.results import Result
from truth_families.rows import Row

NAME = "capacity_newsvendor"
GRID = 2**15
EFFORT = Effort(train=2 * GRID, per_step=GRID, holdout=GRID, first_steps=500, second_steps=400)
JUDGED_ON = 2**24
COST_PCT, PRICE_PCT, DUAL_PCT, USE_PCT = 0.1, 1.0, 0.1, 0.01


def tables(row: Row, grid: int = 0) -> Tables:
    """The instance of a row: demand in sample paths, or drawn from its law where `grid` is 0."""
    mean = row.numbers("mean")
    count = len(mean)
    sd = row.numbers("sd", count) if row.has("sd") else [None] * count
    holding, penalty, volume = (row.numbers(name, count) for name in ("holding", "penalty", "volume"))
    names = [f"item-{number}" for number in range(count)]
    laws = {name: law(row.text("demand"), *moments) for name, *moments in zip(names, mean, sd, strict=True)}
    items = [Item(names[i], {"site": 1.0}, holding[i], penalty[i], volume=volume[i]) for i in range(count)]
    settings = {
        "name": row.text("instance"),
        "periods": 2,
        "bucket_periods": 2,
        "warmup_periods": 1,
        "ordering": "morning",
    }
    capacity = {
        "resource_id": "dock",
        "kind": "inbound",
        "node_id": "site",
        "measure": "m3",
        "capacity": row.number("capacity"),
    }
    form = {"forecast": "paths" if grid else "mean"}
    return build(
        Setting(
            settings={**settings, **form, "terminal_credit": 0.0, "stationary_targets": True},
            sites=[Site("site", review_period=2)],
            items=items,
            offers=[Offer(name, "site", 1) for name in names],
            forecast=season_paths(laws, grid) if grid else mean_forecast(laws, periods=2, first=1),
            resources=[capacity],
            # What is added to demand lies there already, so that an order of nothing is an order of nothing.
            on_hand=[(name, "site", one.shift) for name, one in laws.items() if one.shift > 0],
        )
    )


def price_and_spread(plan: Plan) -> tuple[float, float]:
    """The price of the capacity, and half of a 95 % interval from how it moved at the end of the search."""
    price = float(plan.frames()["prices"]["price"].item())
    late = np.asarray([step.price_norm for step in plan.solution.history])
    return price, 1.96 * float(late[late.size // 2 :].std())


def run(rows: Sequence[Row], *, quick: bool, report: Callable[[Result], None]) -> None:
    """Cost, price and dual value of every row."""
    for row in rows:
        started = time.perf_counter()
        effort = EFFORT.quick() if quick else EFFORT
        plan = find_plan(tables(row, GRID), "base_stock", effort)
        ours, (low, high) = judged_on(tables(row), plan, JUDGED_ON // 64 if quick else JUDGED_ON)
        price, spread = price_and_spread(plan)
        # Usage is what was ordered, the same in every scenario, so price times excess has no noise.
        dual = ours + plan.certificate.lagrangian - plan.certificate.holdout_objective
        half = (high - low) / 2
        name = f"{row.text('instance')} C={row.text('capacity')}"
        seconds = time.perf_counter() - started
        cost = row.number("cost")
        report(Result(NAME, name, cost, ours, (low, high), COST_PCT, seconds))
        # A plan that uses more than there is would be cheap for the wrong reason.
        capacity = row.number("capacity")
        used = capacity * (1 + plan.certificate.largest_violation)
        report(Result(NAME, f"{name}: use of capacity", capacity, used, (used, used), USE_PCT, seconds))
        interval = (price - spread, price + spread)
        # No price is above the most that a unit of the capacity can save.
        most = max(p / v for p, v in zip(row.numbers("penalty"), row.numbers("volume"), strict=True))
        report(Result(NAME, f"{name}: price", row.number("price"), price, interval, PRICE_PCT, seconds, True, most))
        interval = (dual - half, dual + half)
        report(Result(NAME, f"{name}: dual value", cost, dual, interval, DUAL_PCT, seconds, True))
