"""Shops that can help each other out, fed by one vendor, whose right shipments follow by hand."""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl

from meio_jax.tables import InstanceSettings, Tables

START = datetime.date(2026, 3, 2)
DAYS = 28


def lane(start: str, end: str, **changes: Any) -> dict[str, Any]:
    """A lane of a day."""
    return {"from_node": start, "to_node": end, "lead_time": 1, "cost_per_unit": 0.5, **changes}


def offer(node: str, **changes: Any) -> dict[str, Any]:
    """What the vendor takes a week for, at ten a unit."""
    return {"item_id": "i", "vendor_id": "v", "node_id": node, "unit_cost": 10.0, "lead_time_mean": 7.0, **changes}


def item(**changes: Any) -> dict[str, Any]:
    """An item that costs a tenth a day to keep, and fifty to be short of."""
    usual = {"volume_m3": 1.0, "weight_kg": 1.0, "price": 60.0, "unit_cost": 10.0, "holding_cost": 0.1}
    return {"item_id": "i", **usual, "lost_sale_cost": 50.0, "profile": "p", **changes}


def shops(
    lanes: list[dict[str, Any]],
    *,
    stock: dict[str, float],
    kinds: dict[str, str] | None = None,
    shares: dict[str, float] | None = None,
    mean: float = 20.0,
    days: int = DAYS,
    **more: Any,
) -> Tables:
    """Shops `a` and `b` (or the nodes of `kinds`), a region each, demand known and split by `shares`."""
    kinds = {"a": "fc", "b": "fc"} if kinds is None else kinds
    nodes, parts = list(kinds), {"a": 0.5, "b": 0.5} if shares is None else shares
    changes = more.pop("settings", {})
    settings = {"ordering": "morning", "terminal": "liquidate", "terminal_credit": 0.0, **changes}
    law = {"dispersion": 0.0, "law": "fixed", **more.pop("law", {})}
    frames = {
        "items": [item()],
        "offers": [offer(node) for node in nodes],
        "nodes": [{"node_id": node, "kind": kind} for node, kind in kinds.items()],
        "lanes": lanes,
        "regions": [{"region_id": f"r_{node}"} for node in parts],
        "speeds": [{"speed_id": "s", "promise_days": 1, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": n, "region_id": f"r_{n}", "hours": 1.0, "cost_per_unit": 0.0} for n in parts],
        "cutoffs": [{"node_id": n, "speed_id": "s", "cutoff_hour": 24.0} for n in parts],
        "shares": [
            {"profile": "p", "region_id": f"r_{n}", "speed_id": "s", "wave": 0, "share": part}
            for n, part in parts.items()
        ],
        "forecast": [{"item_id": "i", "period": day, "mean": mean, **law} for day in range(days)],
        "on_hand": [{"item_id": "i", "node_id": node, "units": units} for node, units in stock.items()],
        **more,
    }
    plain = InstanceSettings(
        name="shops", start_date=START, periods=days, wave_ends=[24.0], forecast="mean", **settings
    )
    tables = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in frames.items() if rows}
    return Tables.from_frames(plain, **tables)
