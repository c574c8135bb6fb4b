"""Checks of supply by item: from its vendors and its stock, through lanes, to the customers who ask for it."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.tables.check_assortment import refused_offers, refused_pairs
from meio_jax.tables.check_items import accepted_classes
from meio_jax.tables.context import Context, Scope
from meio_jax.tables.findings import ROW, View
from meio_jax.tables.reach import Reach, network_reach

_NETWORK = ("nodes", "lanes", "speeds", "transit", "cutoffs", "shares")
_ALL = 1 - 1e-9


def check_reach(context: Context) -> None:
    """Run every check of this module."""
    if context.settings is None or context.get(*_NETWORK) is None:
        return
    frames = {name: context.views[name].frame for name in _NETWORK}
    given = {**frames, "lanes": frames["lanes"].drop("use", strict=False)}
    if any(frame.null_count().sum_horizontal().item() for name, frame in given.items() if name != "nodes"):
        return
    reach = network_reach(context.settings, frames)
    if context.scope is not Scope.BLOCK:
        _warn_of_promises(context, reach)
    if context.scope is not Scope.NETWORK and context.get("items", "offers", "on_hand", "on_order"):
        _check_items(context, reach)


def _warn_of_promises(context: Context, reach: Reach) -> None:
    """Demand that asks for a speed at which no node delivers in its wave; slower ones do, else it is an error."""
    (shares,) = context.get("shares") or ()
    late = [cell for number, cell in enumerate(reach.cells) if not reach.exact[:, number].any()]
    schema = {"region_id": pl.String, "speed_id": pl.String, "wave": pl.Int64}
    rows = pl.DataFrame(late, schema=schema, orient="row").lazy()
    asked = shares.numbered().filter(pl.col("share") > 0)
    context.findings.warn_rows(
        shares,
        asked.join(rows, on=["region_id", "speed_id", "wave"]).with_columns(pl.col("share").round(4)).collect(),
        "promises not met",
        "shares of demand at a speed that no node meets: it is lost, but for what is downgraded to a slower speed",
        "share {share} of profile {profile}: no node reaches {region_id} in time for {speed_id} in wave {wave}",
        "move the share to a slower speed, or check hours in transit and cutoff_hour (a wave that ends after the "
        "cut-off leaves a day later)",
    )


def _check_items(context: Context, reach: Reach) -> None:
    items, offers, on_hand, on_order = context.get("items", "offers", "on_hand", "on_order") or ()
    accepted = _accepted(context, reach.nodes, items)
    cover = {name: reach.supplied(mask) for name, mask in accepted.items()}
    stocked = [
        view.frame.lazy().filter(pl.col("units") > 0).select("item_id", "node_id") for view in (on_hand, on_order)
    ]
    refused = refused_pairs(context).lazy()
    bought = offers.frame.lazy().join(refused, on=["item_id", "node_id"], how="anti")
    bought = bought.join(refused_offers(context).lazy(), on=["item_id", "vendor_id", "node_id"], how="anti")
    sources = pl.concat([bought.select("item_id", "node_id"), *stocked]).unique()
    shut = refused.group_by("item_id").agg(pl.col("node_id").sort().alias("__shut"))
    at = {name: number for number, name in enumerate(reach.nodes)}
    known = pl.col("node_id").is_in(pl.Series(reach.nodes, dtype=pl.String).implode())
    kinds = (
        items.numbered()
        .filter(pl.col("profile").is_in(pl.Series(reach.profiles, dtype=pl.String).implode()))
        .unique("item_id", keep="first")
        .join(sources.filter(known).group_by("item_id").agg(pl.col("node_id").sort()), on="item_id")
        .join(shut, on="item_id", how="left")
        .group_by("node_id", "storage_class", "profile", "__shut")
        .agg(pl.col(ROW))
        .collect()
    )
    weight = {name: reach.weight[number] for number, name in enumerate(reach.profiles)}
    none, part, nothing = [], [], np.zeros(len(reach.cells), bool)
    for nodes, name, profile, shut_nodes, rows in kinds.iter_rows():
        reached = nothing
        if name in cover and not shut_nodes:
            reached = np.asarray(cover[name][[at[node] for node in nodes]].any(0))
        elif name in cover:
            closed = np.isin(reach.nodes, shut_nodes)
            reached = reach.from_sources(accepted[name], closed, [at[node] for node in nodes])
        share = float(weight[profile] @ reached / max(weight[profile].sum(), 1e-300))
        if share == 0:
            none += rows
        elif share < _ALL:
            part += [(row, round(100 * (1 - share), 2)) for row in rows]
    _tell(context, items, none, part)
    _warn_of_offers(context, reach, cover)


def _accepted(context: Context, nodes: list[str], items: View) -> dict[str, np.ndarray]:
    """By storage class of items, which nodes accept it."""
    pairs = accepted_classes(context.views["nodes"].frame)
    by_node: dict[str, set[str | None]] = {}
    for node, name in pairs.iter_rows():
        by_node.setdefault(node, set()).add(name)
    classes = items.frame.get_column("storage_class").drop_nulls().unique().to_list()
    return {
        name: np.asarray([None in by_node[node] or name in by_node[node] for node in nodes], bool) for name in classes
    }


def _tell(context: Context, items: View, none: list[int], part: list[tuple[int, float]]) -> None:
    context.findings.add_rows(
        items,
        items.numbered().filter(pl.col(ROW).is_in(none)).collect(),
        "item_id",
        "an item that can be brought to some customer of its profile {profile}: from the nodes of its offers and its "
        "stock, through lanes, to a node that accepts its storage class and reaches the customer in time",
        "add a lane, an offer at another node, or transit and cut-offs; or remove the item",
    )
    lost = pl.DataFrame(part, schema={ROW: pl.UInt32, "__lost": pl.Float64}, orient="row").lazy()
    context.findings.warn_rows(
        items,
        items.numbered().join(lost, on=ROW).collect(),
        "out of reach",
        "items that cannot be brought to some of the customers of their profile: that demand is lost",
        "{__lost} % of the demand of profile {profile}",
        "add a lane or an offer at another node, or a profile without these customers",
    )


def _warn_of_offers(context: Context, reach: Reach, cover: dict[str, np.ndarray]) -> None:
    """Offers at nodes from where the item reaches no customer who asks for it."""
    items, offers = context.get("items", "offers") or ()
    asked = reach.weight > 0
    useful = [
        (node, name, profile)
        for name, cells in cover.items()
        for profile, wanted in zip(reach.profiles, asked, strict=True)
        for node, reached in zip(reach.nodes, cells, strict=True)
        if (reached & wanted).any()
    ]
    keys = ["node_id", "storage_class", "profile"]
    frame = pl.DataFrame(useful, schema=dict.fromkeys(keys, pl.String), orient="row").lazy()
    known = items.frame.lazy().select("item_id", "storage_class", "profile").unique("item_id")
    idle = offers.numbered().join(known, on="item_id").join(frame, on=keys, how="anti").collect()
    context.findings.warn_rows(
        offers,
        idle,
        "offers without customers",
        "offers that deliver to a node from where no customer who asks for the item is reached: they are of no use",
        "no customer of profile {profile} is reached from {node_id}",
        "add a lane or transit from the node, or remove the offer",
    )
