"""Run folders made of plain tables, of any size and with any names, without solving anything."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from folders import settings_content
from tiny import PERIODS, tiny_frames

from meio_jax.tables.clean_texts import clean_text

Rename = Callable[[str], str]
SAME: Rename = lambda name: name
ID_COLUMNS = ("item_id", "node_id", "from_node", "to_node", "vendor_id", "region_id", "region_group", "resource_id")
ID_COLUMNS += ("speed_id", "storage_class", "profile", "from_id", "to_id")


def renamed(frame: pl.DataFrame, rename: Rename) -> pl.DataFrame:
    """The frame with every id renamed; empty ids stay empty."""
    if rename is SAME:
        return frame
    exprs = [
        pl.col(name).map_elements(lambda v: rename(v) if v else v, return_dtype=pl.String)
        for name in frame.columns
        if name in ID_COLUMNS
    ]
    if "storage_classes" in frame.columns:
        exprs.append(
            pl.col("storage_classes").map_elements(
                lambda text: ";".join(rename(name) if name else name for name in text.split(";")),
                return_dtype=pl.String,
            )
        )
    return frame.with_columns(exprs)


def instance_frames(items: int) -> dict[str, pl.DataFrame]:
    """The tiny instance with `items` items, all like its first one."""
    frames = tiny_frames("mean")
    names = pl.DataFrame({"item_id": [f"item{at:06d}" for at in range(items)]})
    rng = np.random.default_rng(1)
    for table in ("items", "offers", "forecast", "on_hand"):
        like = frames[table].filter(item_id="A").drop("item_id")
        frames[table] = names.join(like, how="cross").select(frames[table].columns)
    frames["items"] = frames["items"].with_columns(
        pl.Series("price", np.round(rng.lognormal(3, 0.5, items), 2)),
        pl.Series("weight_kg", np.round(rng.lognormal(0, 0.3, items), 3)),
    )
    frames["on_order"] = frames["on_order"].clear()
    return frames


def plan_tables(frames: dict[str, pl.DataFrame], seed: int = 0) -> dict[str, pl.DataFrame]:
    """Tables of a plan with figures of usual size, drawn anew."""
    rng = np.random.default_rng(seed)
    items = frames["items"]["item_id"]
    n, nodes, speeds = len(items), frames["nodes"]["node_id"].to_list(), frames["speeds"]["speed_id"].to_list()
    demand = rng.lognormal(3.5, 0.8, n)
    lost = demand * rng.beta(2, 60, n)
    shipped = demand - lost
    by_node = {"item_id": items.gather(np.repeat(np.arange(n), 3)), "node_id": nodes * n}
    stock = np.repeat(demand / PERIODS * 6, 3) * rng.lognormal(0, 0.3, 3 * n)
    sources = np.repeat(np.arange(n), 4)
    quarter = np.repeat(shipped / 4, 4)
    return {
        "plan/targets": pl.DataFrame(
            {
                "item_id": items.gather(np.repeat(np.arange(n), 6)),
                "node_id": [node for node in nodes for _ in range(2)] * n,
                "bucket": [0, 1] * (3 * n),
                "target": np.repeat(stock, 2),
            }
        ),
        "plan/orders": pl.DataFrame(
            {
                "item_id": items.head(50),
                "vendor_id": "v1",
                "node_id": "dc1",
                "units": rng.integers(1, 40, min(n, 50)),
                "cost": rng.uniform(10, 900, min(n, 50)),
            },
        ).with_columns(
            (pl.col("cost") / pl.col("units")).alias("unit_cost"),
            pl.lit("2025-03-03").str.to_date().alias("order_date"),
            pl.lit("2025-03-09").str.to_date().alias("due_date"),
        ),
        "plan/transfers": pl.DataFrame(
            {"item_id": items.head(50), "from_node": "dc1", "to_node": "fc1", "units": rng.integers(1, 9, min(n, 50))}
        ),
        "plan/expected": pl.DataFrame(
            {
                "item_id": items.gather(sources),
                "node_id": ["fc1", "fc1", "fc2", "fc2"] * n,
                "speed_id": speeds * (2 * n),
                "units": quarter,
                "outbound_cost": quarter * 5 * rng.lognormal(0, 0.1, 4 * n),
                "handling_cost": quarter * 0.8,
            }
        ),
        "plan/expected_nodes": pl.DataFrame(
            {
                **by_node,
                "on_hand": stock,
                "received": stock * 2,
                "ordered": stock * 2,
                "purchase_cost": stock * 20,
                "inbound_cost": stock * 0.4,
                "transfer_cost": stock * 0.2,
                "holding_cost": stock * 0.1,
            }
        ),
        "plan/expected_items": pl.DataFrame(
            {
                "item_id": items,
                "demand": demand,
                "shipped": shipped,
                "lost": lost,
                "downgraded": demand * rng.beta(2, 80, n),
                "backordered": np.zeros(n),
                "lost_cost": lost * 10,
                "downgrade_cost": np.zeros(n),
                "backorder_cost": np.zeros(n),
                "terminal_credit": demand,
                "total_cost": demand * 7,
            }
        ),
        **_planned(items),
        "plan/flows": _flows(frames, float(shipped.sum())),
        "plan/service": _service(frames, float(demand.sum())),
        "prices": _prices(frames, rng),
        "metrics": _metrics(),
    }


def _planned(items: pl.Series) -> dict[str, pl.DataFrame]:
    """Orders and transfers of two weeks and fourteen days, ten units of each item a week."""
    start = datetime.date(2025, 3, 3)
    weeks = pl.DataFrame({"bucket": [0, 1]}).with_columns(
        units=pl.lit(10.0), units_p10=pl.lit(0.0), units_p90=pl.lit(24.0), cost=pl.lit(50.0)
    )
    rows = items.to_frame().join(weeks, how="cross")
    dates = [start + datetime.timedelta(days=day) for day in range(PERIODS)]
    placed, due = (pl.lit(start) + pl.duration(days=7 * pl.col("bucket") + days) for days in (0, 3))
    orders = rows.with_columns(vendor_id=pl.lit("v1"), node_id=pl.lit("dc1"), order_date=placed, due_date=due)
    moves = rows.with_columns(from_node=pl.lit("dc1"), to_node=pl.lit("fc1"), ship_date=placed, due_date=due)
    calendar = pl.DataFrame({"date": dates}).with_columns(
        pl.Series(name, [1.5 * len(items) / PERIODS] * PERIODS)
        for name in ("order_items", "order_units", "order_cost", "transfer_units")
    )
    exceptions = pl.DataFrame(
        {
            "item_id": items.head(2),
            "node_id": ["fc1", None][: min(2, len(items))],
            "kind": ["excess", "not_in_time"][: min(2, len(items))],
            "units": 12.0,
            "money": 345.0,
            "what": "12 units more than the highest level of the plan",
            "mend": "sell off, see `meio explain`",
        },
    )
    return {
        "plan/exceptions": exceptions,
        "plan/planned_orders": orders,
        "plan/planned_transfers": moves,
        "plan/calendar": calendar,
    }


def _flows(frames: dict[str, pl.DataFrame], shipped: float) -> pl.DataFrame:
    rows = [("lane", "dc1", "fc1", None), ("lane", "dc1", "fc2", None), ("vendor", "v1", "dc1", None)]
    for node in ("fc1", "fc2"):
        rows += [("customer", node, region, "standard") for region in frames["regions"]["region_id"]]
    frame = pl.DataFrame(rows, schema=["kind", "from_id", "to_id", "speed_id"], orient="row")
    return frame.with_columns(pl.Series("units", shipped * np.linspace(0.1, 0.4, frame.height)))


def _service(frames: dict[str, pl.DataFrame], demand: float) -> pl.DataFrame:
    rows = [
        (region, "coast", speed, bucket, demand / 8, demand / 8 * (0.99 - 0.03 * bucket))
        for region in frames["regions"]["region_id"]
        for speed in frames["speeds"]["speed_id"]
        for bucket in (0, 1)
    ]
    columns = ["region_id", "region_group", "speed_id", "bucket", "wanted", "promised"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _prices(frames: dict[str, pl.DataFrame], rng: np.random.Generator) -> pl.DataFrame:
    table = frames["resources"].unique("resource_id", keep="first", maintain_order=True).drop("bucket")
    table = table.join(pl.DataFrame({"bucket": [0, 1]}), how="cross")
    load = rng.uniform(0.4, 1.02, table.height)
    return table.with_columns(
        pl.Series("price", np.where(load > 0.8, load, 0.0)),
        (pl.Series("usage", load) * pl.col("capacity")).alias("usage"),
        pl.Series("violation", load - 1),
    )


def _metrics() -> pl.DataFrame:
    step = np.arange(1, 301)
    fall = np.exp(-step / 60)
    return pl.DataFrame(
        {
            "step": step,
            "seconds": step * 0.1,
            "cost": 1000 + 300 * fall,
            "lagrangian": 1000 - 250 * fall,
            "gap": fall,
            "max_violation": fall,
            "violation_storage": fall,
            "violation_service": fall / 3,
            "price_norm": 10 * (1 - fall),
        }
    )


CERTIFICATE = {
    "holdout_cost": 1010.0,
    "holdout_cost_ci95": [1000.0, 1020.0],
    "holdout_objective": 1010.0,
    "holdout_scenarios": 64,
    "in_sample_cost": 1005.0,
    "lagrangian": 1001.0,
    "lagrangian_label": "estimate",
    "coupling_gap": 0.009,
    "largest_violation": 0.002,
    "violations": [],
    "clairvoyant_bound": 800.0,
    "clairvoyant_scenarios": 4,
    "cost_terms": {"purchase": 2000.0, "outbound": 700.0, "holding": 110.0, "terminal": -1800.0},
    "result": "CONVERGED",
    "message": "Every tolerance was met; see `report.html`.",
    "infeasible": [],
    "steps": 300,
    "seconds": 30.0,
}


def make_run(home: Path, items: int = 40, rename: Rename = SAME, **changes: pl.DataFrame) -> Path:
    """Write an instance and a run folder of it; `changes` replace tables of the plan by name (`plan/` left out)."""
    frames = instance_frames(items)
    tables = plan_tables(frames)
    for name, frame in changes.items():
        tables[f"plan/{name}" if f"plan/{name}" in tables else name] = frame
    content = settings_content("mean")
    # Settings with characters that nobody sees are refused.
    content["name"] = clean_text(rename(content["name"]))
    (home / "run" / "plan").mkdir(parents=True)
    (home / "instance").mkdir()
    for name, frame in frames.items():
        renamed(frame, rename).write_parquet(home / "instance" / f"{name}.parquet")
    (home / "instance" / "instance.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    for name, frame in tables.items():
        # A run has ids as they were read; those of here have nothing to be cleaned of.
        read = SAME if rename is SAME else lambda name: clean_text(rename(name))
        renamed(frame, read).write_parquet(home / "run" / f"{name}.parquet")
    certificate = {**CERTIFICATE, "message": rename("message")} if rename is not SAME else CERTIFICATE
    (home / "run" / "certificate.json").write_text(json.dumps(certificate))
    identity = {"digests": {}, "name": "tiny", "path": str(home / "instance"), "items": items}
    (home / "run" / "instance.json").write_text(json.dumps(identity))
    (home / "run" / "config.yaml").write_text(f"solve: {{violation: 0.005, gap: 0.01}}\nrun: {rename('here')}\n")
    return home / "run"
