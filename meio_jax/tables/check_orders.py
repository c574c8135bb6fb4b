"""Checks of what orders cost and how large they must be: prices by quantity, and rules of vendors for whole orders."""

from __future__ import annotations

import polars as pl

from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import ROW, View
from meio_jax.tables.mean_demand import mean_demand
from meio_jax.tables.vendor_rules import MINIMA

_TRUCK_SIZES = {"volume": "volume_m3", "weight": "weight_kg"}
_OFFER = ["item_id", "vendor_id", "node_id"]


def check_price_breaks(context: Context) -> None:
    """Every price by quantity has an offer, and is lower than those of smaller quantities."""
    if not (found := context.get("price_breaks", "offers")):
        return
    breaks, offers = found
    rows, known = breaks.numbered(), offers.frame.lazy()
    named, everywhere = (rows.filter(part) for part in (pl.col("node_id").is_not_null(), pl.col("node_id").is_null()))
    absent = [
        named.join(known, on=_OFFER, how="anti"),
        everywhere.join(known, on=_OFFER[:2], how="anti"),
    ]
    without = pl.concat(absent)
    if items := context.get("items"):
        # An item that nobody knows is told by itself.
        without = without.join(items[0].frame.lazy(), on="item_id", how="semi")
    context.findings.add_rows(
        breaks,
        without.sort(ROW).collect(),
        "vendor_id",
        "a vendor with an offer of the item (table offers)",
        "add the offer, or correct the row",
    )
    before = pl.col("unit_cost").shift().over(*_OFFER).alias("__before")
    context.findings.add_rows(
        breaks,
        rows.sort(*_OFFER, "from_units")
        .with_columns(before)
        .filter(pl.col("unit_cost") >= pl.col("__before"))
        .collect(),
        "unit_cost",
        "a lower price than that of the smaller quantity, {__before}: all units of an order have its price",
        "correct the price, or leave the row out",
    )
    price = pl.col("unit_cost").min().alias("__offer")
    at_node = known.group_by(_OFFER).agg(price)
    anywhere = known.group_by(_OFFER[:2]).agg(price)
    dear = [
        named.join(at_node, on=_OFFER).select(*rows.collect_schema().names(), "__offer"),
        everywhere.join(anywhere, on=_OFFER[:2]).select(*rows.collect_schema().names(), "__offer"),
    ]
    context.findings.add_rows(
        breaks,
        pl.concat(dear).filter(pl.col("unit_cost") >= pl.col("__offer")).collect(),
        "unit_cost",
        "a lower price than unit_cost of the offer, {__offer}",
        "correct the price, or leave the row out",
    )


def check_vendors(context: Context) -> None:
    """Rules of vendors hang together, and an order can be as large as they ask for."""
    if not (found := context.get("vendors")):
        return
    (vendors,) = found
    sizes = pl.col("truck_volume").is_null() & pl.col("truck_weight").is_null()
    context.findings.add_rows(
        vendors,
        vendors.rows(sizes & ((pl.col("truck_cost") > 0) | (pl.col("truck_fill") > 0))),
        "truck_volume",
        "the size of a truck (truck_volume, truck_weight, or both), since trucks have a cost or are to be filled",
        "add what a truck takes",
    )
    # What some items alone would fill says nothing.
    whole = context.scope is Scope.ALL and context.settings is not None
    if whole and (more := context.get("offers", "items", "forecast")):
        _check_sizes(context, vendors, *more)


