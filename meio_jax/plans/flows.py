"""What moves where when all items are added up, and how much of it arrives as promised, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from meio_jax.certify.holdout import Holdout
from meio_jax.instance import Instance
from meio_jax.plans.decisions import joined

_KEPT_ABOVE = 1e-6

ORDER = {
    "plan/flows": ["kind", "from_id", "to_id", "speed_id"],
    "plan/service": ["region_id", "speed_id", "bucket"],
    "plan/calendar": ["date"],
}
"""Tables of sums over items, and how their rows are sorted."""


def flow_frames(instance: Instance, holdout: Holdout) -> Iterator[tuple[str, pl.DataFrame]]:
    """Expected flows of all items over the horizon, and service by region, speed and bucket.

    Args:
        instance: The instance that was planned.
        holdout: Results on holdout scenarios.
    """
    flows = [_bought(instance, holdout), _moved(instance, holdout), _delivered(instance, holdout)]
    yield "plan/flows", pl.concat(flows).sort(ORDER["plan/flows"])
    yield "plan/service", _service(instance, holdout)


def own_flows(frame: pl.DataFrame, *, first: bool) -> pl.DataFrame:
    """The rows of a process among others: all know what customers got in all, so the first alone gives that."""
    if first or "date" in frame.columns:
        return frame
    return frame.filter(pl.col("kind") != "customer") if "kind" in frame.columns else frame.clear()


def merged_flows(parts: Iterable[pl.DataFrame], name: str) -> pl.DataFrame:
    """One of the tables of `flow_frames` from those of parts of the catalog: units add up."""
    together = pl.concat(parts)
    keys = [column for column in together.columns if together.schema[column] != pl.Float64]
    return together.group_by(keys).sum().select(together.columns).sort(ORDER[name])


def _frame(kind: str, origin: list, target: list, units: np.ndarray, speed: list | None = None) -> pl.DataFrame:
    """Rows of one kind of flow: `vendor`, `lane` or `customer`."""
    return pl.DataFrame(
        {
            "kind": [kind] * len(origin),
            "from_id": origin,
            "to_id": target,
            "speed_id": [None] * len(origin) if speed is None else speed,
            "units": np.asarray(units, float),
        },
        schema=dict.fromkeys(("kind", "from_id", "to_id", "speed_id"), pl.String) | {"units": pl.Float64},
    )


def _bought(instance: Instance, holdout: Holdout) -> pl.DataFrame:
    """Units ordered, by vendor and node."""
    network, ids = instance.network, instance.ids
    ordered = joined(instance, holdout.items.ordered)
    vendor = joined(instance, instance.catalog.block.offer_vendor).astype(int)
    table = np.zeros((len(ids.vendors), network.nodes))
    for slot, node in enumerate(network.offer_node):
        np.add.at(table[:, node], vendor[slot], ordered[slot])
    origin, target = np.nonzero(table > _KEPT_ABOVE)
    names, nodes = ids.vendors, ids.nodes
    return _frame("vendor", [names[v] for v in origin], [nodes[n] for n in target], table[origin, target])


def _moved(instance: Instance, holdout: Holdout) -> pl.DataFrame:
    """Units shipped, by lane."""
    units = joined(instance, holdout.items.lane).sum(1)
    used = np.flatnonzero(units > _KEPT_ABOVE)
    lanes = [instance.ids.lanes[lane] for lane in used]
    return _frame("lane", [origin for origin, _ in lanes], [target for _, target in lanes], units[used])


def _delivered(instance: Instance, holdout: Holdout) -> pl.DataFrame:
    """Units shipped to customers, by node, region and the speed they were shipped at."""
    ids, table = instance.ids, np.asarray(holdout.regional.routes).sum(0)
    speed, node, region = np.nonzero(table > _KEPT_ABOVE)
    return _frame(
        "customer",
        [ids.nodes[n] for n in node],
        [ids.regions[r] for r in region],
        table[speed, node, region],
        [ids.speeds[s] for s in speed],
    )


def _service(instance: Instance, holdout: Holdout) -> pl.DataFrame:
    """Demand, and the part of it that was served as promised, by region, speed and bucket."""
    ids, wanted = instance.ids, holdout.regional.wanted
    bucket, speed, region = (at.reshape(-1) for at in np.indices(wanted.shape))
    groups = instance.tables.regions["region_group"].to_list()
    return pl.DataFrame(
        {
            "region_id": [ids.regions[r] for r in region],
            "region_group": [groups[r] for r in region],
            "speed_id": [ids.speeds[s] for s in speed],
            "bucket": bucket,
            "wanted": wanted.reshape(-1),
            "promised": holdout.regional.promised.reshape(-1),
        }
    ).sort(ORDER["plan/service"])
