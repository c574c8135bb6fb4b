"""Items at single nodes whose right orders follow by hand, in one instance that is solved once."""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl

from meio_jax.config import Config, make_config
from meio_jax.tables import InstanceSettings, Tables

START = datetime.date(2026, 3, 2)
DAYS = 56


def item(name: str, node: str = "site", **changes: Any) -> dict[str, Any]:
    """An item with nothing but holding and lost sales, sold at one node."""
    usual = {"volume_m3": 1.0, "weight_kg": 1.0, "price": 0.0, "unit_cost": 0.0, "holding_cost": 1.0}
    return {"item_id": name, **usual, "lost_sale_cost": 100.0, "profile": node, **changes}


def offer(name: str, lead: float, node: str = "site", vendor: str = "v", **changes: Any) -> dict[str, Any]:
    """An offer that costs nothing."""
    return {
        "item_id": name, "vendor_id": vendor, "node_id": node, "unit_cost": 0.0, "lead_time_mean": lead, **changes,
    }  # fmt: skip


def demand(name: str, mean: float, law: str = "fixed", days: int = DAYS, idle: int = 0) -> list[dict[str, Any]]:
    """A constant demand after so many days without any."""
    return [
        {"item_id": name, "period": day, "mean": 0.0 if day < idle else mean, "dispersion": 0.0, "law": law}
        for day in range(days)
    ]


def instance(items: list[dict], offers: list[dict], forecast: list[dict], days: int = DAYS, **more: Any) -> Tables:
    """Tables of two nodes, each with a region of its own; `week` reviews every seven days."""
    nodes = ("site", "week")
    settings = {"ordering": "morning", "terminal": "continue", **more.pop("settings", {})}
    frames = {
        "items": items,
        "offers": offers,
        "forecast": forecast,
        "nodes": [
            {"node_id": "site", "kind": "fc", "review_period": 1},
            {"node_id": "week", "kind": "fc", "review_period": 7},
        ],
        "regions": [{"region_id": f"r_{node}"} for node in nodes],
        "speeds": [{"speed_id": "s", "promise_days": 1, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": n, "region_id": f"r_{n}", "hours": 1.0, "cost_per_unit": 0.0} for n in nodes],
        "cutoffs": [{"node_id": n, "speed_id": "s", "cutoff_hour": 24.0} for n in nodes],
        "shares": [{"profile": n, "region_id": f"r_{n}", "speed_id": "s", "wave": 0, "share": 1.0} for n in nodes],
        **more,
    }
    plain = InstanceSettings(
        name="one node", start_date=START, periods=days, wave_ends=[24.0], forecast="mean", **settings
    )
    tables = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in frames.items() if rows}
    return Tables.from_frames(plain, **tables)


def settings(**solve: Any) -> Config:
    """A short search with everything that can end it early."""
    scenarios = {"train": 256, "per_step": 16, "holdout": 256, "clairvoyant": 0}
    chosen = {"max_steps": 120, "min_steps": 120, "slack_items": 0, "devices": 1, **solve}
    return make_config(scenarios=scenarios, solve=chosen)
