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
    """Checked tables from rows; `settings` overrides a week of one wave without terminal credit."""
    base = {
        "name": "test",
        "start_date": datetime.date(2025, 6, 2),
        "periods": 7,
        "wave_ends": [24.0],
        "forecast": "mean",
        "terminal_credit": 0.0,
        "ordering": "evening",
        "terminal": "liquidate",
    }
    frames = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in tables.items() if rows}
    return Tables.from_frames(settings_from_mapping(base | settings), **frames)


def copies(rows: list[dict], count: int) -> list[dict]:
    """The rows of item `i` again for items `i0`, `i1` ...: as many samples of one system."""
    names = [f"i{k}" for k in range(count)] if count > 1 else ["i"]
    return [row | {"item_id": name} for name in names for row in rows]


def single_node(
    mean: float,
    *,
    items: int = 1,
    lead: int = 1,
    settings: dict | None = None,
    item: dict | None = None,
    node: dict | None = None,
    forecast: dict | None = None,
    forecast_table: list[dict] | None = None,
    start: float = 0.0,
    **tables: list[dict],
) -> Tables:
    """Equal items at one node; one region, one speed; the vendor takes `lead` days; shipping is free."""
    settings = {"periods": 7} | (settings or {})
    own = {"item_id": "i"}
    rows = {
        "items": copies([own | ITEM | (item or {})], items),
        "nodes": [{"node_id": "n"} | NODE | (node or {})],
        "regions": [{"region_id": "r", "latitude": 40.0, "longitude": -100.0}],
        "speeds": [{"speed_id": "s", "promise_days": 2, "deliver_by_hour": 24.0}],
        "transit": [{"node_id": "n", "region_id": "r", "hours": 1.0, "cost_per_unit": 0.0}],
        "cutoffs": [{"node_id": "n", "speed_id": "s", "cutoff_hour": 24.0}],
        "offers": copies(
            [own | {"vendor_id": "v", "node_id": "n", "unit_cost": 0.0, "lead_time_mean": float(lead)}], items
        ),
        "shares": [{"profile": "p", "region_id": "r", "speed_id": "s", "wave": 0, "share": 1.0}],
        "forecast": forecast_table
        or copies(
            [own | {"period": t, "mean": float(mean)} | (forecast or {}) for t in range(settings["periods"])],
            items,
        ),
        "on_hand": copies([own | {"node_id": "n", "units": start}], items) if start else [],
    }
    return instance(settings, **(rows | tables))


def targets(*rows: tuple) -> pl.DataFrame:
    """A targets frame from (item, node, units)."""
    return pl.DataFrame(rows, schema=["item_id", "node_id", "target_units"], orient="row")


def same_targets(tables: Tables, **units: int) -> pl.DataFrame:
    """The same targets for every item, by node."""
    ids = tables.items["item_id"].to_list()
    return targets(*[(item, node, level) for item in ids for node, level in units.items()])


def orders(*rows: tuple) -> pl.DataFrame:
    """Recorded orders from (item, region, speed, day, hour[, units])."""
    schema = ["item_id", "region_id", "speed_id", "day", "hour", "units"]
    full = [(*row, 1) if len(row) == 5 else row for row in rows]
    return pl.DataFrame(
        full,
        schema=dict(zip(schema, [pl.String] * 3 + [pl.Int64, pl.Float64, pl.Int64], strict=True)),
        orient="row",
    )


