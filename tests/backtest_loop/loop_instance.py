"""A tiny instance with past sales, and a configuration whose solves take a second."""

import datetime
from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.config.settings import Config, make_config
from meio_jax.tables import Tables, write_instance
from meio_jax.tables.settings import settings_from_mapping

START = datetime.date(2025, 6, 2)
ITEMS = ("a", "b", "c")
DAYS = 3


def past_sales(days: int = 56, seed: int = 0) -> pl.DataFrame:
    """Sales of every item on the days before the start."""
    rng = np.random.default_rng(seed)
    rows = [
        {"item_id": item, "ds": START - datetime.timedelta(days=age), "units": float(rng.poisson(3 + 2 * number))}
        for number, item in enumerate(ITEMS)
        for age in range(days, 0, -1)
    ]
    return pl.DataFrame(rows)


def recorded_sales(days: int = DAYS, spike: int | None = None) -> pl.DataFrame:
    """Sales of the days lived: four a day, and five hundred of item `a` on the day of the spike."""
    rows = [
        {"item_id": item, "period": day, "units": 500.0 if day == spike and item == "a" else 4.0}
        for item in ITEMS
        for day in range(days)
    ]
    return pl.DataFrame(rows)


def loop_tables(**settings) -> Tables:
    """Three items, a store that is supplied by a centre, one tight hall."""
    item = {"volume_m3": 0.1, "weight_kg": 1.0, "price": 20.0, "unit_cost": 5.0, "holding_cost": 0.05}
    item |= {"lost_sale_cost": 15.0, "profile": "p"}
    rows = {
        "items": [{"item_id": name} | item for name in ITEMS],
        "nodes": [
            {"node_id": "dc", "kind": "dc", "latitude": 40.0, "longitude": -100.0},
            {"node_id": "store", "kind": "fc", "latitude": 40.0, "longitude": -100.0},
        ],
        "lanes": [{"from_node": "dc", "to_node": "store", "lead_time": 1}],
        "regions": [{"region_id": "r", "latitude": 40.0, "longitude": -100.0}],
        "speeds": [{"speed_id": "s", "promise_days": 2, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": "store", "region_id": "r", "hours": 1.0, "cost_per_unit": 0.5}],
        "cutoffs": [{"node_id": "store", "speed_id": "s", "cutoff_hour": 24.0}],
        "offers": [
            {
                "item_id": name,
                "vendor_id": "v",
                "node_id": "dc",
                "unit_cost": 5.0,
                "lead_time_mean": 2.0,
                "pack_size": 4,
            }
            for name in ITEMS
        ],
        "shares": [{"profile": "p", "region_id": "r", "speed_id": "s", "wave": 0, "share": 1.0}],
        "on_hand": [
            {"item_id": name, "node_id": node, "units": units}
            for name in ITEMS
            for node, units in (("dc", 8.0), ("store", 10.0))
        ],
        "resources": [
            {"resource_id": "hall", "kind": "storage", "node_id": "store", "measure": "units", "capacity": 60.0}
        ],
    }
    base = {"name": "loop", "start_date": START, "periods": 14, "wave_ends": [24.0], "forecast": "history"}
    frames = {name: pl.DataFrame(table, infer_schema_length=None) for name, table in rows.items()}
    return Tables.from_frames(settings_from_mapping(base | settings), forecast=past_sales(), **frames)


def loop_config(folder: Path, **backtest) -> Config:
    """The instance in a folder, recorded sales beside it, and few steps."""
    write_instance(loop_tables(), folder / "instance")
    actual = folder / "actual.csv"
    spike = backtest.pop("spike", None)
    recorded_sales(spike=spike).write_csv(actual)
    return make_config(
        instance={"path": folder / "instance"},
        run=folder / "run",
        scenarios={"train": 16, "holdout": 8, "per_step": 8, "clairvoyant": 0},
        # What levels could still save is told by no table of a backtest.
        solve={"max_steps": 6, "min_steps": 2, "feasibility_steps": 0, "slack_items": 0},
        warm={"max_steps": 4, "min_steps": 2},
        checkpoint={"every": 0},
        backtest={"days": DAYS, "every": 2, "actual": actual, "steady": 10.0} | backtest,
    )
