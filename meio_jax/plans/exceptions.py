"""What a planner should look at first: exceptions of a plan with the money at stake and what would mend them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.certify.holdout import Holdout
from meio_jax.certify.unit_values import UnitValues
from meio_jax.config.settings import ExceptionPart
from meio_jax.instance import KINDS, Instance
from meio_jax.model.resources import Usage
from meio_jax.plans.decisions import joined
from meio_jax.plans.supply_ahead import Ahead, supply_ahead
from meio_jax.policy import AbstractPolicy
from meio_jax.policy.protected import Protected

STOCK_OUT, EXCESS, NOT_IN_TIME = "stock_out", "excess", "not_in_time"
EXPEDITE, PRICE_JUMP = "expedite", "price_jump"

_SCHEMA = {
    "item_id": pl.String,
    "node_id": pl.String,
    "kind": pl.String,
    "units": pl.Float64,
    "money": pl.Float64,
    "what": pl.String,
    "mend": pl.String,
}


@dataclass(frozen=True)
class Judged:
    """What exceptions are found in: a plan of an instance, judged on holdout scenarios.

    `values` are None where they were not computed. `prices` and `earlier` are `[buckets, resources]`; `earlier`, those
    of the run that a warm start began from, is None elsewhere.
    """

    instance: Instance
    policy: AbstractPolicy
    holdout: Holdout
    values: UnitValues | None
    prices: np.ndarray
    earlier: np.ndarray | None


_Row = tuple[str | None, str | None, str, float, float, str, str]


def exception_frame(plan: Judged, options: ExceptionPart) -> pl.DataFrame:
    """Exceptions of the items and of the capacities, those with the most money at stake first.

    Args:
        plan: The plan; of a part of a catalog no `earlier` prices are given, as it does not know what the others use.
        options: From where on something is an exception.
    """
    ahead = supply_ahead(plan.instance)
    rows: list[_Row] = [*_stock_outs(plan, options, ahead), *_excess(plan, options), *_not_in_time(plan, options)]
    rows += _late(plan, options, ahead)
    if plan.earlier is not None:
        rows += _price_jumps(plan.instance, plan.holdout.usage, (plan.prices, plan.earlier), options)
    return _sorted(rows, options)


def capacity_exceptions(
    instance: Instance, usage: Usage, prices: tuple[np.ndarray, np.ndarray], options: ExceptionPart
) -> pl.DataFrame:
    """Exceptions of the capacities alone.

    Args:
        instance: The catalog, or a part of it.
        usage: What all items use of the capacities.
        prices: Prices now, and those of the run that a warm start began from, `[buckets, resources]`.
        options: From where on something is an exception.
    """
    return _sorted([*_price_jumps(instance, usage, prices, options)], options)


def _sorted(rows: list[_Row], options: ExceptionPart) -> pl.DataFrame:
    frame = pl.DataFrame([row for row in rows if row[4] >= options.money], schema=_SCHEMA, orient="row")
    return frame.sort("money", "kind", "item_id", "node_id", descending=[True, False, False, False], nulls_last=True)


def _stock_outs(plan: Judged, options: ExceptionPart, ahead: Ahead) -> Iterator[_Row]:
    """Items that lose, or let wait, more of their demand than a share of it."""
    instance, results = plan.instance, plan.holdout.items
    demand, lost = joined(instance, results.units.demand), joined(instance, results.units.lost)
    waiting = joined(instance, results.units.backordered)
    money = joined(instance, results.terms.lost_sale) + joined(instance, results.terms.backorder)
    missed = np.maximum(lost, waiting)
    share = missed / np.maximum(demand, 1e-9)
    own, stock = joined(instance, instance.catalog.block.own_share), joined(instance, results.stock)
    nodes, settings = instance.ids.nodes, instance.tables.settings
    for item in np.flatnonzero((share > options.lost_share) & (missed > 0.5)):
        node = _short_node(own[:, item], stock[:, item])
        verb = "is lost" if lost[item] >= waiting[item] else "waits"
        what = f"{share[item]:.0%} of the demand {verb} ({missed[item]:.1f} of {demand[item]:.1f} units)"
        if waiting[item] > lost[item]:
            what = f"{waiting[item]:.1f} unit-{settings.period}s of demand wait"
        if not ahead.sourced[item]:
            mend = "it has no vendor: give it an offer, or let it run out"
        elif ahead.gap[item] > 0.5:
            until = settings.date_of(int(ahead.first_receipt[item]))
            mend = f"{ahead.gap[item]:.0f} units are missing before an order of today arrives on {until}: expedite"
        else:
            mend = "see `meio explain`: a capacity, a dear offer or a low lost-sale cost holds its stock down"
        yield instance.items[item], nodes[node], STOCK_OUT, float(missed[item]), float(money[item]), what, mend


def _short_node(own: np.ndarray, stock: np.ndarray) -> int:
    """The node with the least mean stock for the demand that asks it first, of those with half as much as the largest.

    Args:
        own: Share of demand that asks each node first.
        stock: Mean stock of each.
    """
    large = np.flatnonzero(own >= own.max() / 2)
    return int(large[np.argmin(stock[large] / np.maximum(own[large], 1e-12))])


def _levels(plan: Judged) -> np.ndarray:
    """Highest level of every node and item over the buckets."""
    inner = plan.policy.replenishment if isinstance(plan.policy, Protected) else plan.policy
    return joined(plan.instance, inner.target).max(0)  # type: ignore[attr-defined]


def _excess(plan: Judged, options: ExceptionPart) -> Iterator[_Row]:
    """Stock of today above the highest level by more than some days of the item's demand, at replacement cost."""
    instance = plan.instance
    block, nodes = instance.catalog.block, instance.ids.nodes
    on_hand, cost = joined(instance, block.on_hand), joined(instance, block.unit_cost)
    settings = instance.tables.settings
    a_day = joined(instance, block.mean_demand)[: settings.periods].mean(0)
    over = on_hand - _levels(plan)
    far = (over > 0.5) & (over > options.excess_days * a_day)
    values = plan.values
    worth = None if values is None else [joined(instance, leaf) for leaf in (values.following, values.last)]
    for node, item in zip(*np.nonzero(far), strict=True):
        units = float(over[node, item])
        length = f"{units / a_day[item]:.0f} {settings.period}s of demand" if a_day[item] > 0 else "without demand"
        what = f"{units:.0f} units more than the highest level of the plan, {length}"
        mend = _where_to(instance, worth, int(node), int(item))
        yield instance.items[item], nodes[node], EXCESS, units, units * float(cost[item]), what, mend


