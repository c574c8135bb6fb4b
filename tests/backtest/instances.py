"""Small instances for the tests of the simulator."""

import datetime

import polars as pl

from meio_jax.tables import Tables
from meio_jax.tables.settings import settings_from_mapping

NODE = {"kind": "fc", "latitude": 40.0, "longitude": -100.0}
ITEM = {
    "volume_m3": 1.0,
    "weight_kg": 1.0,
    "price": 20.0,
    "unit_cost": 0.0,
    "holding_cost": 1.0,
    "lost_sale_cost": 9.0,
    "profile": "p",
}


def instance(settings: dict, **tables: list[dict]) -> Tables:
    """Checked tables from rows; `settings` overrides a one-wave, one-week instance."""
    base = {
        "name": "test",
        "start_date": datetime.date(2025, 6, 2),
        "periods": 7,
        "wave_ends": [24.0],
        "forecast": "mean",
        "terminal_credit": 0.0,
    }
    frames = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in tables.items() if rows}
    return Tables.from_frames(settings_from_mapping(base | settings), **frames)


def single_node(
    mean: float | list[float],
    *,
    settings: dict | None = None,
    item: dict | None = None,
    node: dict | None = None,
    lead: int = 1,
    forecast: dict | None = None,
    **tables: list[dict],
) -> Tables:
    """One item, one node, one region, one speed; a vendor that delivers in `lead` days; shipping is free."""
    settings = {"periods": 7} | (settings or {})
    days = settings["periods"]
    means = mean if isinstance(mean, list) else [mean] * days
    rows = {
        "items": [{"item_id": "i"} | ITEM | (item or {})],
        "nodes": [{"node_id": "n"} | NODE | (node or {})],
        "regions": [{"region_id": "r", "latitude": 40.0, "longitude": -100.0}],
        "speeds": [{"speed_id": "s", "promise_days": 2, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": "n", "region_id": "r", "hours": 1.0, "cost_per_unit": 0.0}],
        "cutoffs": [{"node_id": "n", "speed_id": "s", "cutoff_hour": 24.0}],
        "offers": [
            {"item_id": "i", "vendor_id": "v", "node_id": "n", "unit_cost": 0.0, "lead_time_mean": float(lead)}
        ],
        "shares": [{"profile": "p", "region_id": "r", "speed_id": "s", "wave": 0, "share": 1.0}],
        "forecast": [{"item_id": "i", "period": t, "mean": float(m)} | (forecast or {}) for t, m in enumerate(means)],
    }
    return instance(settings, **(rows | tables))


def targets(*rows: tuple) -> pl.DataFrame:
    """A targets frame from (item, node, units)."""
    return pl.DataFrame(rows, schema=["item_id", "node_id", "target_units"], orient="row")
