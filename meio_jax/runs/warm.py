"""Warm starts: what an earlier run found for the same items, nodes, offers, days and capacities."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.config.settings import Config
from meio_jax.distributed.processes import gather
from meio_jax.distributed.sharding import own_part, place_blocks
from meio_jax.instance import KINDS, Instance
from meio_jax.planner.model import Model, prepare
from meio_jax.planner.streaming import Counted, build_stream
from meio_jax.policy import AbstractPolicy
from meio_jax.progress import AbstractProgress
from meio_jax.runs.checkpoint import saved_items
from meio_jax.runs.portable import Basis, basis_of, named_leaves
from meio_jax.runs.saved_run import SavedRun, read_saved_run
from meio_jax.solver.file_store import PartFiles
from meio_jax.solver.optimiser import adam_of, with_moments
from meio_jax.solver.solve import State, initial_state
from meio_jax.solver.store import Items
from meio_jax.solver.subproblem import ItemState
from meio_jax.tables import Tables
from meio_jax.tables.periods import period_date


@dataclass(frozen=True)
class Match:
    """Where each thing of this run is in the earlier one: positions, -1 where it is not.

    `buckets [buckets, earlier buckets]` says from which buckets a bucket takes its values: by the days they share;
    `orders [nodes, buckets, earlier buckets]` the same by the days on which a node orders.
    """

    items: np.ndarray
    nodes: np.ndarray
    resources: np.ndarray
    buckets: np.ndarray
    orders: np.ndarray
    same_days: np.ndarray


def _positions(names: list, earlier: list) -> np.ndarray:
    place = {_key(name): at for at, name in enumerate(earlier)}
    return np.asarray([place.get(_key(name), -1) for name in names], int)


def _key(name: Any) -> Any:
    return tuple(name) if isinstance(name, list) else name


def _bucket_days(axes: dict[str, Any]) -> list[np.ndarray]:
    """First days of the periods of every bucket, as ordinals of the calendar.

    Runs written before there were other periods than days do not say which they have.
    """
    start, length = datetime.date.fromisoformat(axes["start_date"]), axes.get("period", "day")
    whole = np.asarray([period_date(start, number, length).toordinal() for number in range(axes["periods"])])
    return np.split(whole, np.arange(axes["bucket_periods"], axes["periods"], axes["bucket_periods"]))


def bucket_weights(axes: dict[str, Any], earlier: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Share of each bucket's days that lie in each earlier bucket; where none do, the nearest bucket counts.

    Returns:
        The weights `[buckets, earlier buckets]` (rows sum to 1), and which buckets share any day.
    """
    ours, theirs = _bucket_days(axes), _bucket_days(earlier)
    shared = np.asarray([[np.intersect1d(mine, old).size for old in theirs] for mine in ours], float)
    same = shared.sum(1) > 0
    nearest = np.asarray([np.argmin([abs(old.mean() - mine.mean()) for old in theirs]) for mine in ours])
    shared[~same, nearest[~same]] = 1
    return shared / shared.sum(1, keepdims=True), same


def day_weights(axes: dict[str, Any], earlier: dict[str, Any], days: np.ndarray) -> np.ndarray:
    """The same where not all days count: a node that reviews once a week orders by the target of that day alone.

    Args:
        axes: Dates of this run.
        earlier: Dates of the earlier one.
        days: How much each of this run's days counts, `[periods, things]`; where none of a bucket's days that the
            earlier run had does, all count.

    Returns:
        Weights `[things, buckets, earlier buckets]`; rows sum to 1.
    """
    ours, theirs = _bucket_days(axes), _bucket_days(earlier)
    whole = np.concatenate(ours)
    within = lambda buckets: np.asarray([np.isin(whole, bucket) for bucket in buckets], float)
    shared = np.einsum("bp,op,pk->kbo", within(ours), within(theirs), days)
    total = shared.sum(2, keepdims=True)
    return np.where(total > 0, shared / np.where(total > 0, total, 1), bucket_weights(axes, earlier)[0])


