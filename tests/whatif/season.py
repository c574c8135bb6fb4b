"""Newsvendors that share a door: what may be received for one day of sale is limited in cubic metres."""

from __future__ import annotations

import datetime

import numpy as np
import polars as pl
from scipy import optimize, stats

from meio_jax.tables import InstanceSettings, Tables

MEANS = np.asarray([12.0, 30.0, 55.0, 21.0, 40.0, 17.0])
VOLUMES = np.asarray([0.05, 0.02, 0.03, 0.08, 0.01, 0.04])
DISPERSION = 0.15
UNIT_COST, LOST, HOLDING, CREDIT = 4.0, 10.0, 0.5, 0.5
DAYS = 2
DOOR = 2.8
"""Cubic metres a day; unlimited, the items would have 6.6 brought in over both days."""


def season_tables(**changes: list[dict]) -> Tables:
    """Day 0 is for ordering; demand comes on day 1, and so does what was ordered."""
    names = [f"item{number}" for number in range(MEANS.size)]
    costs = {"weight_kg": 1.0, "price": 14.0, "unit_cost": UNIT_COST, "holding_cost": HOLDING, "profile": "all"}
    offer = {"vendor_id": "maker", "node_id": "shop", "unit_cost": UNIT_COST, "lead_time_mean": 1.0}
    law = {"dispersion": DISPERSION, "law": "gamma"}
    frames = {
        "items": [
            {"item_id": name, "volume_m3": volume, "lost_sale_cost": LOST, **costs}
            for name, volume in zip(names, VOLUMES.tolist(), strict=True)
        ],
        "nodes": [{"node_id": "shop", "kind": "fc", "review_period": DAYS}],
        "regions": [{"region_id": "town"}],
        "speeds": [{"speed_id": "now", "promise_days": 1, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": "shop", "region_id": "town", "hours": 1.0, "cost_per_unit": 0.0}],
        "cutoffs": [{"node_id": "shop", "speed_id": "now", "cutoff_hour": 24.0}],
        "shares": [{"profile": "all", "region_id": "town", "speed_id": "now", "wave": 0, "share": 1.0}],
        "offers": [{"item_id": name, **offer} for name in names],
        "forecast": [
            {"item_id": name, "period": day, "mean": mean * day, **law}
            for name, mean in zip(names, MEANS.tolist(), strict=True)
            for day in (0, 1)
        ],
        "resources": [
            {"resource_id": "door", "kind": "inbound", "node_id": "shop", "measure": "m3", "capacity": DOOR},
            {"resource_id": "door_units", "kind": "inbound", "node_id": "shop", "measure": "units", "capacity": 900.0},
        ],
        **changes,
    }
    settings = InstanceSettings(
        name="season",
        start_date=datetime.date(2025, 3, 3),
        periods=DAYS,
        wave_ends=[24.0],
        forecast="mean",
        terminal_credit=CREDIT,
        terminal="liquidate",
    )
    return Tables.from_frames(settings, **{name: pl.DataFrame(rows) for name, rows in frames.items()})


def _levels(price: float) -> np.ndarray:
    """UNIT_COST + price x volume + (HOLDING - CREDIT x UNIT_COST) F - LOST (1 - F) = 0, item by item."""
    share = (LOST - UNIT_COST - price * VOLUMES) / (LOST + HOLDING - CREDIT * UNIT_COST)
    return stats.gamma.ppf(np.clip(share, 0, 1), 1 / DISPERSION, scale=DISPERSION * MEANS)


def best_price(capacity: float) -> float:
    """Price per cubic metre at which the items together take just what the door lets in over both days."""
    over = lambda price: float(VOLUMES @ _levels(price)) - DAYS * capacity
    return 0.0 if over(0.0) <= 0 else float(optimize.brentq(over, 0.0, 1000.0))


def best_cost(capacity: float) -> float:
    """Least expected cost: E(D - q)+ = mean (1 - F of shape + 1) - q (1 - F)."""
    level = _levels(best_price(capacity))
    shape, scale = 1 / DISPERSION, DISPERSION * MEANS
    short = MEANS * stats.gamma.sf(level, shape + 1, scale=scale) - level * stats.gamma.sf(level, shape, scale=scale)
    left = level - MEANS + short
    return float(np.sum(UNIT_COST * level + (HOLDING - CREDIT * UNIT_COST) * left + LOST * short))
