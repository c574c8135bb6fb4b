"""One policy: its gradient of every objective for both kinds of unmet demand, four ways.

By reverse differentiation in both modes, by finite differences of the same simulation along a random direction, and
against the slope of the independent long simulation in every parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradient_parts import system
from gradient_parts.long_simulation import Books, Paths, simulate
from gradient_parts.system import ITEMS
from gradient_parts.values import VALUES, values_of
from meio_jax.model.catalog import draw
from meio_jax.objective import OBJECTIVES, ScenarioCosts
from meio_jax.policy import AbstractPolicy
from meio_jax.runs.portable import named_leaves
from meio_jax.scenarios import HOLDOUT, Scenarios
from meio_jax.simulation.gradients import GRADIENT_MODES
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import InventorySubproblem, block_lists, reported_costs

# Central differences in double precision of something piecewise linear: no curvature, little rounding.
STEP = 1e-6
# Of the long simulation: small beside the distance of its kinks, large beside rounding.
LONG_STEP = 0.02


@dataclass(frozen=True)
class Effort:
    """Paths of a batch (an objective is taken over a batch) and the number of batches here and in the other one."""

    paths: int = 1024
    batches: int = 48
    long_batches: int = 192


@dataclass(frozen=True)
class Case:
    """A policy with or without protection levels on the system."""

    problem: InventorySubproblem
    name: str
    protection: bool

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        return system.levels(self.name, protection=self.protection)

    @property
    def policy(self) -> AbstractPolicy:
        return system.policy_of(self.problem, self.name, self.parameters)


def sampled(problem: InventorySubproblem, count: int, first: int = 0) -> Scenarios:
    """Scenarios of both items, by the planner's own sampling."""
    leaves = jax.tree.map(lambda leaf: leaf[0], _without_stored(problem.catalog).per_block())
    ids = jnp.arange(first, first + count, dtype=jnp.int32)
    return _draw(problem.settings.scenarios, problem.catalog.profiles, leaves, ids)


@eqx.filter_jit
def _draw(settings: eqx.Module, profiles: jax.Array, leaves: tuple, ids: jax.Array) -> Scenarios:
    return draw(settings, profiles, leaves, ids, HOLDOUT)


def _without_stored(catalog: eqx.Module) -> eqx.Module:
    return eqx.tree_at(lambda c: c.scenarios, catalog, None, is_leaf=lambda leaf: leaf is None)


def _costs(problem: InventorySubproblem, mode: str, policy: AbstractPolicy, scenarios: Scenarios) -> ScenarioCosts:
    block = jax.tree.map(lambda leaf: leaf[0], problem.catalog.block)
    lists = block_lists(problem.network, problem.resources, problem.settings, block, problem.zero_prices())
    form, gradient = problem.settings.form, GRADIENT_MODES[mode]
    return reported_costs(
        block, rollout(problem.network, policy, block, scenarios, lists, form=form, gradient=gradient)
    )


@eqx.filter_jit
def slopes(
    problem: InventorySubproblem, mode: str, policy: AbstractPolicy, scenarios: Scenarios
) -> tuple[ScenarioCosts, AbstractPolicy]:
    """Costs, and the gradient of every objective: leaves `[objectives, 1, rows, items]`."""
    seen, pull = jax.vjp(partial(_costs, problem, mode, scenarios=scenarios), policy)
    bars = [jax.grad(lambda c, name=name: jnp.sum(OBJECTIVES[name]()(c)))(seen) for name in VALUES]
    return seen, jax.vmap(lambda bar: pull(bar)[0])(jax.tree.map(lambda *leaves: jnp.stack(leaves), *bars))


def books_of(costs: ScenarioCosts) -> Books:
    """The same figures as plain arrays `[items, scenarios]`."""
    return Books(*(np.asarray(leaf) for leaf in (costs.total, costs.revenue, costs.lost_revenue, costs.carbon)))


def by_name(gradient: AbstractPolicy) -> dict[str, np.ndarray]:
    """Leaves by their own name, `[objectives, rows, items]`."""
    return {name.split(".")[-1]: np.asarray(leaf)[:, 0] for name, leaf in named_leaves(gradient).items()}


