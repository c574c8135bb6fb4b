"""The tables of a run folder as data frames."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np
import polars as pl

from meio_jax.certify.certificate import relative_violation
from meio_jax.certify.docks import QueuedDocks
from meio_jax.certify.holdout import Holdout
from meio_jax.certify.unit_values import UnitValues
from meio_jax.certify.worlds import kept_shares
from meio_jax.config.settings import ExceptionPart
from meio_jax.instance import KINDS, Instance
from meio_jax.model.resources import Usage
from meio_jax.plans.bound_orders import ORDER_LINES, bound
from meio_jax.plans.dates import order_dates
from meio_jax.plans.decisions import decide, joined, spare_of
from meio_jax.plans.docks import dock_frame
from meio_jax.plans.exceptions import Judged, exception_frame
from meio_jax.plans.flows import flow_frames
from meio_jax.plans.names import with_names
from meio_jax.plans.order_prices import price_of
from meio_jax.plans.order_system import fulfilment_frame, node_value_frame, unit_value_frame
from meio_jax.plans.planned import planned_frames
from meio_jax.plans.policy_tables import KEPT_ABOVE, policy_frames
from meio_jax.plans.spare_tables import NAME as SPARE
from meio_jax.plans.spare_tables import spare_frame
from meio_jax.plans.vendor_orders import order_lines
from meio_jax.policy import AbstractPolicy
from meio_jax.simulation.spare_numbers import SpareNumbers
from meio_jax.solver.solve import Solution
from meio_jax.solver.subproblem import Settings


def decision_frames(
    instance: Instance, policy: AbstractPolicy, spare: SpareNumbers | None = None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Purchase orders and transfers to place today, in whole units, with names where there are any.

    Rules of vendors for whole orders are kept where all items of the catalog are there; some items alone cannot know
    what others add to an order.

    Args:
        instance: The instance that was planned, or a part of it.
        policy: Parameters in units; leaves have a leading block axis.
        spare: The rule of transshipment (`spare_of`), in networks that have it.
    """
    frames = _decision_frames(instance, policy, spare, lines=len(instance.items) == instance.census.items)
    yield from with_names(instance, bound(instance, frames))


