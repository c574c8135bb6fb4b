"""The tables that a retailer adds to a generated instance: assortment, calendar, backlog, overrides, planned orders."""

from __future__ import annotations

import datetime
from pathlib import Path

import polars as pl
import yaml

from meio_jax.tables import read_instance

EVERYDAY = ("assortment", "calendar", "backlog", "overrides", "planned_orders")


def add_everyday(folder: Path) -> None:
    """Write the five tables into an instance folder, each with rows that are right there.

    Args:
        folder: A generated instance. Unmet demand of its first item waits from now on, and its first two periods are
            frozen, so that what is owed and what was planned counts.
    """
    tables = read_instance(folder)
    offers = tables.offers.sort("item_id", "node_id", "vendor_id")
    bought = [(row["item_id"], row["vendor_id"], row["node_id"]) for row in offers.iter_rows(named=True)]
    packs = dict(zip(bought, offers["pack_size"].to_list(), strict=True))
    start = tables.settings.start_date
    (item, vendor, node), (other, seller, shop) = bought[0], bought[-1]
    on_day = lambda number: start + datetime.timedelta(days=number)
    # A Monday, Wednesday or Friday after the frozen days: one on which the vendor of the order works.
    ordered = next(number for number in range(2, 7) if on_day(number).weekday() in (0, 2, 4))
    rows = {
        "assortment": [
            {"item_id": item, "node_id": node, "stocked": True, "min_units": 1.0, "max_units": 500.0, "max_days": 90.0},
            {"item_id": other, "node_id": shop, "stocked": True, "min_units": 0.0, "max_units": None, "max_days": 60.0},
        ],
        "calendar": [
            {"node_id": node, "vendor_id": None, "activity": "receipts", "status": "closed", "weekdays": "sun"},
            {"node_id": None, "vendor_id": vendor, "activity": "orders", "status": "only", "weekdays": "mon;wed;fri"},
            {"node_id": shop, "activity": "all", "status": "closed", "date": on_day(4), "last_date": on_day(5)},
        ],
        "backlog": [{"item_id": tables.items["item_id"][0], "region_id": None, "speed_id": None, "units": 3.0}],
        "overrides": [
            {
                **_override("now", "order", item, node),
                "vendor_id": vendor,
                "units": 2 * packs[bought[0]],
                "period": ordered,
            },
            {**_override("shelf", "stock", other, shop), "min_units": 2.0, "max_units": 400.0},
            {**_override("stop", "exclude", other, shop), "vendor_id": seller, "expires": on_day(6)},
        ],
        "planned_orders": [
            {"item_id": item, "vendor_id": vendor, "node_id": node, "units": 4.0 * packs[bought[0]], "period": 0},
            {"item_id": other, "vendor_id": seller, "node_id": shop, "units": 1.0 * packs[bought[-1]], "period": 1},
        ],
    }
    for name, content in rows.items():
        frame = pl.DataFrame(content, infer_schema_length=None)
        # What is empty in all rows is a text: a column without a type takes no value.
        frame.cast({pl.Null: pl.String}).write_parquet(folder / f"{name}.parquet")
    waits = pl.int_range(pl.len()) == 0
    items = tables.items.with_columns(
        pl.when(waits).then(pl.lit("backorder")).otherwise("unmet").alias("unmet"),
        pl.when(waits).then(1.0).otherwise("backorder_cost").alias("backorder_cost"),
    )
    items.write_parquet(folder / "items.parquet")
    settings = yaml.safe_load((folder / "instance.yaml").read_text(encoding="utf-8"))
    (folder / "instance.yaml").write_text(yaml.safe_dump({**settings, "frozen_periods": 2}), encoding="utf-8")


def _override(name: str, kind: str, item: str, node: str) -> dict[str, object]:
    return {"override_id": name, "kind": kind, "item_id": item, "node_id": node, "reason": "agreed"}
