"""A tiny valid instance: 3 items, 1 dc, 2 fc, 2 regions, 2 speeds, 2 waves, 14 days. Small enough to read by
eye.
"""

from __future__ import annotations

import datetime

import polars as pl

from meio_jax.tables import InstanceSettings, Tables

START = datetime.date(2025, 3, 3)
PERIODS = 14
ITEMS = ("A", "B", "C")
LEVELS = {"q0.1": 0.0, "q0.5": 2.0, "q0.9": 5.0}


def tiny_settings(form: str = "mean") -> InstanceSettings:
    """Settings with a forecast of the given form."""
    return InstanceSettings(name="tiny", start_date=START, periods=PERIODS, wave_ends=[11.0, 24.0], forecast=form)


def forecast_frame(form: str) -> pl.DataFrame:
    """The forecast table in one of its four forms."""
    days = [START + datetime.timedelta(days=t) for t in range(PERIODS)]
    if form == "paths":
        rows = [
            (i, p, t, float((t + p + k) % 4)) for k, i in enumerate(ITEMS) for p in range(2) for t in range(PERIODS)
        ]
        return pl.DataFrame(rows, schema=["item_id", "path", "period", "units"], orient="row")
    if form == "quantiles":
        rows = [(i, day, *LEVELS.values()) for i in ITEMS for day in days]
        return pl.DataFrame(rows, schema=["unique_id", "ds", *LEVELS], orient="row")
    if form == "mean":
        rows = [(i, t, 1.0 + k, 0.3, "negative_binomial") for k, i in enumerate(ITEMS) for t in range(PERIODS)]
        return pl.DataFrame(rows, schema=["item_id", "period", "mean", "dispersion", "law"], orient="row")
    past = [START - datetime.timedelta(days=t) for t in range(28, 0, -1)]
    rows = [(i, day, float(day.day % 3)) for i in ITEMS for day in past]
    return pl.DataFrame(rows, schema=["item_id", "ds", "units"], orient="row")


def _place_frames() -> dict[str, pl.DataFrame]:
    nodes = ["dc1", "fc1", "fc2"]
    return {
        "nodes": pl.DataFrame(
            {
                "node_id": nodes,
                "kind": ["dc", "fc", "fc"],
                "latitude": [39.1, 40.7, 34.1],
                "longitude": [-84.5, -74.0, -118.2],
                "country": ["US"] * 3,
                "storage_classes": ["", "ambient;chilled", "ambient"],
                "holding_factor": [0.7, 1.0, 1.1],
                "handling_cost": [0.0, 0.8, 0.9],
                "inbound_cost": [0.1, 0.2, 0.2],
                "review_period": [7, 1, 2],
                "review_offset": [0, 0, 1],
                "allocation": ["proportional"] * 3,
            }
        ),
        "lanes": pl.DataFrame(
            {
                "from_node": ["dc1", "dc1"],
                "to_node": ["fc1", "fc2"],
                "lead_time": [2, 4],
                "lead_time_sd": [0.0, 0.5],
                "cost_per_unit": [0.1, 0.2],
                "cost_per_kg": [0.02, 0.05],
                "carbon_kg_per_kg": [0.1, 0.3],
                "share": [1.0, 1.0],
            }
        ),
        "regions": pl.DataFrame(
            {
                "region_id": ["east", "west"],
                "latitude": [40.0, 36.0],
                "longitude": [-75.0, -119.0],
                "population": [2e7, 1.5e7],
                "region_group": ["coast", "coast"],
                "country": ["US", "US"],
            }
        ),
    }


def _promise_frames() -> dict[str, pl.DataFrame]:
    return {
        "speeds": pl.DataFrame(
            {
                "speed_id": ["one_day", "standard"],
                "promise_days": [1, 5],
                "deliver_by_hour": [21.0, 21.0],
                "cost_factor": [1.5, 1.0],
            }
        ),
        "transit": pl.DataFrame(
            {
                "node_id": ["fc1", "fc1", "fc2", "fc2"],
                "region_id": ["east", "west", "east", "west"],
                "hours": [8.0, 70.0, 68.0, 10.0],
                "zone": [1, 8, 8, 2],
                "cost_per_unit": [4.0, 9.0, 9.0, 4.5],
                "cost_per_kg": [0.5, 1.5, 1.5, 0.6],
                "carbon_kg_per_unit": [0.2, 1.0, 1.0, 0.3],
            }
        ),
        "cutoffs": pl.DataFrame(
            {
                "node_id": ["fc1", "fc1", "fc2", "fc2"],
                "speed_id": ["one_day", "standard"] * 2,
                "cutoff_hour": [17.0, 20.0, 16.0, 20.0],
            }
        ),
        "shares": pl.DataFrame(
            [
                (profile, region, speed, wave, 0.125)
                for profile in ("all", "frozen")
                for region in ("east", "west")
                for speed in ("one_day", "standard")
                for wave in (0, 1)
            ],
            schema=["profile", "region_id", "speed_id", "wave", "share"],
            orient="row",
        ),
    }


