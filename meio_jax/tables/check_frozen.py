"""Checks of frozen periods: orders that cannot stand, and frozen offers without any."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context
from meio_jax.tables.frozen import frozen_offers, standing_orders
from meio_jax.tables.overrides import in_force

_OFFER = ["item_id", "vendor_id", "node_id"]


def check_frozen(context: Context) -> None:
    """Run every check of this module; what it finds are warnings."""
    found = context.get("offers", "planned_orders", "overrides")
    if context.settings is None or found is None:
        return
    offers, planned, overrides = found
    frozen = frozen_offers(offers.frame, context.settings)
    if frozen.is_empty():
        context.findings.warn_rows(
            planned,
            planned.numbered().collect(),
            "nothing is frozen",
            "planned orders change nothing: no period is frozen, neither in instance.yaml nor in offers",
            "{units} units of {item_id} from {vendor_id} to {node_id}",
            "set frozen_periods, or remove the table",
        )
        return
    last = int(frozen["frozen_until"].to_numpy().max())
    lost = planned.numbered().filter(pl.col("period").is_between(-1, last) & (pl.col("units") > 0))
    lost = lost.join(offers.frame.lazy().select(_OFFER), on=_OFFER, how="anti")
    context.findings.warn_rows(
        planned,
        lost.collect(),
        "planned orders without offers",
        "planned orders of frozen periods at vendors that offer nothing to the node any more are not placed",
        "{units} units of {item_id} from {vendor_id} to {node_id}",
        "give the offer, or remove the rows",
    )
    if context.findings.problems:
        # Units or packs may be ones that no order has; the instance is refused, and this is a warning.
        return
    standing = standing_orders(planned.frame, offers.frame, overrides.frame, context.settings)
    fixed = in_force(overrides.frame, context.settings, "order").drop_nulls("vendor_id")
    known = pl.concat([standing.select(_OFFER), fixed.select(_OFFER)]).unique().lazy()
    bare = offers.numbered().join(frozen.lazy().select(_OFFER), on=_OFFER).join(known, on=_OFFER, how="anti")
    context.findings.warn_rows(
        offers,
        bare.collect(),
        "frozen without orders",
        "offers are frozen and no order of the frozen periods is planned or fixed: nothing is ordered in them",
        "{item_id} from {vendor_id} to {node_id}",
        "put plan/planned_days (or plan/planned_orders) of the earlier run into the instance as table planned_orders, "
        "or fix orders in overrides",
    )
