"""`plan/orders` by the rules of vendors for whole orders, from tables of all items or of the parts of a catalog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from meio_jax.instance import Instance
from meio_jax.plans.vendor_orders import lines_of, whole_order_frame, whole_orders

ORDERS, VENDOR_ORDERS = "plan/orders", "plan/vendor_orders"
ORDER_LINES = "plan/order_lines"
"""What orders of vendors with rules can hold: a table between the parts of a catalog, which no run keeps."""

_KEYS = ["item_id", "vendor_id", "node_id"]


def bound(instance: Instance, frames: Iterable[tuple[str, pl.DataFrame]]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Decisions of all items of a catalog by the rules of vendors; as they are where vendors have none."""
    found = dict(frames)
    if (lines := found.pop(ORDER_LINES, None)) is not None:
        decided, whole = whole_orders(instance, lines, instance.census.rhythms)
        found[ORDERS] = with_decided(found[ORDERS], lines, decided)
        found[VENDOR_ORDERS] = whole_order_frame(whole)
    yield from found.items()


def with_decided(orders: pl.DataFrame, lines: pl.DataFrame, decided: pl.DataFrame) -> pl.DataFrame:
    """Orders of some items with what was decided for vendors with rules.

    Args:
        orders: `plan/orders` of these items without rules.
        lines: The order lines of these items, with their dates.
        decided: Units by `item_id, vendor_id, node_id`, of these items or more.

    Returns:
        `plan/orders` in the columns and order that it had.
    """
    rows = lines.drop("units").join(decided, on=_KEYS).filter(pl.col("units") > 0)
    units = rows["units"].to_numpy()
    rows = rows.with_columns(
        packs=(pl.col("units") / pl.col("pack")).round(),
        unit_cost=pl.Series(lines_of(rows).price(units), dtype=pl.Float64),
    ).with_columns(cost=pl.col("units") * pl.col("unit_cost"))
    own = rows.select(orders.columns).cast(orders.schema)
    return pl.concat([orders.join(lines, on=_KEYS, how="anti"), own]).sort(_KEYS)
