"""Shops that can help each other out, near a DC, whose right shipments follow by hand."""

from __future__ import annotations

import datetime
from typing import Any

import polars as pl

from meio_jax.tables import InstanceSettings, Tables

START = datetime.date(2026, 3, 2)
DAYS = 28
NODES = {"d": "dc", "a": "fc", "b": "fc", "c": "fc"}
REGIONS = ("a", "b")


def lane(start: str, end: str, **changes: Any) -> dict[str, Any]:
    """A lane of a day, at half a unit of money a unit and a twentieth a kilogram."""
    usual = {"lead_time": 1, "cost_per_unit": 0.5, "cost_per_kg": 0.05, "use": None}
    return {"from_node": start, "to_node": end, **usual, **changes}


LANES = [lane("d", "a"), lane("d", "b"), lane("a", "b"), lane("b", "a"), lane("a", "c"), lane("a", "d")]
LANES[4]["use"] = "transshipment"


def offer(name: str, node: str, **changes: Any) -> dict[str, Any]:
    """What the vendor takes a week for, at ten a unit."""
    return {"item_id": name, "vendor_id": "v", "node_id": node, "unit_cost": 10.0, "lead_time_mean": 7.0, **changes}


def item(name: str, profile: str = "both", **changes: Any) -> dict[str, Any]:
    """An item that costs a tenth a day to keep, and fifty to be short of."""
    usual = {"volume_m3": 1.0, "weight_kg": 0.0, "price": 60.0, "unit_cost": 10.0, "holding_cost": 0.1}
    return {"item_id": name, **usual, "lost_sale_cost": 50.0, "profile": profile, **changes}


def shops(
    items: list[dict[str, Any]],
    offers: list[dict[str, Any]],
    *,
    stock: dict[tuple[str, str], float],
    mean: float | list[float] = 20.0,
    lanes: list[dict[str, Any]] = LANES,
    days: int = DAYS,
    **more: Any,
) -> Tables:
    """Items of a known demand a day, half of it at `a` and half at `b`, or (profile `b`) all of it at `b`."""
    changes = more.pop("settings", {})
    settings = {"ordering": "morning", "terminal": "liquidate", "terminal_credit": 0.0, **changes}
    daily = mean if isinstance(mean, list) else [mean] * days
    named = [one["item_id"] for one in items]
    split = {"both": {"a": 0.5, "b": 0.5}, "b": {"b": 1.0}}
    frames = {
        "items": items,
        "offers": offers,
        "nodes": [{"node_id": node, "kind": kind} for node, kind in NODES.items()],
        "lanes": lanes,
        "regions": [{"region_id": f"r_{node}"} for node in REGIONS],
        "speeds": [{"speed_id": "s", "promise_days": 1, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": n, "region_id": f"r_{n}", "hours": 1.0, "cost_per_unit": 0.0} for n in REGIONS],
        "cutoffs": [{"node_id": n, "speed_id": "s", "cutoff_hour": 24.0} for n in REGIONS],
        "shares": [
            {"profile": name, "region_id": f"r_{n}", "speed_id": "s", "wave": 0, "share": part}
            for name, parts in split.items()
            for n, part in parts.items()
        ],
        "forecast": [
            {"item_id": name, "period": day, "mean": units, "dispersion": 0.0, "law": "fixed"}
            for name in named
            for day, units in enumerate(daily)
        ],
        "on_hand": [{"item_id": name, "node_id": node, "units": units} for (name, node), units in stock.items()],
        **more,
    }
    plain = InstanceSettings(
        name="shops", start_date=START, periods=days, wave_ends=[24.0], forecast="mean", **settings
    )
    tables = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in frames.items() if rows}
    return Tables.from_frames(plain, **tables)