def part_decision_frames(
    instance: Instance, policy: AbstractPolicy, spare: SpareNumbers | None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Decisions of a part of a catalog, whose orders the rules of vendors change once all parts are there.

    What they need to know for that is the table `ORDER_LINES`.
    """
    yield from with_names(instance, _decision_frames(instance, policy, spare, lines=True))


def _decision_frames(
    instance: Instance, policy: AbstractPolicy, spare: SpareNumbers | None, *, lines: bool
) -> Iterator[tuple[str, pl.DataFrame]]:
    decisions = decide(instance, policy, spare)
    network, ids, block = instance.network, instance.ids, instance.catalog.block
    items, nodes = np.asarray(instance.items), np.asarray(ids.nodes)
    bought = decisions.bought
    slot, item = np.nonzero(bought)
    units = bought[slot, item]
    cost = price_of(instance, slot, item, units)
    pack = joined(instance, block.pack)[slot, item]
    vendor = joined(instance, block.offer_vendor).astype(int)[slot, item]
    node = np.asarray(network.offer_node, int)[slot]
    placed, due = order_dates(instance, joined(instance, block.offer_lead)[slot, item], node)
    yield (
        "plan/orders",
        pl.DataFrame(
            {
                "item_id": items[item],
                "vendor_id": np.asarray(ids.vendors, dtype=object)[vendor] if slot.size else [],
                "node_id": nodes[node],
                "units": units,
                "packs": np.rint(units / pack).astype(np.int64),
                "unit_cost": cost.astype(float),
                "cost": (cost * units).astype(float),
                "order_date": [placed] * slot.size,
                "due_date": due,
            },
            schema_overrides={"vendor_id": pl.String, "order_date": pl.Date, "due_date": pl.Date},
        ).sort("item_id", "vendor_id", "node_id"),
    )
    if lines and instance.census.rhythms:
        yield ORDER_LINES, _dated_lines(instance, bought)
    lane, item = np.nonzero(decisions.moved)
    target = np.asarray(network.lane_to, int)[lane]
    placed, due = order_dates(instance, np.asarray(network.lane_lead)[lane], target)
    yield (
        "plan/transfers",
        pl.DataFrame(
            {
                "item_id": items[item],
                "from_node": nodes[np.asarray(network.lane_from, int)[lane]],
                "to_node": nodes[target],
                "units": decisions.moved[lane, item],
                "ship_date": [placed] * lane.size,
                "due_date": due,
            },
            schema_overrides={"ship_date": pl.Date, "due_date": pl.Date},
        ).sort("item_id", "from_node", "to_node"),
    )


def _dated_lines(instance: Instance, bought: np.ndarray) -> pl.DataFrame:
    """What orders of vendors with rules can hold, with the dates of an order of today."""
    leaves = _leaves(instance)
    slot, item, frame = order_lines(instance, bought, leaves)
    node = np.asarray(instance.network.offer_node, int)[slot]
    placed, due = order_dates(instance, leaves["offer_lead"][slot, item], node)
    return frame.with_columns(
        order_date=pl.lit(placed, dtype=pl.Date), due_date=pl.Series("due_date", due, dtype=pl.Date)
    )


def _leaves(instance: Instance) -> dict[str, np.ndarray]:
    """Arrays of the items by name, over all items; beside them what planners decided, most stock and prices."""
    block = instance.catalog.block
    named = {**vars(block), **({} if block.overrides is None else vars(block.overrides))}
    if block.bounds is not None:
        named["most"] = block.bounds.most
    plain = {name: leaf for name, leaf in named.items() if isinstance(leaf, jax.Array)}
    found = {name: joined(instance, leaf) for name, leaf in plain.items() if not name.startswith("group")}
    none: np.ndarray = np.zeros((0, *found["offer_cost"].shape))
    steps = {"from_units": none, "break_cost": none}
    if block.ordering is not None:
        steps["from_units"] = joined(instance, block.ordering.from_units)
        steps["break_cost"] = joined(instance, block.ordering.unit_cost)
    return {"bought_until": np.full(len(instance.items), np.iinfo(np.int32).max), **found, **steps}


def expected_frames(instance: Instance, holdout: Holdout) -> Iterator[tuple[str, pl.DataFrame]]:
    """Expected flows and costs on holdout scenarios: by item x node x speed, by item x node, by item."""
    results, network, ids = holdout.items, instance.network, instance.ids
    items, nodes = np.asarray(instance.items), np.asarray(ids.nodes)
    speeds = len(ids.speeds)
    units = joined(instance, results.speed_units).reshape(speeds, network.nodes, -1)
    cost = joined(instance, results.speed_cost).reshape(units.shape)
    speed, node, item = np.nonzero(units > KEPT_ABOVE)
    shipped = units[speed, node, item]
    yield (
        "plan/expected",
        pl.DataFrame(
            {
                "item_id": items[item],
                "node_id": nodes[node],
                "speed_id": np.asarray(ids.speeds)[speed],
                "units": shipped,
                "outbound_cost": cost[speed, node, item],
                "handling_cost": shipped * np.asarray(network.handling_cost, float)[node],
            }
        ).sort("item_id", "node_id", "speed_id"),
    )
    yield "plan/expected_nodes", _node_frame(instance, holdout)
    yield "plan/expected_items", _item_frame(instance, holdout)


def _node_frame(instance: Instance, holdout: Holdout) -> pl.DataFrame:
    results, network, block = holdout.items, instance.network, instance.catalog.block
    stock, received = joined(instance, results.stock), joined(instance, results.received)
    ordered, lane = joined(instance, results.ordered), joined(instance, results.lane)
    offer_node, lane_to = np.asarray(network.offer_node, int), np.asarray(network.lane_to, int)
    weight = instance.tables.items["weight_kg"].to_numpy()

    def to_node(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        table = np.zeros(stock.shape)
        np.add.at(table, rows, values)
        return table

    days = max(float(np.asarray(network.charged).sum()), 1.0)
    lane_cost = np.asarray(network.lane_cost_unit)[:, None] + np.asarray(network.lane_cost_kg)[:, None] * weight
    freight = to_node(offer_node, ordered * joined(instance, block.offer_freight))
    holding = instance.tables.items["holding_cost"].to_numpy() * np.asarray(network.holding_factor)[:, None]
    paid = ordered * joined(instance, block.offer_cost) if results.paid is None else joined(instance, results.paid)
    columns = {
        "on_hand": stock,
        "received": received,
        "ordered": to_node(offer_node, ordered) + to_node(lane_to, lane),
        "purchase_cost": to_node(offer_node, paid),
        "inbound_cost": freight + received * np.asarray(network.inbound_cost)[:, None],
        "transfer_cost": to_node(lane_to, lane * lane_cost),
        "holding_cost": stock * days * holding,
    }
    if results.outside is not None:
        columns["outside"] = joined(instance, results.outside)
        columns["holding_cost"] = columns["holding_cost"] + columns["outside"] * days * holding
    if results.lines is not None and block.ordering is not None:
        lines = joined(instance, results.lines)
        columns["order_lines"] = to_node(offer_node, lines)
        whole = lines * joined(instance, block.ordering.fixed) + ordered * joined(instance, block.ordering.share)
        columns["ordering_cost"] = to_node(offer_node, whole)
    if results.wasted is not None:
        columns["wasted"] = joined(instance, results.wasted)
        columns["waste_cost"] = columns["wasted"] * instance.tables.items["waste_cost"].to_numpy()
    wasted = columns.get("wasted", np.zeros_like(stock))
    some = (stock > KEPT_ABOVE) | (columns["ordered"] > KEPT_ABOVE) | (received > KEPT_ABOVE) | (wasted > KEPT_ABOVE)
    node, item = np.nonzero(some)
    names = {"item_id": np.asarray(instance.items)[item], "node_id": np.asarray(instance.ids.nodes)[node]}
    return pl.DataFrame({**names, **{name: table[node, item] for name, table in columns.items()}}).sort(
        "item_id", "node_id"
    )


def _item_frame(instance: Instance, holdout: Holdout) -> pl.DataFrame:
    results = holdout.items
    units, terms = results.units, results.terms
    columns = {
        "demand": units.demand,
        "shipped": units.shipped,
        "lost": units.lost,
        "downgraded": units.downgraded,
        "backordered": units.backordered,
        "lost_cost": terms.lost_sale,
        "downgrade_cost": terms.downgrade,
        "backorder_cost": terms.backorder,
        "terminal_credit": -terms.terminal,
        "total_cost": terms.total,
    }
    if units.wasted is not None and terms.waste is not None:
        columns |= {"wasted": units.wasted, "waste_cost": terms.waste}
    if terms.ordering is not None:
        columns["ordering_cost"] = terms.ordering
    return pl.DataFrame(
        {"item_id": instance.items, **{name: joined(instance, table) for name, table in columns.items()}}
    )


def share_error(grouped: Usage) -> np.ndarray:
    """Standard error of used ÷ wanted from groups of scenarios `[groups, buckets, resources]`; none with one group."""
    used, wanted = np.asarray(grouped.used, float), np.asarray(grouped.wanted, float)
    if len(used) < 2:
        return np.full(used.shape[1:], np.nan)
    mean = np.maximum(wanted.mean(0), 1e-12)
    apart = used - used.mean(0) / mean * wanted
    return np.sqrt(np.square(apart).sum(0) / (len(used) * (len(used) - 1))) / mean


def prices_frame(instance: Instance, prices: np.ndarray, holdout: Holdout, usual: np.ndarray) -> pl.DataFrame:
    """Price, holdout usage, capacity and relative violation of every resource and bucket.

    Usage and capacity are in the unit of the resources table (storage: average, flows: per day, spend: total,
    service: share of demand; in_stock: share of item x node x periods); `scope` is what such a share is of, in all, and
    `usage_error` the standard error of the share; null elsewhere. Where a capacity is held in a share of the scenarios,
    `held_in`, its usage is the quantile at that share; `kept_in` is the share in which it is kept exactly, and
    `mean_usage` the mean. Violation is a share of the capacity, or of `usual`
    (`Solution.usual`) where that is nothing; a price is money per unit of usage and day (spend: per unit of money).
    """
    resources = instance.resources
    used, wanted = holdout.usage.used, holdout.usage.wanted
    relative, capacity = relative_violation(resources, used, wanted, usual)
    days = np.maximum(np.asarray(instance.network.charged_per_bucket, float), 1)[:, None]
    spend = np.asarray([KINDS[kind] == "spend" for kind in instance.kinds])
    service = np.asarray(resources.is_service)
    scale = np.where(service, np.maximum(wanted, 1e-12), np.where(spend, 1.0, days))
    bucket, column = np.nonzero(np.asarray(resources.present))
    table = instance.tables.resources.unique("resource_id", keep="first", maintain_order=True)
    scope = [
        "node_id",
        "to_node",
        "vendor_id",
        "storage_class",
        "region_group",
        "speed_id",
        "measure",
        "item_class",
        "node_group",
    ]
    at = (bucket, column)
    held = _held_columns(instance, holdout, scale, at)
    return pl.DataFrame(
        {
            "resource_id": np.asarray(instance.ids.resources)[column],
            "kind": np.asarray(KINDS)[instance.kinds[column]],
            "bucket": bucket,
            "price": np.asarray(prices, float)[at],
            "usage": (used / scale)[at],
            "capacity": (capacity / scale)[at],
            "violation": relative[at],
            "scope": np.where(service, wanted, np.nan)[at],
            "usage_error": np.where(service, share_error(holdout.grouped), np.nan)[at],
            **{name: table[name].gather(column) for name in scope},
            **held,
        },
        # Without capacities there are no texts to tell their type from.
        schema_overrides={"resource_id": pl.String, "kind": pl.String},
    ).with_columns(pl.col("scope", "usage_error", *held).fill_nan(None))


def _held_columns(
    instance: Instance, holdout: Holdout, scale: np.ndarray, at: tuple[np.ndarray, np.ndarray]
) -> dict[str, np.ndarray]:
    """Further columns of the prices where some capacity is held in a share of the scenarios, not a number elsewhere."""
    resources, worlds = instance.resources, holdout.usage.worlds
    if worlds is None or not resources.held_index:
        return {}
    rows = list(resources.held_index)
    found = {name: np.full(scale.shape, np.nan) for name in ("held_in", "kept_in", "mean_usage")}
    found["held_in"][:, rows] = np.asarray(resources.held_share)
    found["kept_in"][:, rows] = kept_shares(resources, holdout.usage, np.arange(worlds.cost.shape[-1]), 0.0)[0]
    found["mean_usage"][:, rows] = np.mean(np.asarray(worlds.used, float), axis=-1)
    found["mean_usage"] /= scale
    return {name: table[at] for name, table in found.items()}


def metrics_frame(solution: Solution) -> pl.DataFrame:
    """One row per step of the solve."""
    rows = [
        {
            "step": step.step,
            "seconds": step.seconds,
            "cost": step.cost,
            "lagrangian": step.lagrangian,
            "gap": step.gap,
            "change": step.change if np.isfinite(step.change) else None,
            "max_violation": step.violation,
            **{f"violation_{kind}": value for kind, value in step.by_kind.items()},
            "price_norm": step.price_norm,
            "scenarios": step.scenarios,
        }
        for step in solution.history
    ]
    return pl.DataFrame(rows, schema_overrides={"change": pl.Float64})


def shared_frames(
    instance: Instance, solution: Solution, holdout: Holdout, rounds: int, docks: QueuedDocks | None = None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables of a plan that do not grow with the catalog.

    Arguments as of `plan_frames`, of all items together; `docks` is what waits at docks that queue, if anything does.
    """
    prices = np.asarray(solution.prices)
    yield "plan/fulfilment", fulfilment_frame(instance, prices, rounds)
    yield "prices", prices_frame(instance, prices, holdout, solution.usual)
    if docks is not None:
        yield "plan/docks", dock_frame(instance, docks)
    yield "metrics", metrics_frame(solution)


def plan_frames(
    instance: Instance,
    policy: AbstractPolicy,
    solution: Solution,
    holdout: Holdout,
    *,
    values: UnitValues | None = None,
    daily: bool = False,
    exceptions: ExceptionPart | None = None,
    earlier_prices: np.ndarray | None = None,
    overrides: pl.DataFrame | None = None,
    settings: Settings | None = None,
    part: bool = False,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables of items of a plan, and of what they add up to, with their paths in the run folder.

    Args:
        instance: The instance that was planned, or a part of it.
        policy: Parameters in units; leaves have a leading block axis.
        solution: The search.
        holdout: Results on holdout scenarios.
        values: What units in stock are worth; None: not asked for.
        daily: Whether expected orders are given by day as well.
        exceptions: From where on something is an exception; None: none are looked for.
        earlier_prices: Prices of the run that a warm start began from; None: capacities are no exceptions.
        overrides: The table `plan/overrides`; None: nothing is overridden.
        settings: Static choices of the item problems, for what orders are assigned by; None: by cost alone.
        part: Whether other parts of the catalog are to come, with which orders are put together.
    """
    spare = spare_of(instance, np.asarray(solution.list_prices))
    decided = part_decision_frames if part else decision_frames
    yield from policy_frames(instance, policy)
    yield from decided(instance, policy, spare)
    if spare is not None:
        yield SPARE, spare_frame(instance, spare)
    yield from expected_frames(instance, holdout)
    yield from flow_frames(instance, holdout)
    yield from with_names(instance, planned_frames(instance, holdout, daily=daily))
    if values is not None:
        yield "plan/unit_values", unit_value_frame(instance, values)
    worth = None if settings is None else node_value_frame(instance, settings, np.asarray(solution.list_prices))
    if worth is not None:
        yield "plan/node_values", worth
    if overrides is not None:
        yield from with_names(instance, [("plan/overrides", overrides)])
    if exceptions is not None:
        judged = Judged(instance, policy, holdout, values, np.asarray(solution.prices), earlier_prices)
        yield from with_names(instance, [("plan/exceptions", exception_frame(judged, exceptions))])