def _check_sizes(context: Context, vendors: View, offers: View, items: View, forecast: View) -> None:
    """Least orders against all that is expected to be bought of the vendor, whichever node needs it."""
    settings = context.settings
    assert settings is not None
    demand = mean_demand(forecast.frame, settings).lazy()
    each = items.frame.lazy().select("item_id", "volume_m3", "weight_kg", "shelf_life").join(demand, on="item_id")
    lines = offers.frame.lazy().select(*_OFFER, "unit_cost").join(each, on="item_id")
    sold = {
        "value": pl.col("units") * pl.col("unit_cost"),
        "volume": pl.col("units") * pl.col("volume_m3"),
        "weight": pl.col("units") * pl.col("weight_kg"),
    }
    life = pl.col("shelf_life").min().alias("__life")
    sums = [value.sum().alias(f"__{name}") for name, value in sold.items()]
    by_node = lines.group_by("vendor_id", "node_id").agg(*sums, life)
    rows = vendors.numbered()
    own = rows.filter(pl.col("node_id").is_not_null())
    # A row for all nodes holds for each without a row of its own: the one that needs least says whether it can be met.
    rest = by_node.join(own, on=["vendor_id", "node_id"], how="anti")
    everywhere = rest.group_by("vendor_id").agg(pl.col("__value", "__volume", "__weight").min(), pl.col("__life").min())
    named = own.join(by_node, on=["vendor_id", "node_id"])
    general = rows.filter(pl.col("node_id").is_null()).join(everywhere, on="vendor_id")
    known = pl.concat([named, general], how="diagonal")
    for name, column in MINIMA.items():
        days = (pl.col(column) / pl.col(f"__{name}")).round(1).alias("__days")
        slow = known.filter(pl.col(column) > 0).with_columns(days)
        context.findings.add_rows(
            vendors,
            slow.filter(pl.col("__days") > settings.periods).collect(),
            column,
            f"a least order that demand fills within the horizon of {settings.periods} {settings.period}s: at most "
            "{__" + name + "} a " + settings.period + " are bought at a node, so it takes {__days}",
            "correct the value, give a row for the node, or offer more items of the vendor",
        )
        context.findings.warn_rows(
            vendors,
            slow.filter((pl.col("__days") > pl.col("__life")) & (pl.col("__days") <= settings.periods)).collect(),
            "least orders beyond a shelf life",
            "vendors whose least order takes longer to sell than some of their items keep",
            f"{{__days}} {settings.period}s of demand, shelf life {{__life}}",
            "lower the least order, or supply these items elsewhere",
        )
    _warn_of_empty_trucks(context, vendors, lines)
    _warn_of_others(context, vendors, offers)


def _warn_of_empty_trucks(context: Context, vendors: View, lines: pl.LazyFrame) -> None:
    """A truck that no item takes room in is never counted, whatever it costs."""
    largest = lines.group_by("vendor_id").agg(pl.col("volume_m3", "weight_kg").max())
    rows = vendors.numbered().join(largest, on="vendor_id")
    fills = [pl.col(f"truck_{name}").is_not_null() & (pl.col(size) > 0) for name, size in _TRUCK_SIZES.items()]
    limited = pl.any_horizontal(pl.col(f"truck_{name}").is_not_null() for name in _TRUCK_SIZES)
    context.findings.warn_rows(
        vendors,
        rows.filter(limited & ~pl.any_horizontal(fills)).sort(ROW).collect(),
        "trucks that nothing fills",
        "trucks in which the items of the vendor take no room: they are neither counted nor paid",
        "volume_m3 or weight_kg of all its items is 0",
        "fill in volume_m3 or weight_kg of its items, or leave the truck out",
    )


def _warn_of_others(context: Context, vendors: View, offers: View) -> None:
    rows, known = vendors.numbered(), offers.frame.lazy()
    named = pl.col("node_id").is_not_null()
    idle = [
        rows.filter(named).join(known, on=["vendor_id", "node_id"], how="anti"),
        rows.filter(~named).join(known, on="vendor_id", how="anti"),
    ]
    context.findings.warn_rows(
        vendors,
        pl.concat(idle).sort(ROW).collect(),
        "vendors without offers",
        "vendors that offer nothing, or nothing to the node: their rules are of no use",
        "no row of offers",
        "correct the vendor_id or node_id, or leave the row out",
    )
