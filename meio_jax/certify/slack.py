"""Slack: what items could still save at the final prices, estimated on a random sample of them.

A coupling gap says how far capacities and prices are from agreeing; it says nothing of levels that are not the best at
these prices. A sample of blocks of items is therefore searched further, from its levels and from the newsvendor's, and
the best of what is found is compared with the plan on scenarios that neither searched nor chose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import VALIDATION
from meio_jax.solver.first_levels import in_units
from meio_jax.solver.refine import Judged, Pace, Refining, Surroundings, judge, refine
from meio_jax.solver.solve import Solution
from meio_jax.solver.store import AbstractInventoryStore, Part
from meio_jax.solver.subproblem import InventorySubproblem

_FACTORS = (0.0, 0.8, 1.25)
# A further search goes on from the last if that one added more than this share of what was saved before, and more than
# this share of the cost.
_LITTLE, _NOTHING = 0.03, 1e-4


Newsvendor = Callable[[InventorySubproblem], AbstractPolicy]
"""Newsvendor levels at the final prices of all items of a part, in units of its scale."""


@dataclass(frozen=True)
class Slack:
    """What items could still save, as a share of what they pay, its standard error, and how many items were tried."""

    share: float
    error: float
    items: int


@dataclass(frozen=True)
class Effort:
    """How slack is estimated: items that are tried (in whole blocks), steps from each start, scenarios of each kind.

    Where a search of so many steps saves a good deal, another one begins where it ended, at most `rounds` in all.
    """

    items: int = 64
    steps: int = 30
    scenarios: int = 128
    rounds: int = 8


def estimate_slack(
    store: AbstractInventoryStore,
    best: Solution,
    newsvendor: Newsvendor,
    effort: Effort,
    *,
    stationary: bool,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Slack:
    """Search a random sample of blocks further at prices that stay, and compare on fresh scenarios.

    Args:
        store: The items, with the capacities as the user gave them.
        best: The search, with the plan and its prices.
        newsvendor: Levels that are searched besides those of the plan. They are asked for by whole parts, which have a
            compiled program since they were started from such levels; one for a block would have to be compiled.
        effort: How much is tried.
        stationary: One target for all buckets.
        seed: Draws the sample.
        check: Called before each block; it may raise to end the work.
    """
    problem = store.problem
    around = surroundings(problem, best, stationary=stationary)
    around = jax.tree.map(lambda leaf: np.asarray(leaf) if eqx.is_array(leaf) else leaf, around)
    sizes = np.concatenate(store.block_sizes)
    numbers = _sampled_blocks(sizes, effort.items, seed)
    started = lambda part: (part.problem.scale, part.problem.item_scale, newsvendor(part.problem))
    blocks = read_blocks(store, best, numbers, started)

    def one(number: int) -> tuple[np.ndarray, np.ndarray]:
        check()
        leaves, raw, *start = blocks[number]
        before, after = _compared(around, leaves, raw, _begun(*start), problem.chunks, effort)
        own = np.asarray(leaves[0].live) > 0
        saved = np.asarray(before.total, float) - np.asarray(after, float)
        return saved[own], np.asarray(before.gross, float)[own]

    # Blocks are small programs of one core each.
    with ThreadPoolExecutor(max_workers=2) as pool:
        found = list(pool.map(one, numbers))
    return _ratio(found, float(sizes.sum()))


def surroundings(problem: InventorySubproblem, best: Solution, *, stationary: bool) -> Surroundings:
    """What blocks of a problem meet at the prices of a search; `stationary`: one target for all buckets."""
    return Surroundings(
        network=problem.network,
        resources=problem.resources,
        profiles=problem.catalog.profiles,
        prices=best.prices,
        list_prices=best.list_prices,
        settings=problem.settings,
        stationary=stationary,
    )


def read_blocks(
    store: AbstractInventoryStore, best: Solution, numbers: list[int], more: Callable[[Part], tuple] = lambda _: ()
) -> dict[int, tuple]:
    """Leaves and parameters of some blocks, which are numbered through all parts, and `more` trees of their parts."""
    found: dict[int, tuple] = {}
    first = 0
    for part, sizes in zip(store.each(best.state.items), store.block_sizes, strict=True):
        own = [number for number in numbers if first <= number < first + sizes.size]
        if own:
            catalog = eqx.tree_at(lambda c: c.scenarios, part.problem.catalog, None, is_leaf=lambda leaf: leaf is None)
            trees = (catalog.per_block(), part.items.plan(best.improved), *more(part))
            for number in own:
                found[number] = jax.tree.map(lambda leaf, at=number - first: np.asarray(leaf[at]), trees)
        first += sizes.size
    return found


def _sampled_blocks(sizes: np.ndarray, items: int, seed: int) -> list[int]:
    """Blocks in random order until they hold so many items."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(sizes > 0))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), items)) + 1
    return order[:enough].tolist()


