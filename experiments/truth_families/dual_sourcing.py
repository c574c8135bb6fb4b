"""One site, backorders, a slow and a fast vendor: the dual-index policy against its published cost.

An expedited order arrives in the period in which it is placed, before demand; a regular one l periods later. Here
both are placed at the end of the period before: lead times 1 and l + 1. The average cost includes the purchase.
All rows are items of one instance, which share nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from meio_jax.tables import Tables
from truth_families.laws import equally_likely
from truth_families.network import Item, Offer, Setting, Site, build
from truth_families.plan import Effort, cost_rates, find_plan
from truth_families.results import Result
from truth_families.rows import Row

NAME = "dual_sourcing"
EFFORT = Effort(train=2048, per_step=64, holdout=2**17, first_steps=400, second_steps=150)
PERIODS, WARMUP = 360, 60
DEMAND = [0.0, 1.0, 2.0, 3.0, 4.0]
TOLERANCE_PCT = 0.3


def label(row: Row) -> str:
    """A name that tells rows apart."""
    columns = {"l": "regular_lead_time", "c_r": "regular_cost", "c_e": "expedited_cost", "h": "holding"}
    return " ".join(f"{short}={row.text(column)}" for short, column in {**columns, "b": "backorder"}.items())


def tables(rows: Sequence[Row]) -> Tables:
    """One item for each row, with two offers."""
    names = [label(row) for row in rows]
    offers = []
    for name, row in zip(names, rows, strict=True):
        lead = row.whole("regular_lead_time") + 1
        offers.append(Offer(name, "site", lead, row.number("regular_cost"), vendor="regular"))
        # The policy decides what the fast vendor gets; no share of the plain order goes there.
        offers.append(Offer(name, "site", 1, row.number("expedited_cost"), vendor="expedited", share=0.0))
    settings = {"name": NAME, "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
    history = {"forecast": "history", "history_block": 1}
    return build(
        Setting(
            settings={**settings, **history, "terminal_credit": 0.0, "stationary_targets": True},
            sites=[Site("site")],
            items=[
                Item(name, {"site": 1.0}, row.number("holding"), row.number("backorder"), unmet="backorder")
                for name, row in zip(names, rows, strict=True)
            ],
            offers=offers,
            forecast=equally_likely(names, DEMAND),
        )
    )


def run(rows: Sequence[Row], *, quick: bool, report: Callable[[Result], None]) -> None:
    """The dual-index policy for every row that has a reference for it."""
    known = [row for row in rows if row.has("gap_dual_index_pct")]
    if not known:
        return
    started = time.perf_counter()
    plan = find_plan(tables(known), "dual_index", EFFORT.quick() if quick else EFFORT)
    mean, half = cost_rates(plan)
    seconds = (time.perf_counter() - started) / len(known)
    for row, ours, spread in zip(known, mean.tolist(), half.tolist(), strict=True):
        reference = row.number("optimal") * (1 + row.number("gap_dual_index_pct") / 100)
        interval = (ours - spread, ours + spread)
        report(Result(NAME, label(row), reference, ours, interval, TOLERANCE_PCT, seconds))
