"""What overrides ask of the arrays of a catalog: how many orders are fixed, and whether anything expires within."""

from __future__ import annotations

import polars as pl

from meio_jax.tables import Tables
from meio_jax.tables.frozen import frozen_offers, standing_orders
from meio_jax.tables.overrides import in_force, lasts


def fixed_orders(tables: Tables) -> pl.DataFrame:
    """Orders that are fixed: `item_id, node_id, vendor_id, from_node, period, units`.

    Those of planners, and in frozen periods those that an earlier run planned.
    """
    rows = in_force(tables.overrides, tables.settings, "order")
    own = rows.select("item_id", "node_id", "vendor_id", "from_node", "period", "units")
    if tables.planned_orders.is_empty():
        return own
    standing = standing_orders(tables.planned_orders, tables.offers, tables.overrides, tables.settings)
    return pl.concat([own, standing])


def has_frozen(tables: Tables) -> bool:
    """Whether nothing new is ordered through some offer in the first periods."""
    return not frozen_offers(tables.offers, tables.settings).is_empty()


def most_fixed(tables: Tables) -> int:
    """The most orders that are fixed for one item."""
    orders = fixed_orders(tables)
    return 0 if orders.is_empty() else int(orders.group_by("item_id").len()["len"].to_numpy().max())


def closed_for_a_while(tables: Tables) -> pl.DataFrame:
    """Exclusions that expire before the horizon ends; the others are as if the source was not there."""
    return in_force(tables.overrides, tables.settings, "exclude").filter(~lasts(tables.settings))


def has_closings(tables: Tables) -> bool:
    """Whether a source of any item is excluded for a part of the horizon."""
    return not closed_for_a_while(tables).is_empty()


def has_stock_rows(tables: Tables) -> bool:
    """Whether an override bounds the stock of any item."""
    return not in_force(tables.overrides, tables.settings, "stock").is_empty()


def bounds_expire(tables: Tables) -> bool:
    """Whether an override on stock expires before the horizon ends."""
    return not in_force(tables.overrides, tables.settings, "stock").filter(~lasts(tables.settings)).is_empty()
