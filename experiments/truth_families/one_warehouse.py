"""One warehouse and retailers with lost sales: echelon base-stock against the best printed one.

In a period goods arrive, then retailers order and the warehouse ships, then demand comes. So goods that reach the
warehouse can be shipped on at once: its lead time is that of the table. A shipment to a retailer leaves before the
demand of its period, here at the end of the period before: lead time + 1. The print gives totals over 100 periods
from full stock; ours is 100 times the long-run average (docs/validation.md says how much that matters).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from meio_jax.tables import Tables
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build
from truth_families.plan import Effort, cost_rates, find_plan
from truth_families.results import Result
from truth_families.rows import Row, TruthError

NAME = "one_warehouse"
EFFORT = Effort(train=2048, per_step=64, holdout=2**14, first_steps=400, second_steps=150)
PERIODS, WARMUP = 400, 100
PRINTED_PERIODS = 100
PRINTED = ("echelon_proportional", "echelon_min_shortage")
TOLERANCE_PCT = 3.0


def rates(row: Row) -> list[float]:
    """Mean demand of the retailers.

    Raises:
        TruthError: If a retailer's demand is not Poisson. Independent Poisson streams are one Poisson stream that is
            split at random, which is how the planner spreads an item over regions; other laws are not.
    """
    found = []
    for text in row.texts("retailer_demand"):
        name, _, mean = text.partition(":")
        try:
            found.append(float(mean))
        except ValueError:
            name = ""
        if name != "poisson":
            where = f"{row.file}, line {row.line}, column `retailer_demand`"
            raise TruthError(f"{where}: found {text!r}, expected poisson:MEAN for every retailer")
    return found


def label(row: Row) -> str:
    """A name that tells rows apart."""
    leads = f"warehouse L={row.text('warehouse_lead_time')}, retailers L={row.text('retailer_lead_times')}"
    return f"{leads}, {row.text('retailer_demand')}, p={row.text('penalty')}"


def tables(row: Row) -> Tables:
    """The instance of a row."""
    mean = rates(row)
    leads = row.wholes("retailer_lead_times", len(mean))
    retailers = [f"retailer-{number}" for number in range(1, len(mean) + 1)]
    holding = row.number("holding_retailer")
    shares = {name: rate / sum(mean) for name, rate in zip(retailers, mean, strict=True)}
    settings = {"name": NAME, "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
    warehouse = Site("warehouse", holding_factor=row.number("holding_warehouse") / holding, sells=False)
    return build(
        Setting(
            settings={**settings, "forecast": "mean", "terminal_credit": 0.0, "stationary_targets": True},
            sites=[warehouse, *(Site(name) for name in retailers)],
            items=[Item("item", shares, holding, row.number("penalty"))],
            offers=[Offer("item", "warehouse", row.whole("warehouse_lead_time"))],
            forecast=mean_forecast({"item": law("poisson", sum(mean))}, PERIODS),
            lanes=[("warehouse", name, lead + 1) for name, lead in zip(retailers, leads, strict=True)],
        )
    )


def run(rows: Sequence[Row], *, quick: bool, report: Callable[[Result], None]) -> None:
    """Echelon base-stock on every row that has a printed one."""
    for row in rows:
        printed = [row.number(column) for column in PRINTED if row.has(column)]
        if not printed:
            continue
        started = time.perf_counter()
        plan = find_plan(tables(row), "echelon", EFFORT.quick() if quick else EFFORT)
        mean, half = cost_rates(plan)
        ours, spread = PRINTED_PERIODS * float(mean[0]), PRINTED_PERIODS * float(half[0])
        seconds = time.perf_counter() - started
        interval = (ours - spread, ours + spread)
        report(Result(NAME, label(row), min(printed), ours, interval, TOLERANCE_PCT, seconds))