def small_network(*, items: int = 12, settings: dict | None = None, **tables: list[dict]) -> Tables:
    """DC -> two FCs -> a same-day site; three speeds, two waves, two regions; lost sales, backorders, packs,
    two offers, random lead times; every enforceable kind of capacity."""
    settings = {"periods": 28, "wave_ends": [12.0, 24.0], "terminal_credit": 1.0, "shared_factor_cv": 0.2} | (
        settings or {}
    )
    names = [f"i{k}" for k in range(items)]
    rows = {
        "items": [
            {"item_id": name}
            | ITEM
            | {
                "volume_m3": 0.1 + 0.05 * (k % 4),
                "weight_kg": 0.5 + 0.5 * (k % 3),
                "unit_cost": 9.5,
                "lost_sale_cost": 22.0,
                "holding_cost": 0.02,
                "backorder_cost": 0.5,
                "unmet": "backorder" if k % 3 == 0 else "lost",
                "downgrade_share": 0.5,
                "downgrade_cost": 0.3,
            }
            for k, name in enumerate(names)
        ],
        "nodes": [
            NODE | {"node_id": "D", "kind": "dc", "review_period": 7, "inbound_cost": 0.1},
            NODE
            | {"node_id": "F1", "review_period": 2, "review_offset": 1, "inbound_cost": 0.1}
            | {"handling_cost": 0.5},
            NODE
            | {"node_id": "F2", "longitude": -80.0, "review_period": 3, "inbound_cost": 0.2}
            | {"handling_cost": 0.6},
            NODE | {"node_id": "S", "kind": "same_day", "inbound_cost": 0.3, "handling_cost": 0.9},
        ],
        "lanes": [
            {"from_node": "D", "to_node": "F1", "lead_time": 2, "cost_per_unit": 0.1, "cost_per_kg": 0.02},
            {"from_node": "D", "to_node": "F2", "lead_time": 3, "cost_per_unit": 0.2, "cost_per_kg": 0.02},
            {"from_node": "F1", "to_node": "S", "lead_time": 1, "cost_per_unit": 0.1, "cost_per_kg": 0.0},
        ],
        "regions": [
            {"region_id": "west", "latitude": 40.0, "longitude": -101.0},
            {"region_id": "east", "latitude": 40.0, "longitude": -81.0},
        ],
        "speeds": [
            {"speed_id": "fast", "promise_days": 0, "deliver_by_hour": 22.0, "cost_factor": 1.5},
            {"speed_id": "next", "promise_days": 1, "deliver_by_hour": 21.0, "cost_factor": 1.2},
            {"speed_id": "slow", "promise_days": 4, "deliver_by_hour": 21.0, "cost_factor": 1.0},
        ],
        "transit": [
            {"node_id": node, "region_id": region, "hours": hours, "cost_per_unit": cost, "cost_per_kg": 0.3}
            for node, region, hours, cost in (
                ("S", "west", 3.0, 2.0), ("F1", "west", 6.0, 2.5), ("F2", "west", 30.0, 5.0),
                ("F1", "east", 30.0, 5.0), ("F2", "east", 6.0, 2.5),
            )
        ],
        "cutoffs": [
            {"node_id": node, "speed_id": speed, "cutoff_hour": hour}
            for node in ("F1", "F2", "S")
            for speed, hour in (("fast", 14.0), ("next", 20.0), ("slow", 22.0))
            if not (node == "S" and speed == "slow")
        ],
        "offers": [
            row
            for k, name in enumerate(names)
            for row in (
                {"item_id": name, "vendor_id": "v", "node_id": "D", "unit_cost": 9.0, "freight_cost": 0.5,
                 "lead_time_mean": 6.0, "lead_time_sd": 2.0, "lead_time_law": "gamma",
                 "pack_size": 1 + 5 * (k % 2),
                 "min_order": 0, "share": 1.0},
                {"item_id": name, "vendor_id": "w", "node_id": "D", "unit_cost": 11.0, "freight_cost": 0.5,
                 "lead_time_mean": 2.0, "lead_time_sd": 0.0, "lead_time_law": "empirical", "pack_size": 1,
                 "min_order": 3, "share": 0.0},
            )
        ],
        "lead_times": [{"vendor_id": "w", "days": d, "weight": w} for d, w in ((2, 3.0), (4, 1.0))],
        "shares": [
            {"profile": "p", "region_id": region, "speed_id": speed, "wave": wave, "share": share / 24}
            for region in ("west", "east")
            for speed, share in (("fast", 1.0), ("next", 2.0), ("slow", 3.0))
            for wave in (0, 1)
        ],
        "forecast": [
            {"item_id": name, "period": t, "mean": 0.4 * (1 + k), "dispersion": 0.3}
            for k, name in enumerate(names)
            for t in range(settings["periods"])
        ],
        "resources": [
            {"resource_id": "hall", "kind": "storage", "node_id": "F1", "measure": "m3", "capacity": 20.0},
            {"resource_id": "floor", "kind": "storage", "node_id": "S", "measure": "units", "capacity": 15.0},
            {"resource_id": "dock", "kind": "inbound", "node_id": "D", "measure": "units", "capacity": 60.0},
            {"resource_id": "dock1", "kind": "inbound", "node_id": "F1", "measure": "m3", "capacity": 8.0},
            {"resource_id": "out", "kind": "outbound", "node_id": "F2", "measure": "units", "capacity": 15.0},
        ],
        "on_hand": [{"item_id": name, "node_id": "D", "units": 20.0} for name in names],
        "on_order": [{"item_id": name, "node_id": "D", "period_due": 2, "units": 5.0} for name in names],
    }  # fmt: skip
    return instance(settings, **(rows | tables))
