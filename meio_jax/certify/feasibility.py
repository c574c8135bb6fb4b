"""Which capacities no plan can meet: minimise the use of one resource alone and see what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from meio_jax.model.capacity import relative as relative_to
from meio_jax.model.capacity import used_at
from meio_jax.objective import AbstractObjective, ScenarioCosts
from meio_jax.solver.solve import Solution
from meio_jax.solver.store import AbstractInventoryStore, Moment, Part
from meio_jax.solver.subproblem import Evaluation, ItemState, evaluation_of, ranking_prices

_SHOWN = 5


class Nothing(AbstractObjective):
    """No cost at all: only the priced resource matters."""

    def __call__(self, costs: ScenarioCosts) -> Float[Array, " items"]:
        return 0 * jnp.mean(costs.total, axis=-1)


@dataclass(frozen=True)
class OutOfReach:
    """A capacity that no plan found can meet: least relative violation over all plans tried."""

    resource: str
    bucket: int
    least_usage: float
    capacity: float
    relative: float

    def as_dict(self) -> dict:
        return asdict(self)


def _starts(best: Solution, service: bool) -> list[tuple[float, Array]]:
    """By what the best plan is multiplied, and the prices that rank its lists: order nothing, or (for a service floor)
    stock far too much; and the plan as it is."""
    return [(4.0 if service else 0.0, jnp.zeros_like(best.list_prices)), (1.0, best.list_prices)]


def _trials(
    store: AbstractInventoryStore, best: Solution, bucket: int, column: int, steps: int, check: Callable[[], None]
) -> Iterator[Evaluation]:
    """Evaluations of plans that use less and less of one capacity, from either start."""
    alone = store.altered(lambda p: eqx.tree_at(lambda q: q.settings.objective, p, Nothing()))
    prices = jnp.zeros_like(best.list_prices).at[bucket, column].set(1)
    # A plan that is tried is never the best so far, and its mean is not wanted.
    weight, improved = jnp.ones((), prices.dtype), jnp.asarray(False)
    for factor, ranking in _starts(best, bool(store.resources.is_service[column])):

        def begun(part: Part, factor: float = factor) -> ItemState:
            return part.problem.begin(jax.tree.map(lambda leaf: factor * leaf, part.items.plan(best.improved)))

        items, ranked = alone.changed(best.state.items, begun, "proof"), ranking
        for step in range(max(steps // 2, 1)):
            ranked = ranking_prices(ranked, prices, alone.damping)
            at = store.everywhere(Moment(prices, ranked, jnp.asarray(step, jnp.int32), weight, improved))
            totals, items = alone.sweep(at, items)
            yield evaluation_of(store.resources, totals)
            check()


def least_violation(
    trials: Iterable[Evaluation], bucket: int, column: int, usual: float, *, service: bool
) -> tuple[float, float, float]:
    """Smallest use of one capacity over the plans tried: (relative violation, usage, capacity).

    For a service floor the signs turn: the largest service, and what is missing. `usual` is what a violation is a share
    of where the capacity is nothing.
    """
    least = (np.inf, 0.0, 0.0)
    for evaluation in trials:
        excess, bound = (float(table[bucket, column]) for table in (evaluation.excess, evaluation.bound))
        share = float(relative_to(excess, bound, usual))
        least = min(least, (share, float(used_at(service, bound, excess)), bound))
        if share <= 0:
            break
    return least


def out_of_reach(
    store: AbstractInventoryStore,
    best: Solution,
    relative: np.ndarray,
    names: list[str],
    *,
    tolerance: float,
    steps: int,
    check: Callable[[], None] = lambda: None,
) -> list[OutOfReach]:
    """Of the capacities that the best plan violates most, those that no plan can meet.

    Args:
        store: The items (capacities as the user gave them).
        best: The search; its state is left as it is.
        relative: Relative violation of the best plan, `[buckets, resources]`.
        names: Resource ids.
        tolerance: Violations up to this count as met.
        steps: Gradient steps per resource.
        check: Called after each of them; it may raise to end the work.
    """
    worst = np.argsort(-relative, axis=None)[:_SHOWN]
    found = []
    for at in worst:
        bucket, column = (int(i) for i in np.unravel_index(at, relative.shape))
        if relative[bucket, column] <= tolerance:
            continue
        trials = _trials(store, best, bucket, column, steps, check)
        usual, service = float(best.usual[bucket, column]), bool(store.resources.is_service[column])
        least, usage, capacity = least_violation(trials, bucket, column, usual, service=service)
        if least > tolerance:
            found.append(OutOfReach(names[column], bucket, usage, capacity, float(least)))
    return found
