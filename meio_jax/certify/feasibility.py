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
from meio_jax.solver.subproblem import Evaluation, InventorySubproblem, Search

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


@eqx.filter_jit
def _step(problem: InventorySubproblem, prices: Array, search: Search) -> tuple[Evaluation, Search]:
    return problem.evaluate(prices, search)


def extreme_factor(service: bool) -> float:
    """By which the best plan is multiplied: order nothing, or (for a service floor) stock far too much."""
    return 4.0 if service else 0.0


def _starts(problem: InventorySubproblem, best: Search, service: bool) -> list[Search]:
    """The best plan, and the extreme one: order nothing, or (for a service floor) stock far too much."""
    factor = extreme_factor(service)
    extreme = jax.tree.map(lambda leaf: factor * leaf, best.raw)
    fresh = problem.init()
    return [
        eqx.tree_at(lambda s: s.raw, fresh, extreme),
        eqx.tree_at(lambda s: (s.raw, s.list_prices), fresh, (best.raw, best.list_prices)),
    ]


def _trials(problem: InventorySubproblem, best: Search, bucket: int, column: int, steps: int) -> Iterator[Evaluation]:
    """Evaluations of plans that use less and less of one capacity, from either start."""
    alone = eqx.tree_at(lambda p: p.settings.objective, problem, Nothing())
    prices = jnp.zeros_like(problem.resources.capacity).at[bucket, column].set(1)
    for search in _starts(problem, best, bool(problem.resources.is_service[column])):
        state = search
        for _ in range(max(steps // 2, 1)):
            evaluation, state = _step(alone, prices, state)
            yield evaluation


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
    problem: InventorySubproblem,
    best: Search,
    relative: np.ndarray,
    usual: np.ndarray,
    names: list[str],
    *,
    tolerance: float,
    steps: int,
    check: Callable[[], None] = lambda: None,
) -> list[OutOfReach]:
    """Of the capacities that the best plan violates most, those that no plan can meet.

    Args:
        problem: The item problems (capacities as the user gave them).
        best: The best search state found.
        relative: Relative violation of the best plan, `[buckets, resources]`.
        usual: What an excess over a capacity of nothing is a share of.
        names: Resource ids.
        tolerance: Violations up to this count as met.
        steps: Gradient steps per resource.
        check: Called after each of them; it may raise to end the work.
    """
    service = np.asarray(problem.resources.is_service)

    def trials(bucket: int, column: int) -> Iterator[Evaluation]:
        for evaluation in _trials(problem, best, bucket, column, steps):
            check()
            yield evaluation

    return unreachable(trials, relative, usual, names, service, tolerance)


def unreachable(
    trials: Callable[[int, int], Iterable[Evaluation]],
    relative: np.ndarray,
    usual: np.ndarray,
    names: list[str],
    service: np.ndarray,
    tolerance: float,
) -> list[OutOfReach]:
    """As `out_of_reach`, however the plans are tried: `trials` gives evaluations for a bucket and a resource."""
    worst = np.argsort(-relative, axis=None)[:_SHOWN]
    found = []
    for at in worst:
        bucket, column = (int(i) for i in np.unravel_index(at, relative.shape))
        if relative[bucket, column] <= tolerance:
            continue
        found_by = trials(bucket, column)
        least, usage, capacity = least_violation(
            found_by, bucket, column, float(usual[bucket, column]), service=bool(service[column])
        )
        if least > tolerance:
            found.append(OutOfReach(names[column], bucket, usage, capacity, float(least)))
    return found
