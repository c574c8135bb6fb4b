"""Which capacities no plan of a streamed catalog can meet: as `meio_jax.certify.feasibility`, a part at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.certify.feasibility import Nothing, OutOfReach, extreme_factor, unreachable
from meio_jax.certify.verdict import feasibility_steps
from meio_jax.planner.streaming import StreamedModel
from meio_jax.solver.solve import Solution
from meio_jax.solver.stream import PartState, Shared, Stream
from meio_jax.solver.subproblem import Evaluation


def out_of_reach(
    model: StreamedModel, solution: Solution, relative: np.ndarray, check: Callable[[], None] = lambda: None
) -> list[OutOfReach]:
    """Of the capacities that the best plan violates most, those that no plan can meet.

    Args:
        model: The catalog in parts; the state of its search is left as it is.
        solution: The search.
        relative: Relative violation of the best plan, `[buckets, resources]`.
        check: Called after each sweep; it may raise to end the work.
    """
    instance, config = model.first.instance, model.config
    steps = max(feasibility_steps(solution, config) // 2, 1)
    problem = model.stream.problem
    given = eqx.tree_at(lambda p: p.resources, problem, problem.everywhere(instance.resources))
    alone = eqx.tree_at(lambda p: p.settings.objective, given, Nothing())
    proof = dataclasses.replace(model.stream, problem=alone, state="proof")
    improved, ranking = bool(solution.state.dual.improved), solution.best.list_prices
    service = np.asarray(instance.resources.is_service)

    def trials(bucket: int, column: int) -> Iterator[Evaluation]:
        prices = jnp.zeros_like(ranking).at[bucket, column].set(1)
        yield from _trial(
            proof, prices, jnp.zeros_like(ranking), (extreme_factor(bool(service[column])), improved), steps
        )
        yield from _trial(proof, prices, ranking, (1.0, improved), steps)

    def checked(bucket: int, column: int) -> Iterator[Evaluation]:
        for evaluation in trials(bucket, column):
            check()
            yield evaluation

    usual, names = np.asarray(solution.state.usual), instance.ids.resources
    return unreachable(checked, relative, usual, names, service, config.solve.violation)


def _trial(
    proof: Stream, prices: jax.Array, ranking: jax.Array, start: tuple[float, bool], steps: int
) -> Iterator[Evaluation]:
    """Evaluations of a search for the least use at the prices, from the best plan times a factor."""
    factor, improved = start
    for number, (own,) in proof.each("state"):
        raw = jax.tree.map(lambda leaf: factor * leaf, own.mean if improved else own.best)
        proof.files.write(proof.state, number, PartState(raw, proof.problem.optimiser.init(raw), raw, raw))
    # A plan that is tried is never the best so far, and its mean is not wanted.
    weight, improved_now = jnp.ones((), prices.dtype), jnp.asarray(False)
    shared = Shared(ranking, jnp.zeros((), jnp.int32))
    swept = proof.swept()
    for _ in range(steps):
        ranked = swept.ranking_prices(prices, shared)
        totals = proof.sweep((prices, ranked), shared.count % proof.problem.chunks, weight, improved_now)
        evaluation, shared = eqx.tree_at(lambda s: s.totals, swept, totals).evaluate(prices, shared)
        yield evaluation