def match(basis: Basis, earlier: SavedRun, review: np.ndarray | None = None) -> Match:
    """Match by item, node, resource and calendar day.

    Args:
        basis: Ids and dates of this run.
        earlier: The earlier run.
        review: Days on which nodes order, `[periods, nodes]`; None: every day.
    """
    place = {name: at for at, name in enumerate(earlier.basis.items) if earlier.held[at]}
    weights, same = bucket_weights(basis.axes, earlier.axes)
    days = np.ones((basis.axes["periods"], len(basis.axes["nodes"]))) if review is None else review
    return Match(
        items=np.asarray([place.get(name, -1) for name in basis.items], int),
        nodes=_positions(basis.axes["nodes"], earlier.axes["nodes"]),
        resources=_positions(basis.axes["resources"], earlier.axes["resources"]),
        buckets=weights,
        orders=day_weights(basis.axes, earlier.axes, days),
        same_days=same,
    )


def prices_of(
    earlier: SavedRun, axes: dict[str, Any], found: np.ndarray | None, orders: np.ndarray | None = None
) -> np.ndarray:
    """Prices of the earlier run by resource and bucket, for the resources and buckets of this one; 0 where new.

    Args:
        earlier: The earlier run.
        axes: Ids and dates of this run.
        found: Its prices, or those that rank lists; None: it has none.
        orders: For every resource how much each day counts, `[periods, resources]`: what vendors can deliver is used
            on the days of orders alone. None: all days alike.
    """
    at = _positions(axes["resources"], earlier.axes["resources"])
    weights = day_weights(axes, earlier.axes, np.ones((axes["periods"], at.size)) if orders is None else orders)
    if found is None or not at.size:
        return np.zeros((len(_bucket_days(axes)), at.size))
    return np.einsum("rbo,or->br", weights, found[:, at]) * (at >= 0)


def order_days(instance: Instance) -> np.ndarray:
    """How much each day counts for every resource, `[periods, resources]`.

    For vendors and spend: the number of nodes with offers that review on the day; for all others every day alike.
    """
    network = instance.network
    review = np.asarray(network.review, float)[: network.periods]
    buying = review[:, np.unique(np.asarray(network.offer_node, int))].sum(1)
    ordered = np.isin(instance.kinds, [KINDS.index("vendor"), KINDS.index("spend")])
    return np.where(ordered, buying[:, None], 1.0)


def source_rows(basis: Basis, earlier: SavedRun, found: Match) -> np.ndarray:
    """Row of every source in the earlier run, `[sources, items]`: an offer by node and vendor, a lane by its ends."""
    ours, theirs = basis.axes["sources"], earlier.axes["sources"]
    rows = np.repeat(_positions(ours, theirs)[:, None], len(basis.items), axis=1)
    vendors = np.asarray([*_positions(basis.axes["vendors"], earlier.axes["vendors"]), -1])
    mine, old = vendors[basis.units["vendor"]], earlier.basis.units["vendor"][:, found.items]
    for row, source in enumerate(ours):
        if source[0] != "offer":
            continue
        rows[row] = -1
        for candidate, other in enumerate(theirs):
            if other[0] == "offer" and other[1] == source[1]:
                rows[row] = np.where((mine[row] >= 0) & (old[candidate] == mine[row]), candidate, rows[row])
    return rows


def _rows(axis: str, basis: Basis, earlier: SavedRun, found: Match) -> np.ndarray:
    """Row of the earlier parameter that each row of this one continues, `[rows, items]`, -1 where none."""
    if axis == "sources":
        return source_rows(basis, earlier, found)
    rows = found.nodes
    if axis == "levels":
        # Speeds after the fastest, each with a row per node.
        speeds = _positions(basis.axes["speeds"], earlier.axes["speeds"])[1:, None]
        nodes = len(earlier.axes["nodes"])
        rows = np.where((speeds > 0) & (found.nodes >= 0), (speeds - 1) * nodes + found.nodes, -1).reshape(-1)
    return np.repeat(rows[:, None], len(basis.items), axis=1)


def _weights(axis: str, basis: Basis, found: Match) -> np.ndarray:
    """From which earlier buckets each row of a parameter takes its values, `[rows, buckets, earlier buckets]`."""
    if axis == "nodes":
        return found.orders
    if axis == "sources":
        # An offer names its node after `offer`, a lane its ends after `lane`: the node that receives orders.
        orders = {name: at for at, name in enumerate(basis.axes["nodes"])}
        ends = [source[1] if source[0] == "offer" else source[2] for source in basis.axes["sources"]]
        return found.orders[[orders[end] for end in ends]]
    rows = len(basis.axes["nodes"]) * max(len(basis.axes["speeds"]) - 1, 0)
    return np.broadcast_to(found.buckets, (rows, *found.buckets.shape))