def _begun(scale: AbstractPolicy, cost: np.ndarray, first: AbstractPolicy) -> Refining:
    """The search of a block before its first step."""
    first, scale = jax.tree.map(jnp.asarray, (first, scale))
    nothing = jax.tree.map(jnp.zeros_like, first)
    return Refining(first, first, nothing, nothing, scale, jnp.asarray(cost), jnp.zeros((), jnp.int32))


def _compared(
    around: Surroundings, leaves: tuple, raw: AbstractPolicy, start: Refining, chunks: int, effort: Effort
) -> tuple[Judged, np.ndarray]:
    """The plan of a block judged, and per item the total of the best alternative, chosen on other scenarios."""
    pace = Pace.of(effort.steps, start.cost.dtype)
    known = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), raw)
    nothing = jax.tree.map(jnp.zeros_like, start.raw)
    further: Refining = start.continued(known, jax.tree.map(jnp.asarray, raw), nothing)
    plan = further.policy()
    tried = [refine(around, leaves, begun, pace, chunks).policy() for begun in (further, start)]
    tried += [jax.tree.map(lambda leaf, f=factor: f * leaf, plan) for factor in _FACTORS]
    policies = [plan, *tried]
    chosen = np.stack([np.asarray(_judged(around, leaves, policy, effort, 0).total, float) for policy in policies])
    for _ in range(effort.rounds - 1):
        saved = chosen[0].sum() - chosen.min(axis=0).sum()
        raw = in_units(_by_item(policies, np.argmin(chosen, axis=0)), start.scale)
        policies.append(refine(around, leaves, start.continued(known, raw, nothing), pace, chunks).policy())
        found = np.asarray(_judged(around, leaves, policies[-1], effort, 0).total, float)
        chosen = np.concatenate([chosen, found[None]])
        if chosen[0].sum() - chosen.min(axis=0).sum() <= (1 + _LITTLE) * saved + _NOTHING * abs(chosen[0].sum()):
            break
    best = np.argmin(chosen, axis=0)
    judging = [_judged(around, leaves, policy, effort, effort.scenarios) for policy in policies]
    totals = np.stack([np.asarray(one.total) for one in judging])
    return judging[0], np.take_along_axis(totals, best[None], axis=0)[0]


def _by_item(policies: list[AbstractPolicy], chosen: np.ndarray) -> AbstractPolicy:
    """Of every item the parameters of the policy that was chosen for it, by its number; items are the last axis."""
    return jax.tree.map(lambda *leaves: np.choose(chosen, [np.asarray(leaf) for leaf in leaves]), *policies)


def _judged(around: Surroundings, leaves: tuple, policy: AbstractPolicy, effort: Effort, first: int) -> Judged:
    return judge(around, leaves, policy, effort.scenarios, jnp.asarray(first, jnp.int32), VALIDATION)


def _ratio(found: Sequence[tuple[np.ndarray, np.ndarray]], items: float) -> Slack:
    """Ratio estimate of what a catalog saves to what it pays, from a sample of items (Cochran 1977, section 2.11)."""
    saved, paid = (np.concatenate(parts) for parts in zip(*found, strict=True))
    total = max(float(paid.sum()), 1e-12)
    share = float(saved.sum()) / total
    count = saved.size
    rest = saved - share * paid
    unseen = max(1 - count / max(items, 1), 0)
    # Where all items were tried the scenarios' noise remains: it counts as that of half the sample.
    spread = float(np.sqrt(max(unseen, 0.5) * count * rest.var(ddof=1 if count > 1 else 0)))
    return Slack(max(share, 0.0), spread / total, count)
