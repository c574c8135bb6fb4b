"""A point of the service-cost curve, from the run folder of its solve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from meio_jax.runs.data import damage_told, read_run

_INTERVAL = 1.96


def point_of(run: Path, level: float, floors: list[str]) -> dict[str, Any]:
    """What one solve came to.

    Args:
        run: Its run folder.
        level: The share that was asked for.
        floors: Ids of the floors that were set to it.

    Returns:
        `service` asked, `achieved` with `achieved_low` and `achieved_high` (95 %; weighed by what each floor refers to,
        as if the errors of all floors went the same way), `cost` with its interval, its terms (`cost_...`), the dearest
        price of the floors, mean stock in units and money, days of cover, the status, steps and seconds.
    """
    data = read_run(run)
    certificate = data.certificate
    rows = data.table("prices").filter(pl.col("resource_id").is_in(floors))
    weight = rows["scope"].fill_null(0.0)
    total = max(float(weight.sum()), 1e-12)
    achieved = float((rows["usage"] * weight).sum()) / total
    error = _INTERVAL * float((rows["usage_error"].fill_null(0.0) * weight).sum()) / total
    low, high = certificate["holdout_cost_ci95"]
    cost = data.items.lazy().select("item_id", "unit_cost")
    nodes = data.tables["plan/expected_nodes"].join(cost, on="item_id", how="left")
    held = pl.col("on_hand")
    with damage_told(run):
        stock = nodes.select(held.sum().alias("units"), (held * pl.col("unit_cost")).sum().alias("money")).collect()
        demand = float(data.tables["plan/expected_items"].select(pl.col("demand").sum()).collect().item())
    units, money = stock.row(0)
    return {
        "service": level,
        "achieved": achieved,
        "achieved_low": max(achieved - error, 0.0),
        "achieved_high": min(achieved + error, 1.0),
        "cost": certificate["holdout_cost"],
        "cost_low": low,
        "cost_high": high,
        **{f"cost_{name}": value for name, value in certificate["cost_terms"].items()},
        "price": float(np.max(rows["price"].to_numpy(), initial=0.0)),
        "stock_units": float(units),
        "stock_money": float(money),
        "days_of_cover": float(units) / (demand / data.days) if demand > 0 else None,
        "status": certificate["result"],
        "steps": certificate["steps"],
        "seconds": certificate["seconds"],
    }
