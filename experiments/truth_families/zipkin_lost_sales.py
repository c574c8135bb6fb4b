"""One site, lost sales, lead time: base-stock and capped base-stock against the best of their kind.

Zipkin places the order of a period before its demand and receives it L periods later; here an order is placed at the
end of the period before, so its lead time is L + 1. All rows are items of one instance, which share nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from meio_jax.tables import Tables
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build
from truth_families.plan import Effort, cost_rates, find_plan
from truth_families.results import Result
from truth_families.rows import Row

NAME = "zipkin_lost_sales"
EFFORT = Effort(train=2048, per_step=64, holdout=2**16, first_steps=400, second_steps=150)
PERIODS, WARMUP = 360, 60
MEAN_DEMAND, HOLDING = 5.0, 1.0
TOLERANCE_PCT = 0.5
POLICIES = {"base_stock": ("best_base_stock", "base-stock"), "capped": ("best_capped", "capped base-stock")}


def label(row: Row) -> str:
    """A name that tells rows apart."""
    return f"{row.text('demand')} p={row.text('penalty')} L={row.text('lead_time')}"


def tables(rows: Sequence[Row]) -> Tables:
    """One item for each row."""
    names = [label(row) for row in rows]
    laws = {
        name: law(row.text("demand"), row.number("mean") if row.has("mean") else MEAN_DEMAND)
        for name, row in zip(names, rows, strict=True)
    }
    settings = {"name": NAME, "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
    return build(
        Setting(
            settings={**settings, "forecast": "mean", "terminal_credit": 0.0, "stationary_targets": True},
            sites=[Site("site")],
            items=[
                Item(name, {"site": 1.0}, HOLDING, row.number("penalty")) for name, row in zip(names, rows, strict=True)
            ],
            offers=[Offer(name, "site", row.whole("lead_time") + 1) for name, row in zip(names, rows, strict=True)],
            forecast=mean_forecast(laws, PERIODS),
        )
    )


def run(rows: Sequence[Row], *, quick: bool, report: Callable[[Result], None]) -> None:
    """Both policies for every row that has a reference for them."""
    for policy, (column, title) in POLICIES.items():
        known = [row for row in rows if row.has(column)]
        if not known:
            continue
        started = time.perf_counter()
        plan = find_plan(tables(known), policy, EFFORT.quick() if quick else EFFORT)
        mean, half = cost_rates(plan)
        seconds = (time.perf_counter() - started) / len(known)
        for row, ours, spread in zip(known, mean.tolist(), half.tolist(), strict=True):
            interval = (ours - spread, ours + spread)
            name = f"{label(row)}: {title}"
            report(Result(NAME, name, row.number(column), ours, interval, TOLERANCE_PCT, seconds))