def agreement(case: Case, paths: int) -> dict:
    """Largest relative differences `[objectives, items]`: of the modes, and of a directional finite difference.

    `same_paths` is the largest relative difference of a path's cost from that of the independent simulation, by item;
    `gradient` has the leaves `[objectives, rows, items]`.
    """
    scenarios, policy = sampled(case.problem, paths), case.policy
    costs, gradient = slopes(case.problem, "checkpointed", policy, scenarios)
    _, other = slopes(case.problem, "direct", policy, scenarios)
    first, second = by_name(gradient), by_name(other)
    size = np.max([np.abs(leaf).max(axis=1) for leaf in first.values()], axis=0)
    modes = np.max([np.abs(first[name] - second[name]).max(axis=1) for name in first], axis=0) / size
    rng = np.random.default_rng(3)
    along = {name: rng.normal(size=value.shape) for name, value in case.parameters.items()}
    books = books_of(costs)
    scale = np.abs(books.total.mean(axis=-1))

    def moved(step: float) -> np.ndarray:
        there = {name: value + step * along[name] for name, value in case.parameters.items()}
        policy_there = system.policy_of(case.problem, case.name, there)
        return values_of(books_of(slopes(case.problem, "checkpointed", policy_there, scenarios)[0]), scale)

    difference = (moved(STEP) - moved(-STEP)) / (2 * STEP)
    ahead = sum(np.einsum("oni,n->oi", first[name], along[name]) for name in first)
    finite = np.all([np.isfinite(leaf).all(axis=1) for leaf in first.values()], axis=0)
    return {
        "modes": modes,
        "difference": np.abs(ahead - difference) / size,
        "finite": finite,
        "same_paths": same_paths(case, scenarios, books),
        "gradient": first,
    }


def same_paths(case: Case, scenarios: Scenarios, books: Books) -> np.ndarray:
    """The independent simulation on our paths, by item: largest difference in percent of the mean cost."""
    worst = []
    for number, item in enumerate(ITEMS):
        columns = slice(number * books.total.shape[1], (number + 1) * books.total.shape[1])
        demand = np.asarray(scenarios.demand)[:, 0, :, 0, columns]
        # Offer 0 is the cheaper, slow one.
        mine = simulate(
            case.name, case.parameters, item, Paths(demand, np.asarray(scenarios.vendor_lead)[:, 0, columns])
        )
        pairs = zip(vars(mine).values(), vars(books).values(), strict=True)
        worst.append(max(np.max(np.abs(a - b[number])) / (1 + np.abs(b[number]).mean()) for a, b in pairs))
    return np.asarray(worst)


def here(case: Case, effort: Effort) -> dict[str, np.ndarray]:
    """Gradients by batch: `[batches, objectives, rows, items]` by leaf."""
    found = []
    for batch in range(effort.batches):
        scenarios = sampled(case.problem, effort.paths, batch * effort.paths)
        found.append(by_name(slopes(case.problem, "checkpointed", case.policy, scenarios)[1]))
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def there(case: Case, effort: Effort, seed: int = 0) -> dict[str, np.ndarray]:
    """Slopes of the independent simulation by batch, on common paths: `[batches, objectives, rows, items]` by leaf."""
    count, shape = effort.paths * effort.long_batches, (effort.long_batches, effort.paths)
    slope: dict[str, list] = {name: [] for name in case.parameters}
    for number, item in enumerate(ITEMS):
        paths = Paths.drawn(np.random.default_rng([seed, number]), count)

        def run(parameters: dict[str, np.ndarray], item: system.Item = item, paths: Paths = paths) -> Books:
            return Books(*(leaf.reshape(shape) for leaf in vars(simulate(case.name, parameters, item, paths)).values()))

        scale = np.abs(run(case.parameters).total.mean(axis=-1))
        for name, value in case.parameters.items():
            rows = []
            for row in range(len(value)):
                step = LONG_STEP * (np.arange(len(value)) == row)
                ahead, behind = (run({**case.parameters, name: value + sign * step}) for sign in (1, -1))
                rows.append((values_of(ahead, scale) - values_of(behind, scale)).T / (2 * LONG_STEP))
            slope[name].append(np.stack(rows, axis=-1))
    return {name: np.stack(items, axis=-1) for name, items in slope.items()}
