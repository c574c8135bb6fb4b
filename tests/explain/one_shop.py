"""A newsvendor: one shop, one item, one day of sale, and an order the day before that arrives in time."""

from __future__ import annotations

import datetime

import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.config import Config
from meio_jax.explain import ItemOfRun
from meio_jax.instance import build_instance
from meio_jax.items.one_item import first_item
from meio_jax.planner import settings_of
from meio_jax.policy.base_stock import BaseStock
from meio_jax.tables import InstanceSettings, Tables

MEAN, DISPERSION = 20.0, 0.2
UNIT_COST, LOST, HOLDING, CREDIT, VOLUME = 4.0, 10.0, 0.5, 0.5, 0.02
STORAGE_PRICE, INBOUND_PRICE = 3.0, 0.25
START = datetime.date(2025, 3, 3)


def shop_tables() -> Tables:
    """Day 0 is for ordering, demand comes on day 1."""
    frames = {
        "items": [
            {
                "item_id": "paper",
                "volume_m3": VOLUME,
                "weight_kg": 1.0,
                "price": 12.0,
                "unit_cost": UNIT_COST,
                "holding_cost": HOLDING,
                "lost_sale_cost": LOST,
                "profile": "all",
            }
        ],
        "nodes": [{"node_id": "shop", "kind": "fc", "review_period": 2}, {"node_id": "depot", "kind": "dc"}],
        "regions": [{"region_id": "town"}],
        "speeds": [{"speed_id": "now", "promise_days": 1, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": "shop", "region_id": "town", "hours": 1.0, "cost_per_unit": 0.0}],
        "cutoffs": [{"node_id": "shop", "speed_id": "now", "cutoff_hour": 24.0}],
        "shares": [{"profile": "all", "region_id": "town", "speed_id": "now", "wave": 0, "share": 1.0}],
        "offers": [
            {"item_id": "paper", "vendor_id": "press", "node_id": "shop", "unit_cost": UNIT_COST, "lead_time_mean": 1.0}
        ],
        "forecast": [
            {"item_id": "paper", "period": day, "mean": mean, "dispersion": DISPERSION}
            for day, mean in ((0, 0.0), (1, MEAN))
        ],
        "resources": [
            {"resource_id": "shelf", "kind": "storage", "node_id": "shop", "measure": "m3", "capacity": 0.1},
            {"resource_id": "door", "kind": "inbound", "node_id": "shop", "measure": "units", "capacity": 10.0},
        ],
    }
    settings = InstanceSettings(
        name="shop",
        start_date=START,
        periods=2,
        wave_ends=[24.0],
        forecast="mean",
        terminal_credit=CREDIT,
        terminal="liquidate",
    )
    return Tables.from_frames(settings, **{name: pl.DataFrame(rows) for name, rows in frames.items()})


def shop(target: float, **objective: object) -> ItemOfRun:
    """The shop with an order-up-to level, in double precision (use under `x64`)."""
    parts: dict = {"instance": {"path": "shop"}, "run": "run", "precision": "float64"}
    config = Config.model_validate(parts | ({"objective": objective} if objective else {}))
    instance = build_instance(shop_tables(), block_items=1, dtype=np.float64)
    settings = settings_of(config, instance)
    prices = jnp.asarray([[STORAGE_PRICE, INBOUND_PRICE]])
    problem = first_item(instance, settings, prices, prices)
    level = jnp.asarray([target, 0.0]).reshape(1, 2, 1)
    return ItemOfRun("paper", config, instance, settings, problem, BaseStock(level))


def demand(one: ItemOfRun, count: int) -> np.ndarray:
    """Units wanted on the day of sale in every scenario."""
    parts = [np.asarray(part.demand)[1].sum((0, 1, 2)) for part in one.scenarios(count).parts]
    return np.concatenate(parts)