def _carried(old: np.ndarray, rows: np.ndarray, found: Match, weights: np.ndarray, buckets: int) -> np.ndarray:
    """Values of an earlier parameter, `[buckets, rows, items]`, where `rows` and items are known."""
    at = old[:, np.maximum(rows, 0), np.maximum(found.items, 0)]
    if at.shape[0] != found.buckets.shape[1] or buckets != found.buckets.shape[0]:
        # One value for all buckets, now or then.
        return np.repeat(at.mean(0, keepdims=True), buckets, axis=0)
    return np.einsum("rbo,ori->bri", weights, at)


class _Carrier:
    """Takes parameters and optimiser moments over from the earlier run, leaf by leaf."""

    def __init__(self, model: Model, basis: Basis, earlier: SavedRun, found: Match) -> None:
        self.model, self.basis, self.earlier, self.found = model, basis, earlier, found
        self.axes = model.problem.scale.row_axes()
        self.rows = {axis: _rows(axis, basis, earlier, found) for axis in set(self.axes.values())}
        self.weights = {axis: _weights(axis, basis, found) for axis in set(self.axes.values())}
        cost = earlier.basis.units["cost"][np.maximum(found.items, 0)]
        self.cost = np.where(found.items >= 0, cost / basis.units["cost"], 0)

    def _leaf(self, name: str, first: np.ndarray, old: np.ndarray | None, power: int) -> np.ndarray:
        """One leaf in item order; `power` 0: a parameter, 1: a first moment, 2: a second moment of its gradient."""
        units, unit_then = self.basis.units[f"scale.{name}"], self.earlier.scale(name)
        if old is None or unit_then is None:
            return first
        rows, weights = self.rows[self.axes[name]], self.weights[self.axes[name]]
        buckets = first.shape[0]
        scale = _carried(unit_then, rows, self.found, weights, buckets)
        if power == 0:
            value = _carried(old * unit_then, rows, self.found, weights, buckets)
            value = value / np.where(units > 0, units, 1)
        else:
            # Gradients are per unit of the scale and of the item's cost, both of which may have changed.
            factor = np.where(scale > 0, units / np.where(scale > 0, scale, 1), 0) * self.cost
            value = _carried(old, rows, self.found, weights, buckets) * factor**power
        known = (rows >= 0) & (self.found.items >= 0) & (units > 0) & (scale > 0)
        return np.where(known, value, first).astype(first.dtype)

    def tree(self, first: AbstractPolicy, old: Callable[[str], np.ndarray | None], power: int) -> AbstractPolicy:
        """All leaves of a parameter-shaped tree, in blocks on the devices; `old` gives those of the earlier run."""
        layout, items, mesh = self.model.instance.layout, len(self.basis.items), self.model.problem.mesh
        leaves = [
            layout.cut(self._leaf(name, layout.join(own_part(leaf), items), old(name), power))
            for name, leaf in named_leaves(first).items()
        ]
        tree = jax.tree.unflatten(jax.tree.structure(first), leaves)
        return place_blocks(tree, mesh) if mesh is not None else jax.tree.map(jnp.asarray, tree)

    def optimiser(self, now: Any) -> Any:
        """The optimiser's state with the moments of the earlier run; its schedule starts anew."""
        adam, earlier = adam_of(now), self.earlier
        count = self.model.problem.everywhere(jnp.asarray(earlier.gradient_steps, adam.count.dtype))
        mu, nu = self.tree(adam.mu, earlier.momentum, 1), self.tree(adam.nu, earlier.square, 2)
        return with_moments(now, adam._replace(count=count, mu=mu, nu=nu))


