"""Warm starts: what an earlier run found for the same items, nodes, offers, days and capacities."""

from __future__ import annotations

import datetime
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from meio_jax.config.settings import Config
from meio_jax.distributed.sharding import own_part, place_blocks
from meio_jax.errors import InputError, Note, Problem
from meio_jax.instance import KINDS, Instance
from meio_jax.instance.census import Gather, alone
from meio_jax.planner.planning import Model, prepare
from meio_jax.policy import AbstractPolicy
from meio_jax.runs.checkpoint import Restored, all_items, restore
from meio_jax.runs.portable import Basis, basis_of, named_leaves
from meio_jax.solver.solve import State, initial_state
from meio_jax.tables import Tables
from meio_jax.tables.periods import period_date


@dataclass(frozen=True)
class Earlier:
    """An earlier run, over the items that are wanted of it."""

    run: Path
    saved: Restored

    @property
    def axes(self) -> dict[str, Any]:
        return self.saved.basis.axes


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

    def report(self, earlier: Earlier) -> str:
        """How much was matched, as one line."""
        found = int(np.sum(self.items >= 0))
        parts = [
            f"{found} of {self.items.size} items matched",
            f"{self.items.size - found} new",
            f"{earlier.saved.total - found} dropped",
            f"{int(np.sum(self.nodes >= 0))} of {self.nodes.size} nodes",
            f"{int(np.sum(self.same_days))} of {self.same_days.size} buckets",
            f"{int(np.sum(self.resources >= 0))} of {self.resources.size} resources",
        ]
        return f"warm start from {earlier.run} (step {earlier.saved.step}): {', '.join(parts)}"


def read_earlier(run: Path, items: list[str] | None = None) -> Earlier:
    """Read the newest state that a run has saved.

    Args:
        run: A run folder.
        items: Items that are wanted; None: all that it has.

    Raises:
        InputError: If the folder holds no state that can be read.
    """
    folder = run / "checkpoints"
    if (folder / "streamed").is_dir():
        remedy = "start from a run in memory, or continue this one with `meio resume`"
        raise InputError([Problem(str(folder), "", "", Note("a streamed run"), "the state of a run in memory", remedy)])
    saved = restore(folder, all_items(folder) if items is None else items, None, partial=True)
    if saved is None:
        remedy = "give the folder of a run that has taken at least one checkpoint"
        raise InputError([Problem(str(folder), "", "", Note("no checkpoint"), "the saved state of a run", remedy)])
    return Earlier(run, saved)


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


def match(basis: Basis, earlier: Earlier, review: np.ndarray | None = None) -> Match:
    """Match by item, node, resource and calendar day.

    Args:
        basis: Ids and dates of this run.
        earlier: The earlier run.
        review: Days on which nodes order, `[periods, nodes]`; None: every day.
    """
    place = {name: at for at, name in enumerate(earlier.saved.basis.items) if earlier.saved.held[at]}
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
    earlier: Earlier, axes: dict[str, Any], name: str = "dual.price", orders: np.ndarray | None = None
) -> np.ndarray:
    """A table of the earlier run by resource and bucket, for the resources and buckets of this one; 0 where new.

    Args:
        earlier: The earlier run.
        axes: Ids and dates of this run.
        name: Which table.
        orders: For every resource how much each day counts, `[periods, resources]`: what vendors can deliver is used
            on the days of orders alone. None: all days alike.
    """
    found = earlier.saved.arrays.get(name)
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


def row_axes(policy: AbstractPolicy) -> dict[str, str]:
    """Name of the row axis of every parameter, as its annotation says: `nodes`, `sources` or `levels`."""
    axes: dict[str, str] = {}
    for name, hint in typing.get_type_hints(type(policy)).items():
        value = getattr(policy, name)
        if isinstance(value, AbstractPolicy):
            axes.update({f"{name}.{inner}": axis for inner, axis in row_axes(value).items()})
        elif hasattr(hint, "dim_str"):
            axes[name] = hint.dim_str.split()[-2]
    return axes


def source_rows(basis: Basis, earlier: Earlier, found: Match) -> np.ndarray:
    """Row of every source in the earlier run, `[sources, items]`: an offer by node and vendor, a lane by its ends."""
    ours, theirs = basis.axes["sources"], earlier.axes["sources"]
    rows = np.repeat(_positions(ours, theirs)[:, None], len(basis.items), axis=1)
    vendors = np.asarray([*_positions(basis.axes["vendors"], earlier.axes["vendors"]), -1])
    mine, old = vendors[basis.units["vendor"]], earlier.saved.basis.units["vendor"][:, found.items]
    for row, source in enumerate(ours):
        if source[0] != "offer":
            continue
        rows[row] = -1
        for candidate, other in enumerate(theirs):
            if other[0] == "offer" and other[1] == source[1]:
                rows[row] = np.where((mine[row] >= 0) & (old[candidate] == mine[row]), candidate, rows[row])
    return rows


