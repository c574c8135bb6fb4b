"""Why an item has the stock it has at a node: what its last unit costs and saves, and what would change the answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from meio_jax.certify.unit_values import SIDE
from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.errors import InputError, Problem
from meio_jax.instance import KINDS
from meio_jax.items.marginal import COST_TERMS, Amounts, Batches, Terms, Weights, scenario_weights
from meio_jax.items.one_item import ItemOfRun, item_of_run
from meio_jax.model.resources import MEASURES, rents, unit_table
from meio_jax.policy import AbstractPolicy
from meio_jax.policy.protected import Protected
from meio_jax.progress import AbstractProgress, Silent
from meio_jax.tables.measures import unit_word

_rents = kept_jit(rents)
_table = kept_jit(unit_table)

_NOTHING = 1e-9


@dataclass(frozen=True)
class Change:
    """A figure of the data or a price, and the values beyond which another number of units would be best.

    One unit more pays while the figure is `more_when` ("above" or "below") `more_at`, one unit less likewise; None: at
    no value of this figure alone.
    """

    name: str
    unit: str
    now: float
    more_at: float | None
    more_when: str
    less_at: float | None
    less_when: str


@dataclass(frozen=True)
class Place:
    """One site of the item: level in units (mean over buckets), mean stock, and what a unit more would cost."""

    node_id: str
    target: float
    mean_on_hand: float
    today: float
    slope: float


@dataclass(frozen=True)
class Explanation:
    """Why this many units: money per unit of the level, raised in every bucket, over the whole horizon.

    `terms` are derivatives of the expected cost (costs positive, savings negative) and `charges` those of the priced
    use of capacity; `slope` is their sum, near zero where the search has settled. `plus_one` and `minus_one` are what
    the plan in whole units would cost more with one unit more or less. `worth_today` is what a unit more in stock
    today would save. `storage_rent` is what storage capacity costs a unit a day, mean over buckets: price x
    `storage_size`, what a unit takes in the `storage_measure` of the node ("units", "m3", "pallets"). `names` are those
    of the item and of nodes, by id, where the instance gives any.
    """

    item_id: str
    node_id: str
    currency: str
    days: int
    scenarios: int
    targets: list[float]
    units: list[int]
    today: float
    mean_on_hand: float
    ordered: float
    terms: dict[str, float]
    charges: dict[str, float]
    slope: float
    slope_by_bucket: list[float]
    plus_one: dict[str, float]
    minus_one: dict[str, float]
    worth_today: float
    volume_m3: float
    storage_rent: float
    storage_measure: str
    changes: list[Change]
    places: list[Place]
    period: str = "day"
    names: dict[str, str] = field(default_factory=dict)
    storage_size: float = 1.0

    def called(self, name: str) -> str:
        """An id, with the name that people use before it where there is one."""
        return f"{self.names[name]} ({name})" if self.names.get(name) else name

    @property
    def gross(self) -> float:
        """What the unit costs and saves without signs, halved: the size that the slope is small against.

        Purchase and the credit for what is left at the end are one thing here: they mostly cancel.
        """
        tied = self.terms.get("purchase", 0.0) + self.terms.get("terminal", 0.0)
        rest = [value for name, value in self.terms.items() if name not in ("purchase", "terminal")]
        return sum(abs(value) for value in (tied, *rest, *self.charges.values())) / 2

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "gross": self.gross}


def _level(policy: AbstractPolicy) -> Any:
    # The leaf, or the mark that `eqx.tree_at` puts in its place.
    inner = policy.replenishment if isinstance(policy, Protected) else policy
    return inner.target  # type: ignore[attr-defined]


def _named(terms: Terms, *at: int) -> tuple[dict[str, float], dict[str, float]]:
    """Cost terms and charges by name, without those that are nothing."""
    costs = {name: float(terms.cost[(row, *at)]) for row, name in enumerate(COST_TERMS)}
    if float(np.abs(terms.other).max()) > 0:
        costs["objective"] = float(terms.other[at])
    charges = {kind: float(terms.charge[(row, *at)]) for row, kind in enumerate(KINDS)}
    keep = lambda pairs: {name: value for name, value in pairs.items() if value != 0}
    return keep(costs), keep(charges)


@dataclass(frozen=True)
class _Steps:
    """The plan in whole units at one node, and with a unit more and less in every bucket."""

    here: tuple[Terms, Amounts]
    more: tuple[Terms, Amounts]
    less: tuple[Terms, Amounts]

    def change(self, more: bool) -> tuple[Terms, np.ndarray]:
        """What a step changes: terms, and usage summed over buckets, `[resources]`."""
        there = self.more if more else self.less
        return there[0].minus(self.here[0]), np.sum(there[1].used - self.here[1].used, axis=0)


def _steps(one: ItemOfRun, batches: Batches, weights: Weights, node: int) -> _Steps:
    level = np.asarray(_level(one.policy))

    def at(step: int) -> tuple[Terms, Amounts]:
        there = level.copy()
        there[:, node] = np.maximum(np.rint(level[:, node]) + step, 0)
        return batches.value(one.problem, weights, eqx.tree_at(_level, one.policy, jnp.asarray(there)))

    return _Steps(at(0), at(1), at(-1))


def _change(name: str, unit: str, now: float, per: tuple[float, float], total: tuple[float, float]) -> Change | None:
    """Where a figure tips the balance.

    Args:
        name: Of the figure.
        unit: Of the figure.
        now: Its value.
        per: By how much the cost of a step (one more, one less) changes when the figure grows by one.
        total: Cost of each step as things are.
    """
    if max(map(abs, per)) < _NOTHING:
        return None
    at = [now - cost / slope if abs(slope) >= _NOTHING else -1.0 for cost, slope in zip(total, per, strict=True)]
    more, less = (value if value >= 0 else None for value in at)
    when = ["above" if slope < 0 else "below" for slope in per]
    return None if more is None and less is None else Change(name, unit, now, more, when[0], less, when[1])


def _changes(one: ItemOfRun, steps: _Steps, node: int) -> list[Change]:
    """Penalties, holding cost and capacity prices at which another number of units would be best."""
    (more, used_more), (less, used_less) = steps.change(True), steps.change(False)
    total = (float(more.total), float(less.total))
    block, currency = one.problem.block, one.instance.tables.settings.currency
    period = one.instance.tables.settings.period
    per_period = f"per unit and {period}"
    figures = {
        "lost_sale": ("lost-sale cost", "per unit", float(block.lost_sale_cost[0])),
        "backorder": ("backorder cost", per_period, float(block.backorder_cost[0])),
        "holding": ("holding cost", per_period, float(block.holding_cost[0])),
        "waste": ("waste cost", "per unit", 0.0 if block.shelf is None else float(block.shelf.waste_cost[0])),
    }
    found = []
    for term, (name, unit, now) in figures.items():
        if now > 0:
            at = COST_TERMS.index(term)
            own = (float(more.cost[at]) / now, float(less.cost[at]) / now)
            found.append(_change(name, f"{currency} {unit}", now, own, total))
    resources = one.problem.resources
    counted = np.asarray(resources.stock) + np.asarray(resources.inbound) + np.asarray(resources.outbound)
    prices = np.asarray(one.problem.prices)
    table = one.instance.tables.resources.unique("resource_id", keep="first", maintain_order=True)
    for row, name in enumerate(one.instance.ids.resources):
        if counted[row, node] == 0:
            continue
        unit = f"{currency} per {unit_word(table['measure'][row])}"
        unit += f" and {period}" if table["kind"][row] == "storage" else ""
        own = (float(used_more[row]), float(used_less[row]))
        found.append(_change(f"price of {name}", unit, float(prices[:, row].mean()), own, total))
    return [change for change in found if change is not None]


def _node(one: ItemOfRun, wanted: str | None, held: np.ndarray) -> int:
    nodes = one.instance.ids.nodes
    stockable = np.asarray(one.problem.block.stockable)[:, 0]
    allowed = [name for at, name in enumerate(nodes) if stockable[at]]
    if wanted is None:
        return int(np.argmax(np.where(stockable, held, -1)))
    if wanted not in allowed:
        expected = f"a node where {one.item} may be stocked"
        remedy = f"choose one of {', '.join(allowed[:20])}"
        raise InputError([Problem("meio explain", "", "--node", wanted, expected, remedy)])
    return nodes.index(wanted)


def explain(one: ItemOfRun, node: str | None = None, scenarios: int = 512) -> Explanation:
    """Explain the level of an item at a node.

    Args:
        one: The item, as its run saw it.
        node: Which node; None: the one that holds most.
        scenarios: Holdout scenarios to simulate.

    Raises:
        InputError: If the item may not be stocked at the node.
    """
    batches = one.scenarios(scenarios)
    weights = scenario_weights(one.settings, batches.costs(one.problem, one.policy))
    _, amounts = batches.reported(one.problem, weights, one.policy)
    days = max(float(np.asarray(one.problem.network.charged).sum()), 1.0)
    held = np.asarray(amounts.held, float) / days
    at = _node(one, node, held)
    # A little above the stock of today, so that where it meets demand exactly the unit is one more, not the last one.
    above = np.asarray(one.problem.block.on_hand) + np.asarray(SIDE, one.problem.block.on_hand.dtype)
    more = eqx.tree_at(lambda p: p.block.on_hand, one.problem, jnp.asarray(above))
    by_level, by_stock = batches.slopes(more, weights, one.policy, _level)
    # Raised in every bucket at once: the derivatives of the buckets add up.
    over_buckets = Terms(*(leaf.sum(-2) for leaf in (by_level.cost, by_level.other, by_level.charge)))
    terms, charges = _named(over_buckets, at)
    steps = _steps(one, batches, weights, at)
    level = np.asarray(_level(one.policy), float)[:, :, 0]
    today = np.asarray(one.problem.block.on_hand, float)[:, 0]
    measure = _storage_measure(one, at)
    rented = _rents(one.problem.resources, one.problem.prices, one.problem.block)
    summed = lambda more: dict(zip(("terms", "charges"), map(_sum, _named(steps.change(more)[0])), strict=True))
    return Explanation(
        item_id=one.item,
        node_id=one.instance.ids.nodes[at],
        currency=one.instance.tables.settings.currency,
        days=int(days),
        period=one.instance.tables.settings.period,
        scenarios=weights.total.shape[0],
        targets=level[:, at].tolist(),
        units=np.rint(level[:, at]).astype(int).tolist(),
        today=float(today[at]),
        mean_on_hand=float(held[at]),
        ordered=float(amounts.ordered[at]),
        terms=terms,
        charges=charges,
        slope=float(over_buckets.total[at]),
        slope_by_bucket=by_level.total[:, at].tolist(),
        plus_one=summed(True),
        minus_one=summed(False),
        worth_today=-float(by_stock.total[at]),
        volume_m3=float(one.problem.block.volume[0]),
        storage_rent=float(np.asarray(rented.held)[at, 0]),
        storage_measure=measure,
        storage_size=float(_sizes(one).get(measure, 1.0)),
        changes=_changes(one, steps, at),
        places=_places(one, level, held, today, over_buckets),
        names=_names(one),
    )


def _names(one: ItemOfRun) -> dict[str, str]:
    """Names of nodes and of the item by id; an item counts before a node of the same id."""
    tables = one.instance.tables
    named = [*tables.nodes.select("node_id", "name").iter_rows(), *tables.items.select("item_id", "name").iter_rows()]
    return {name: words for name, words in named if words}


def _storage_measure(one: ItemOfRun, node: int) -> str:
    """How the storage of a node is counted: the first of these that any of it is in, or "" where there is no limit."""
    rows = np.flatnonzero(np.asarray(one.problem.resources.stock)[:, node])
    found = {MEASURES[measure] for measure in np.asarray(one.problem.resources.measure)[rows]}
    return next((name for name in ("m3", "pallets", "units") if name in found), "")


def _sizes(one: ItemOfRun) -> dict[str, float]:
    """What a unit of the item takes, by measure."""
    block = one.problem.block
    table = np.asarray(_table(block.volume, block.weight, block.sizes), float)[:, 0]
    return dict(zip(MEASURES, table.tolist(), strict=False))


def _sum(pairs: dict[str, float]) -> float:
    return float(sum(pairs.values()))


def _places(one: ItemOfRun, level: np.ndarray, held: np.ndarray, today: np.ndarray, slopes: Terms) -> list[Place]:
    stockable = np.asarray(one.problem.block.stockable)[:, 0]
    names = one.instance.ids.nodes
    slope = np.asarray(slopes.total)
    rows = [
        Place(names[n], float(level[:, n].mean()), float(held[n]), float(today[n]), float(slope[n]))
        for n in np.flatnonzero(stockable)
    ]
    return sorted(rows, key=lambda place: -place.mean_on_hand)


def explain_run(
    run: Path,
    item: str,
    node: str | None = None,
    *,
    instance: Path | None = None,
    scenarios: int | None = None,
    progress: AbstractProgress | None = None,
) -> Explanation:
    """Explain the level of an item of a run at a node.

    Args:
        run: Run folder.
        item: Which item.
        node: Which node; None: the one that holds most.
        instance: The instance folder, if it has moved.
        scenarios: Holdout scenarios; None: as many as the run was judged on, at most 512.
        progress: Warned where the instance is no longer the one that was planned.

    Returns:
        What the level costs and saves, term by term in money over the horizon, and what one unit more is worth.

    Raises:
        InputError: If run, item or node are not there.

    Example:
        >>> why = explain_run(Path("runs/quickstart"), "I0000007", scenarios=4)
        >>> why.item_id
        'I0000007'
    """
    from meio_jax.runs.data import changed_since, instance_folder
    from meio_jax.runs.files import read_about
    from meio_jax.runs.run import config_of_run, configure_jax

    folder = instance_folder(run, instance)
    for note in changed_since(folder, read_about(run)):
        (Silent() if progress is None else progress).warning(note)
    config = config_of_run(run)
    configure_jax(config)
    count = min(config.scenarios.holdout, 512) if scenarios is None else scenarios
    return explain(item_of_run(run, folder, config, item), node, count)