@dataclass
class WarmStart:
    """A search that starts from an earlier run, whichever store holds its items.

    Parameters are matched by item, node, offer and day, prices by resource and day. Items that are new start from
    the newsvendor level at the given prices; so does everything if the policy is another one.

    Attributes:
        earlier: What the earlier run has saved that does not belong to items.
        matched: Of the parts so far: how many items the earlier run has, and how many there are.
        last: Where the things of the last part are in the earlier run.
    """

    earlier: SavedRun
    matched: tuple[int, int] = (0, 0)
    last: Match | None = None

    def prices_at(self, instance: Instance) -> np.ndarray:
        """Prices `[buckets, resources]` at which an instance is started."""
        return prices_of(self.earlier, _axes_of(instance), self.earlier.prices, order_days(instance))

    def items(self, model: Model, earlier: SavedRun) -> ItemState:
        """The items of a catalog, or of a part of it, before the first step; `earlier` has what is saved of them."""
        problem, instance, policy = model.problem, model.instance, model.config.policy.name
        basis = basis_of(instance, problem.scale, problem.item_scale, policy)
        found = match(basis, earlier, np.asarray(instance.network.review)[: instance.network.periods])
        known, count = self.matched
        self.matched, self.last = (known + int(np.sum(found.items >= 0)), count + found.items.size), found
        items = problem.begin(problem.first)
        if earlier.axes["policy"] != policy:
            return items
        carrier = _Carrier(model, basis, earlier, found)
        raw = carrier.tree(items.raw, earlier.best, 0)
        return ItemState(raw, carrier.optimiser(items.optimiser), raw, raw)

    def state(self, model: Model, items: Items) -> State[Items]:
        """The state of the search before its first step."""
        instance, dtype = model.instance, model.problem.item_scale.dtype
        axes, orders = _axes_of(instance), order_days(instance)
        carried = lambda table: jnp.asarray(prices_of(self.earlier, axes, table, orders), dtype)
        earlier = self.earlier
        return initial_state(model.store, model.method, carried(earlier.prices), carried(earlier.list_prices), items)

    def report(self, model: Model) -> str:
        """How much was matched, as one line."""
        found = self.last
        assert found is not None  # there is at least one part
        known, count = map(sum, zip(*(one["matched"] for one in gather({"matched": self.matched})), strict=True))
        total = sum(map(len, saved_items(self.earlier.run / "checkpoints")))
        parts = [
            f"{known} of {count} items matched",
            f"{count - known} new",
            f"{total - known} dropped",
            f"{int(np.sum(found.nodes >= 0))} of {found.nodes.size} nodes",
            f"{int(np.sum(found.same_days))} of {found.same_days.size} buckets",
            f"{int(np.sum(found.resources >= 0))} of {found.resources.size} resources",
        ]
        line = f"warm start from {self.earlier.run} (step {self.earlier.saved.step}): {', '.join(parts)}"
        policy = self.earlier.axes["policy"]
        if policy == model.config.policy.name:
            return line
        return f"{line}; the policy was {policy}, so that only prices are taken over"


def _axes_of(instance: Instance) -> dict[str, Any]:
    """Dates and resources of an instance."""
    chosen = instance.tables.settings
    dates = {"start_date": chosen.start_date.isoformat(), "period": chosen.period, "periods": chosen.periods}
    return {**dates, "bucket_periods": chosen.bucket_periods, "resources": instance.ids.resources}


def warm_model(tables: Tables, config: Config, earlier: SavedRun) -> tuple[Model, State[ItemState], str]:
    """Build a model in memory and the state to search it from, given an earlier run (see `WarmStart`).

    Returns:
        The model, the state before the first step, and a line that says what was matched.
    """
    warm = WarmStart(earlier)
    model = prepare(tables, config, start_prices=warm.prices_at)
    state = warm.state(model, warm.items(model, earlier))
    return model, state, warm.report(model)


def warm_stream(
    counted: Counted,
    files: PartFiles,
    warm: WarmStart,
    progress: AbstractProgress,
    on_part: Callable[[int, Model], None] = lambda number, model: None,
) -> tuple[Model, State[str]]:
    """Build a catalog in parts and the state to search it from, given an earlier run.

    Args:
        counted: What `count_stream` gave.
        files: Where to.
        warm: The start; what its run has saved of the items is read part by part.
        progress: Where to report.
        on_part: Called with the number and the model of every part.
    """

    def begun(number: int, model: Model) -> ItemState:
        on_part(number, model)
        return warm.items(model, read_saved_run(warm.earlier.run, model.instance.items, near=number))

    model = build_stream(counted, files, progress=progress, start_prices=warm.prices_at, begin=begun)
    return model, warm.state(model, model.store.start())