def _rows(axis: str, basis: Basis, earlier: Earlier, found: Match) -> np.ndarray:
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

    def __init__(self, model: Model, basis: Basis, earlier: Earlier, found: Match) -> None:
        self.model, self.basis, self.earlier, self.found = model, basis, earlier, found
        self.axes = row_axes(model.problem.scale)
        self.rows = {axis: _rows(axis, basis, earlier, found) for axis in set(self.axes.values())}
        self.weights = {axis: _weights(axis, basis, found) for axis in set(self.axes.values())}
        cost = earlier.saved.basis.units["cost"][np.maximum(found.items, 0)]
        self.cost = np.where(found.items >= 0, cost / basis.units["cost"], 0)

    def _leaf(self, name: str, first: np.ndarray, prefix: str, power: int) -> np.ndarray:
        """One leaf in item order; `power` 0: a parameter, 1: a first moment, 2: a second moment of its gradient."""
        units, before = self.basis.units[f"scale.{name}"], self.earlier.saved.basis.units
        old = self.earlier.saved.arrays.get(f"{prefix}.{name}")
        if old is None or f"scale.{name}" not in before:
            return first
        rows, weights = self.rows[self.axes[name]], self.weights[self.axes[name]]
        buckets = first.shape[0]
        scale = _carried(before[f"scale.{name}"], rows, self.found, weights, buckets)
        if power == 0:
            value = _carried(old * before[f"scale.{name}"], rows, self.found, weights, buckets)
            value = value / np.where(units > 0, units, 1)
        else:
            # Gradients are per unit of the scale and of the item's cost, both of which may have changed.
            factor = np.where(scale > 0, units / np.where(scale > 0, scale, 1), 0) * self.cost
            value = _carried(old, rows, self.found, weights, buckets) * factor**power
        known = (rows >= 0) & (self.found.items >= 0) & (units > 0) & (scale > 0)
        return np.where(known, value, first).astype(first.dtype)

    def tree(self, first: AbstractPolicy, prefix: str, power: int) -> AbstractPolicy:
        """All leaves of a parameter-shaped tree, in blocks on the devices."""
        layout, items, mesh = self.model.instance.layout, len(self.basis.items), self.model.problem.mesh
        leaves = [
            layout.cut(self._leaf(name, layout.join(own_part(leaf), items), prefix, power))
            for name, leaf in named_leaves(first).items()
        ]
        tree = jax.tree.unflatten(jax.tree.structure(first), leaves)
        return place_blocks(tree, mesh) if mesh is not None else jax.tree.map(jnp.asarray, tree)


def _with_moments(model: Model, carrier: _Carrier, optimiser: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The optimiser's state with the moments of the earlier run; its schedule starts anew."""
    adam = lambda node: isinstance(node, optax.ScaleByAdamState)
    prefix = next((name.removesuffix(".count") for name in sorted(arrays) if _is_adam(name, arrays)), None)

    def carried(node: Any) -> Any:
        if not adam(node) or prefix is None:
            return node
        count = model.problem.everywhere(jnp.asarray(arrays[f"{prefix}.count"], node.count.dtype))
        mu, nu = carrier.tree(node.mu, f"{prefix}.mu", 1), carrier.tree(node.nu, f"{prefix}.nu", 2)
        return optax.ScaleByAdamState(count, mu, nu)

    return jax.tree.map(carried, optimiser, is_leaf=adam)


def _is_adam(name: str, arrays: dict[str, np.ndarray]) -> bool:
    prefix = name.removesuffix(".count")
    return name.startswith("warm.optimiser.") and name.endswith(".count") and any(f"{prefix}.mu." in n for n in arrays)


def warm_model(tables: Tables, config: Config, earlier: Earlier, gather: Gather = alone) -> tuple[Model, State, str]:
    """Build a model and the state to search it from, given an earlier run.

    Parameters are matched by item, node, offer and day, prices by resource and day. Items that are new start from
    the newsvendor level at the given prices; so does everything if the policy is another one.

    Returns:
        The model, the state before the first step, and a line that says what was matched.
    """
    dates: dict[str, Any] = {"start_date": tables.settings.start_date.isoformat(), "period": tables.settings.period}
    dates |= {"periods": tables.settings.periods, "bucket_periods": tables.settings.bucket_periods}

    def at_prices(instance: Instance) -> np.ndarray:
        return prices_of(earlier, {**dates, "resources": instance.ids.resources}, orders=order_days(instance))

    model = prepare(tables, config, start_prices=at_prices, gather=gather)
    problem = model.problem
    basis = basis_of(model.instance, problem.scale, problem.item_scale, config.policy.name)
    network = model.instance.network
    found = match(basis, earlier, np.asarray(network.review)[: network.periods])
    report = found.report(earlier)
    search = problem.init()
    if earlier.axes["policy"] == config.policy.name:
        carrier = _Carrier(model, basis, earlier, found)
        raw = carrier.tree(search.raw, "best.raw", 0)
        moments = _with_moments(model, carrier, search.optimiser, earlier.saved.arrays)
        search = eqx.tree_at(lambda s: (s.raw, s.optimiser), search, (raw, moments))
    else:
        report += f"; the policy was {earlier.axes['policy']}, so that only prices are taken over"
    dtype = search.list_prices.dtype
    orders = order_days(model.instance)
    lists = jnp.asarray(prices_of(earlier, basis.axes, "best.list_prices", orders), dtype)
    search = problem.placed(eqx.tree_at(lambda s: s.list_prices, search, lists))
    prices = jnp.asarray(prices_of(earlier, basis.axes, orders=orders), dtype)
    return model, initial_state(problem, model.method, prices, search), report
