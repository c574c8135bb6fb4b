"""Aggregates that several sections of a report share."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from meio_jax.runs.data import RunData
from meio_jax.tables.schema import FLOOR_KINDS

TIERS = ("dc", "fc", "same_day")
TIER_NAMES = {"dc": "distribution centre", "fc": "fulfilment centre", "same_day": "same-day site"}
TIER_COLOURS = {"dc": 1, "fc": 2, "same_day": 3}

TERM_NAMES = {
    "purchase": "purchase",
    "inbound": "inbound",
    "transfer": "transfer",
    "handling": "handling",
    "holding": "holding",
    "outbound": "outbound",
    "downgrade": "downgrade",
    "lost_sale": "lost sales",
    "backorder": "backorder",
    "terminal": "stock left",
    "waste": "waste",
    "ordering": "fixed costs of orders",
}


@dataclass(frozen=True)
class Figures:
    """Sums over the catalog: one row per site, per resource and bucket, and per item.

    `sites`: expected flows, mean stock (units, m3, money), stock today, cost by term and capacity rent.
    `capacity`: the table `prices` with `days` and `rent` (price x use over the bucket, money).
    `items`: demand, flows, cost terms and mean stock of every item with its attributes.
    """

    sites: pl.DataFrame
    capacity: pl.DataFrame
    items: pl.DataFrame

    @property
    def demand(self) -> float:
        return float(self.items["demand"].sum())

    @property
    def shipped(self) -> float:
        return float(self.items["shipped"].sum())


def compute(data: RunData) -> Figures:
    """Aggregate a run."""
    capacity = _capacity(data)
    return Figures(_sites(data, capacity), capacity, _items(data))


def _capacity(data: RunData) -> pl.DataFrame:
    prices = data.table("prices")
    days = pl.DataFrame(
        {"bucket": range(len(data.buckets)), "days": [float(charged) for _, charged in data.buckets]},
        schema={"bucket": prices.schema["bucket"], "days": pl.Float64},
    )
    frame = prices.join(days, on="bucket", how="left").with_columns(pl.col("days").fill_null(0.0))
    # A price is per unit and day, of money ordered it is per unit of money; service counts units of demand, and
    # its use is a share, so what its floor costs is told by the certificate alone.
    times = pl.when(kind="spend").then(1.0).when(pl.col("kind").is_in(FLOOR_KINDS)).then(0.0).otherwise(pl.col("days"))
    load = pl.when(pl.col("kind").is_in(FLOOR_KINDS)).then(pl.col("capacity") / pl.col("usage"))
    return frame.with_columns(
        (pl.col("price") * pl.col("usage") * times).alias("rent"),
        load.otherwise(pl.col("usage") / pl.col("capacity")).alias("load"),
    )


def _sites(data: RunData, capacity: pl.DataFrame) -> pl.DataFrame:
    nodes = data.network.nodes.select("node_id", pl.col("name").alias("node_name"), "kind", "latitude", "longitude")
    item = data.items.select("item_id", "volume_m3", "unit_cost").lazy()

    def valued(frame: pl.LazyFrame, units: str, prefix: str) -> pl.LazyFrame:
        joined = frame.join(item, on="item_id", how="left")
        return joined.group_by("node_id").agg(
            pl.col(units).sum().alias(f"{prefix}_units"),
            (pl.col(units) * pl.col("volume_m3")).sum().alias(f"{prefix}_m3"),
            (pl.col(units) * pl.col("unit_cost")).sum().alias(f"{prefix}_value"),
        )

    flows = ["received", "ordered", "purchase_cost", "inbound_cost", "transfer_cost", "holding_cost"]
    sources = [
        valued(data.tables["plan/expected_nodes"], "on_hand", "mean").collect(),
        valued(data.on_hand.lazy(), "units", "today").collect(),
        data.tables["plan/expected_nodes"].group_by("node_id").agg(pl.col(flows).sum()).collect(),
        data.tables["plan/expected"]
        .group_by("node_id")
        .agg(pl.col(pl.Float64).sum())
        .collect()
        .rename({"units": "shipped"}),
        capacity.filter(pl.col("node_id").is_not_null())
        .group_by("node_id")
        .agg(pl.col("rent").sum(), pl.col("violation").max(), pl.col("load").max()),
    ]
    for source in sources:
        nodes = nodes.join(source, on="node_id", how="left", maintain_order="left")
    return nodes.with_columns(pl.col(pl.Float64).exclude("latitude", "longitude", "violation", "load").fill_null(0.0))


def _items(data: RunData) -> pl.DataFrame:
    stock = (
        data.tables["plan/expected_nodes"]
        .group_by("item_id")
        .agg(
            pl.col("on_hand").sum().alias("stock"),
            (pl.col("on_hand") > 0.05).sum().alias("places"),
            pl.col("holding_cost").sum(),
        )
    )
    outbound = (
        data.tables["plan/expected"]
        .group_by("item_id")
        .agg(pl.col("outbound_cost").sum(), pl.col("handling_cost").sum())
    )
    today = data.on_hand.group_by("item_id").agg(pl.col("units").sum().alias("today"))
    orders = data.tables["plan/orders"].group_by("item_id").agg(pl.col("units").sum().cast(pl.Float64).alias("bought"))
    frame = data.tables["plan/expected_items"].join(data.items.lazy(), on="item_id", how="left", maintain_order="left")
    for other in (stock, outbound, today.lazy(), orders):
        frame = frame.join(other, on="item_id", how="left", maintain_order="left")
    return frame.with_columns(
        pl.col("stock", "places", "holding_cost", "outbound_cost", "handling_cost", "today", "bought").fill_null(0)
    ).collect()
