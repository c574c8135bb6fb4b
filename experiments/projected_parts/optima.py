"""The 32 lost-sales systems as items of one instance, planned with each policy and held against their exact optima.

An order is placed in the morning before the day's demand and arrives L periods later: the system of Zipkin (2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from truth_families.laws import law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build
from truth_families.plan import Effort

from meio_jax.tables import Tables
from projected_parts.optimum import System, least_cost
from projected_parts.rows import Report, planned_rows

EFFORT = Effort(train=256, per_step=32, holdout=2**15, first_steps=100, second_steps=0, block_items=32)
PERIODS, WARMUP = 120, 20
POLICIES = ("projected_level", "base_stock")
SYSTEMS = tuple(
    System(demand, float(penalty), lead)
    for demand in ("poisson", "geometric")
    for penalty in (4, 9, 19, 39)
    for lead in (1, 2, 3, 4)
)


def tables(systems: Sequence[System]) -> Tables:
    """One item for each system; they share nothing."""
    settings = {"name": "lost-sales", "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
    more = {"forecast": "mean", "terminal_credit": 0.0, "stationary_targets": True, "ordering": "morning"}
    return build(
        Setting(
            settings=settings | more,
            sites=[Site("site")],
            items=[Item(one.label, {"site": 1.0}, 1.0, one.penalty) for one in systems],
            offers=[Offer(one.label, "site", one.lead_time) for one in systems],
            forecast=mean_forecast({one.label: law(one.demand, one.mean) for one in systems}, PERIODS),
        )
    )


def run(*, policies: Sequence[str] | None, quick: bool, report: Report, correction: Path | None = None) -> list[dict]:
    """A row for every system and policy; `correction` is the file of the network of the policy `neural`."""
    systems = SYSTEMS[::7] if quick else SYSTEMS
    least = np.array([least_cost(one) for one in systems])
    labels, effort = [one.label for one in systems], EFFORT.quick() if quick else EFFORT
    rows = []
    for policy in policies or POLICIES:
        network = correction if policy == "neural" else None
        rows += planned_rows(tables(systems), policy, effort, labels, least, stationary=True, correction=network)
        report(rows)
    return rows
