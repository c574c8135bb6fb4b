"""A national network planned by cost and by value, and both plans lived order by order, by either rule."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from meio_jax.backtest import Options, Outcome, PlanTable, simulate
from meio_jax.config import make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.planner import certify, prepare, search
from meio_jax.tables import Tables, read_instance

TERMS = ("total", "outbound", "handling", "lost_sale", "downgrade")
STEPS = 60


def national(items: int) -> Tables:
    """Two distribution centres, five fulfilment centres, three same-day sites; three speeds, two waves."""
    shape = {"shape": "national", "nodes_per_tier": (2, 5, 3), "regions": 8, "speeds": 3, "periods": 28, "waves": 2}
    with tempfile.TemporaryDirectory() as folder:
        generate_instance(GenerateOptions(items=items, seed=3, **shape), Path(folder) / "instance")
        return read_instance(Path(folder) / "instance")


def rows(items: int, worlds: int) -> list[dict]:
    """A row for every pair of rules: that levels were searched with, and that orders were assigned by."""
    tables = national(items)
    lived: dict[tuple[str, str], Outcome] = {}
    seconds = {}
    for by in ("cost", "value"):
        config = make_config(
            scenarios={"train": 256, "per_step": 8, "holdout": 64, "clairvoyant": 0, "unit_values": 0},
            fulfilment={"by": by},
            solve={"max_steps": STEPS, "min_steps": STEPS, "probe": False, "slack_items": 0, "confirm": False},
        )
        model = prepare(tables, config)
        began = time.process_time()
        solution = search(model)
        seconds[by] = time.process_time() - began
        frames = certify(model, solution).frames()
        plan = PlanTable(frames["plan/targets"], prices=frames["prices"], shares=frames.get("plan/shares"))
        options = Options(ordering="morning", inbound="bucket", outbound="bucket")
        for rule in ("cost", "value")[: 1 + (by == "value")]:
            values = frames.get("plan/node_values") if rule == "value" else None
            served = replace(plan, values=values)
            lived[by, rule] = simulate(tables, served, replications=worlds, options=options)
    first = lived["cost", "cost"].replications["total"].to_numpy()
    found = []
    for (by, rule), outcome in lived.items():
        beyond = outcome.replications["total"].to_numpy() - first
        half = 1.96 * float(beyond.std(ddof=1)) / np.sqrt(worlds)
        money = {term: float(outcome.metrics()[term]) for term in TERMS}
        row = {"network": f"national, {items} items", "levels": f"by {by}", "orders": f"by {rule}"}
        row |= {"worlds": worlds, "search_processor_seconds": seconds[by], **money}
        found.append(row | {"difference": float(beyond.mean()), "half_width": half})
    return found
