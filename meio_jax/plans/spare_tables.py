"""The rule of transshipment of a plan as a table, for whoever carries it out, and read back from it."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.instance import Instance
from meio_jax.instance.ids import positions
from meio_jax.plans.decisions import joined
from meio_jax.simulation.spare_numbers import SpareNumbers

NAME = "plan/transshipment"

_BY_LANE = ("keep", "cover", "used")
_BY_NODE = ("rate", "days")


def spare_frame(instance: Instance, spare: SpareNumbers) -> pl.DataFrame:
    """When a unit is transshipped: by item, lane and bucket, for lanes on which any may be.

    Args:
        instance: The instance that was planned, or a part of it.
        spare: Its rule, in blocks.
    """
    network, ids = instance.network, instance.ids
    lanes = np.asarray(network.transship_lanes, int)
    origin, target = (np.asarray(side, int)[lanes] for side in (network.lane_from, network.lane_to))
    found = {name: joined(instance, getattr(spare, name)).astype(float) for name in (*_BY_LANE, *_BY_NODE)}
    bucket, row, item = np.nonzero(np.isfinite(found["keep"]) | (found["cover"] > 0))
    by_lane = {f"{name}_units": found[name][bucket, row, item] for name in _BY_LANE}
    by_node = {f"sender_{name}": found[name][bucket, origin[row], item] for name in _BY_NODE}
    nodes = np.asarray(ids.nodes, dtype=object)
    columns = {
        "item_id": np.asarray(instance.items, dtype=object)[item].tolist(),
        "from_node": nodes[origin[row]].tolist(),
        "to_node": nodes[target[row]].tolist(),
        "bucket": bucket,
        **by_lane,
        **by_node,
    }
    types = dict.fromkeys(("item_id", "from_node", "to_node"), pl.String)
    keep = pl.when(pl.col("keep_units").is_finite()).then(pl.col("keep_units"))
    frame = pl.DataFrame(columns, schema_overrides=types).with_columns(keep, pl.col("sender_days").cast(pl.Int64))
    return frame.sort("item_id", "from_node", "to_node", "bucket")


def spare_of_table(instance: Instance, table: pl.DataFrame, bucket: int) -> SpareNumbers:
    """The rule of transshipment of a plan in one of its buckets, in blocks; what it does not name is not shipped.

    Args:
        instance: The items that are wanted.
        table: `plan/transshipment`.
        bucket: Which bucket of the plan.
    """
    network, ids = instance.network, instance.ids
    lanes = {ids.lanes[lane]: row for row, lane in enumerate(network.transship_lanes)}
    known = pl.col("item_id").is_in(pl.Series(instance.items, dtype=pl.String).implode())
    rows = table.filter((pl.col("bucket") == bucket) & known)
    rows = rows.filter(
        pl.Series([pair in lanes for pair in rows.select("from_node", "to_node").iter_rows()], dtype=pl.Boolean)
    )
    item = positions(rows["item_id"], instance.items)
    lane = np.asarray([lanes[pair] for pair in rows.select("from_node", "to_node").iter_rows()], int)
    found = {name: np.zeros((len(lanes), len(instance.items))) for name in _BY_LANE}
    found["keep"] += np.inf
    for name in _BY_LANE:
        values = rows[f"{name}_units"]
        found[name][lane, item] = (values.fill_null(np.inf) if name == "keep" else values).to_numpy()
    sender = positions(rows["from_node"], ids.nodes)
    for name in _BY_NODE:
        found[name] = np.zeros((network.nodes, len(instance.items)))
        found[name][sender, item] = rows[f"sender_{name}"].to_numpy()
    dtype = instance.catalog.block.volume.dtype
    leaf = lambda name: jnp.asarray(instance.layout.cut(found[name][None]), dtype)
    days = jnp.maximum(leaf("days"), 1).astype(jnp.int32)
    return SpareNumbers(leaf("keep"), leaf("cover"), leaf("used"), leaf("rate"), days)
