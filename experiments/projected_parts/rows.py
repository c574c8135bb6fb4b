"""Rows of a result: what a plan costs per period, item by item, beside a reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from truth_families.plan import Effort, cost_rates, find_plan

from meio_jax.tables import Tables

Report = Callable[[list[dict]], None]


def planned_rows(
    tables: Tables,
    policy: str,
    effort: Effort,
    labels: Sequence[str],
    reference: np.ndarray | None,
    *,
    stationary: bool,
) -> list[dict]:
    """Plan the items of an instance with a policy, and hold each against its reference (None: its own cost)."""
    started = time.perf_counter()
    mean, half = cost_rates(find_plan(tables, policy, effort, stationary=stationary))
    against = mean if reference is None else reference
    seconds = round((time.perf_counter() - started) / len(labels), 2)
    return [
        {
            "system": label,
            "policy": policy,
            "reference": float(known),
            "cost": float(cost),
            "half_width": float(width),
            "gap_pct": 100 * float(cost / known - 1),
            "seconds": seconds,
        }
        for label, known, cost, width in zip(labels, against, mean, half, strict=True)
    ]