def _where_to(instance: Instance, worth: list[np.ndarray] | None, node: int, item: int) -> str:
    """Where a unit is worth more, if a lane leads there."""
    network, nodes = instance.network, instance.ids.nodes
    targets = [end for start, end in zip(network.lane_from, network.lane_to, strict=True) if start == node]
    if worth is not None and targets:
        following, last = worth
        best = max(targets, key=lambda end: float(following[end, item]))
        there, here = float(following[best, item]), float(last[node, item])
        if there > max(here, 0.0):
            return f"move some to {nodes[best]}: the next unit is worth {there:.2f} there, the last {here:.2f} here"
    return "sell off, return to the vendor, or move; stop what is on order"


def _not_in_time(plan: Judged, options: ExceptionPart) -> Iterator[_Row]:
    """Demand that no node where the item may be stocked serves at the speed asked for."""
    instance, ids = plan.instance, plan.instance.ids
    stockable = joined(instance, instance.catalog.block.stockable).astype(bool)
    profile = joined(instance, instance.catalog.profile)
    shares, eligible = np.asarray(instance.catalog.profiles, float), np.asarray(instance.network.eligible)
    demand = joined(instance, plan.holdout.items.units.demand)
    lost_cost = joined(instance, instance.catalog.block.lost_sale_cost)
    pairs, kind = np.unique(np.concatenate([stockable, profile[None]]), axis=1, return_inverse=True)
    for number in range(pairs.shape[1]):
        served = (eligible & pairs[:-1, number].astype(bool)).any(-1)
        missed = np.where(served, 0.0, shares[int(pairs[-1, number])])
        share = float(missed.sum())
        if share <= options.late_share:
            continue
        by_place = missed.sum(0)
        speed, region = np.unravel_index(int(by_place.argmax()), by_place.shape)
        where = f"{ids.regions[region]} at {ids.speeds[speed]}"
        for item in np.flatnonzero(kind.reshape(-1) == number):
            units = share * float(demand[item])
            what = f"{share:.0%} of the demand ({units:.1f} units) is served by no node in time, most of it in {where}"
            mend = f"a nearer node, a later cut-off or an earlier end of the wave, or a longer promise, for {where}"
            yield instance.items[item], None, NOT_IN_TIME, units, units * float(lost_cost[item]), what, mend


def _late(plan: Judged, options: ExceptionPart, ahead: Ahead) -> Iterator[_Row]:
    """Orders under way that arrive after the stock has run out by expected demand."""
    instance, settings = plan.instance, plan.instance.tables.settings
    lost_cost = joined(instance, instance.catalog.block.lost_sale_cost)
    backorder = joined(instance, instance.catalog.block.backorder_cost)
    for late in ahead.late:
        if late.units <= options.late_units:
            continue
        a_unit = float(lost_cost[late.item]) or float(backorder[late.item]) * (late.due - late.empty)
        empty, due = settings.date_of(late.empty), settings.date_of(late.due)
        what = f"stock runs out on {empty} by expected demand, {late.coming:.0f} units are due on {due}"
        mend = f"bring {late.units:.0f} units forward to {empty}, or move them from elsewhere"
        node = instance.ids.nodes[late.node]
        yield instance.items[late.item], node, EXPEDITE, late.units, late.units * a_unit, what, mend


def _price_jumps(
    instance: Instance, usage: Usage, prices: tuple[np.ndarray, np.ndarray], options: ExceptionPart
) -> Iterator[_Row]:
    """Capacities whose price rose to a multiple of that of the run that the search began from."""
    used = np.asarray(usage.used, float)
    now, before = (np.asarray(price, float) for price in prices)
    rent, rent_before = (np.maximum(price, 0) * np.maximum(used, 0) for price in (now, before))
    first = instance.tables.resources.unique("resource_id", keep="first", maintain_order=True)
    where = first["node_id"].to_list()
    size = max(float(rent.sum()), 1e-12)
    for column in range(now.shape[1]):
        mine, was = float(rent[:, column].sum()), float(rent_before[:, column].sum())
        if mine <= options.price_jump * was or mine - was <= options.price_share * size:
            continue
        name, kind = instance.ids.resources[column], KINDS[instance.kinds[column]]
        bucket = int((rent - rent_before)[:, column].argmax())
        change = f"from {before[bucket, column]:.3g} to {now[bucket, column]:.3g} in bucket {bucket}"
        what = f"the price of {name} ({kind}) rose {change}"
        mend = f"`meio whatif RUN --resource {name} --capacity +10%` says what more of it would save"
        yield None, where[column], PRICE_JUMP, float(used[:, column].sum()), mine - was, what, mend
