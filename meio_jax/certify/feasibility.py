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
from meio_jax.model.resources import Usage, bound
from meio_jax.objective import AbstractObjective, ScenarioCosts
from meio_jax.solver.solve import Solution
from meio_jax.solver.store import AbstractInventoryStore, Moment, Part
from meio_jax.solver.subproblem import Evaluation, ItemState, evaluation_of, ranking_prices

_SHOWN = 5
_CHANCE = 0.05


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
) -> Iterator[Iterator[Evaluation]]:
    """Evaluations of plans that use less and less of one capacity, from either start."""
    alone = store.altered(lambda p: eqx.tree_at(lambda q: q.settings.objective, p, Nothing()))
    prices = jnp.zeros_like(best.list_prices).at[bucket, column].set(1)
    # A plan that is tried is never the best so far, and its mean is not wanted.
    weight, improved = jnp.ones((), prices.dtype), jnp.asarray(False)

    def tried(factor: float, ranked: Array) -> Iterator[Evaluation]:
        def begun(part: Part) -> ItemState:
            return part.problem.begin(jax.tree.map(lambda leaf: factor * leaf, part.items.plan(best.improved)))

        items = alone.changed(best.state.items, begun, "proof")
        for step in range(max(steps // 2, 1)):
            ranked = ranking_prices(ranked, prices, alone.damping)
            at = store.everywhere(Moment(prices, ranked, jnp.asarray(step, jnp.int32), weight, improved))
            totals, items = alone.sweep(at, items)
            yield evaluation_of(store.resources, totals)
            check()

    for factor, ranking in _starts(best, bool(store.resources.is_service[column])):
        yield tried(factor, ranking)


def _breaks_others(evaluation: Evaluation, at: tuple[int, int], usual: np.ndarray, most: np.ndarray) -> bool:
    """Whether a plan breaks any other capacity by more than `most`."""
    excess, size = (np.asarray(table, float) for table in (evaluation.excess, evaluation.bound))
    beyond = np.asarray(relative_to(excess, size, usual)) > most
    beyond[at] = False
    return bool(beyond.any())


def least_violation(
    starts: Iterable[Iterable[Evaluation]],
    at: tuple[int, int],
    own: tuple[float, float, float],
    usual: np.ndarray,
    most: np.ndarray,
    *,
    service: bool,
) -> tuple[float, float, float]:
    """Smallest use of one capacity over the plans tried, as relative violation, usage and capacity.

    For a service floor the signs turn: the largest service, and what is missing. Evaluations see few scenarios, of
    which the luckiest would say too much: what counts is the mean over the last third from each start.

    Args:
        starts: Plans from every start, in the order in which they were tried.
        at: Bucket and number of the capacity.
        own: What the best plan of the search comes to.
        usual: What violations are shares of where a capacity is nothing, `[buckets, resources]`.
        most: Violations of all capacities up to which a plan counts, as shares, `[buckets, resources]`.
        service: Whether the capacity is a floor.
    """
    least = own
    for tried in starts:
        found: list[tuple[float, float, float]] = []
        for evaluation in tried:
            if _breaks_others(evaluation, at, usual, most):
                continue
            excess, size = (float(table[at]) for table in (evaluation.excess, evaluation.bound))
            share = float(relative_to(excess, size, usual[at]))
            found.append((share, float(used_at(service, size, excess)), size))
            if share <= 0:
                return found[-1]
        if found:
            mean = np.mean(found[-max(len(found) // 3, 1) :], axis=0)
            least = min(least, (float(mean[0]), float(mean[1]), float(mean[2])))
    return least


def out_of_reach(
    store: AbstractInventoryStore,
    best: Solution,
    relative: np.ndarray,
    usage: Usage,
    names: list[str],
    *,
    tolerance: float,
    steps: int,
    check: Callable[[], None] = lambda: None,
) -> list[OutOfReach]:
    """Of the capacities that the best plan violates most, those that no plan can meet.

    A capacity that is met only by plans that break others by more than the best plan does is not met; of floors that
    is not asked, since whatever serves more uses more.

    Args:
        store: The items (capacities as the user gave them).
        best: The search; its state is left as it is.
        relative: Relative violation of the best plan, `[buckets, resources]`.
        usage: What that plan uses.
        names: Resource ids.
        tolerance: Violations up to this count as met.
        steps: Gradient steps per resource.
        check: Called after each of them; it may raise to end the work.
    """
    floors, used = np.asarray(store.resources.is_service), np.asarray(usage.used, float)
    bounds = np.asarray(bound(store.resources, usage), float)
    # A little more than that is chance: trials see few scenarios.
    allowed = np.where(floors, np.inf, np.maximum(relative, tolerance) * (1 + _CHANCE) + _CHANCE)
    worst = np.argsort(-relative, axis=None)[:_SHOWN]
    found = []
    for at in worst:
        bucket, column = (int(i) for i in np.unravel_index(at, relative.shape))
        # Least use on average says nothing of a capacity that is held in a share of the scenarios.
        if relative[bucket, column] <= tolerance or column in store.resources.held_index:
            continue
        service = bool(store.resources.is_service[column])
        most = np.full(relative.shape, np.inf) if service else allowed
        starts = _trials(store, best, bucket, column, steps, check)
        own = (float(relative[bucket, column]), float(used[bucket, column]), float(bounds[bucket, column]))
        share, least, size = least_violation(starts, (bucket, column), own, best.usual, most, service=service)
        if share > tolerance:
            found.append(OutOfReach(names[column], bucket, least, size, share))
    return found