def _item_frames() -> dict[str, pl.DataFrame]:
    return {
        "items": pl.DataFrame(
            {
                "item_id": list(ITEMS),
                "volume_m3": [0.01, 0.02, 0.005],
                "weight_kg": [1.0, 3.0, 0.4],
                "price": [20.0, 50.0, 8.0],
                "unit_cost": [10.0, 30.0, 4.0],
                "holding_cost": [0.01, 0.03, 0.005],
                "lost_sale_cost": [10.0, 20.0, 4.0],
                "backorder_cost": [0.0, 1.0, 0.0],
                "unmet": ["lost", "backorder", "lost"],
                "downgrade_share": [0.3, 0.5, 0.0],
                "downgrade_cost": [1.0, 1.0, 0.0],
                "storage_class": ["ambient", "ambient", "chilled"],
                "profile": ["all", "all", "frozen"],
            }
        ),
        "offers": pl.DataFrame(
            {
                "item_id": ["A", "A", "B", "C"],
                "vendor_id": ["v1", "v2", "v1", "v2"],
                "node_id": ["dc1", "fc1", "dc1", "fc1"],
                "unit_cost": [10.0, 10.5, 30.0, 4.0],
                "freight_cost": [0.2, 0.1, 0.5, 0.1],
                "lead_time_mean": [9.0, 3.0, 12.0, 5.0],
                "lead_time_sd": [2.0, 0.0, 3.0, 1.0],
                "lead_time_law": ["gamma", "fixed", "empirical", "gamma"],
                "pack_size": [12, 1, 6, 24],
                "min_order": [24, 0, 0, 0],
                "share": [0.7, 1.0, 1.0, 1.0],
            }
        ),
        "lead_times": pl.DataFrame({"vendor_id": ["v1", "v1", "v1"], "days": [9, 12, 16], "weight": [1.0, 2.0, 1.0]}),
        "on_hand": pl.DataFrame(
            {
                "item_id": ["A", "A", "B", "C"],
                "node_id": ["dc1", "fc1", "fc2", "fc1"],
                "units": [40.0, 10.0, 12.0, 30.0],
            }
        ),
        "on_order": pl.DataFrame(
            {"item_id": ["A", "B"], "node_id": ["dc1", "dc1"], "period_due": [2, 5], "units": [24.0, 12.0]}
        ),
    }


_RESOURCES = {
    "storage": {
        "kind": "storage",
        "node_id": "fc1",
        "storage_class": "ambient",
        "measure": "m3",
        "capacity": 5.0,
    },
    "inbound": {"kind": "inbound", "node_id": "fc1", "measure": "units", "capacity": 50.0},
    "outbound0": {
        "resource_id": "outbound",
        "kind": "outbound",
        "node_id": "fc2",
        "bucket": 0,
        "measure": "kg",
        "capacity": 90.0,
    },
    "outbound1": {
        "resource_id": "outbound",
        "kind": "outbound",
        "node_id": "fc2",
        "bucket": 1,
        "measure": "kg",
        "capacity": 99.0,
    },
    "lane": {"kind": "lane", "node_id": "dc1", "to_node": "fc1", "measure": "m3", "capacity": 3.0},
    "vendor": {"kind": "vendor", "vendor_id": "v1", "measure": "units", "capacity": 60.0},
    "spend": {"kind": "spend", "capacity": 5000.0},
    "service": {"kind": "service", "region_group": "coast", "speed_id": "one_day", "capacity": 0.9},
}


def resources_frame() -> pl.DataFrame:
    """One resource of each kind; the outbound one by bucket."""
    columns = [
        "resource_id",
        "kind",
        "node_id",
        "to_node",
        "vendor_id",
        "storage_class",
        "region_group",
        "speed_id",
    ]
    schema = dict.fromkeys(columns, pl.String) | {
        "bucket": pl.Int64,
        "measure": pl.String,
        "capacity": pl.Float64,
    }
    rows = [{name: {"resource_id": key, **row}.get(name) for name in schema} for key, row in _RESOURCES.items()]
    return pl.DataFrame(rows, schema=schema)


def tiny_frames(form: str = "mean") -> dict[str, pl.DataFrame]:
    """All tables as frames, complete and in schema order."""
    frames = _place_frames() | _promise_frames() | _item_frames()
    return frames | {"forecast": forecast_frame(form), "resources": resources_frame()}


def tiny_tables(form: str = "mean") -> Tables:
    """The instance, checked."""
    return Tables.from_frames(tiny_settings(form), **tiny_frames(form))
