"""Slack: what items could still save at the final prices, estimated on a random sample of them.

A coupling gap says how far capacities and prices are from agreeing; it says nothing of levels that are not the best at
these prices. A sample of blocks of items is therefore searched further, from its levels and from the newsvendor's, and
the best of what is found is compared with the plan on scenarios that neither searched nor chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.certify.plan_sweep import unstored
from meio_jax.distributed.sharding import place_blocks
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import TRAINING, VALIDATION, purpose_of
from meio_jax.solver.refine import Pace, Refining, Surroundings, judge, moved
from meio_jax.solver.solve import Solution
from meio_jax.solver.store import AbstractInventoryStore, Part, part_sweep
from meio_jax.solver.subproblem import InventorySubproblem, SweepInputs

Argument = TypeVar("Argument")
Result = TypeVar("Result")
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
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for part, own in _with_blocks(store, best, _sampled_blocks(sizes, effort.items, seed)):
        sample = _Sample(part.problem, own, best, around, effort, check)
        found += sample.compared(part.items.plan(best.improved), newsvendor(part.problem))
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


def read_blocks(store: AbstractInventoryStore, best: Solution, numbers: list[int]) -> dict[int, tuple]:
    """Leaves and parameters of some blocks, which are numbered through all parts."""
    found: dict[int, tuple] = {}
    firsts = np.cumsum([0, *[sizes.size for sizes in store.block_sizes]])
    for part, own in _with_blocks(store, best, numbers):
        leaves, first = block_leaves(part.problem, own), int(firsts[store.numbers.index(part.number)])
        plan = part.items.plan(best.improved)
        for number in own:
            raw = jax.tree.map(lambda leaf, at=number: np.asarray(leaf[at]), plan)
            found[first + number] = (leaves[number], raw)
    return found


def block_leaves(problem: InventorySubproblem, blocks: list[int]) -> dict[int, tuple]:
    """The leaves of some blocks of a part, without stored scenarios."""
    per_block = unstored(problem).catalog.per_block()
    return {number: jax.tree.map(lambda leaf, at=number: np.asarray(leaf[at]), per_block) for number in blocks}


def _with_blocks(store: AbstractInventoryStore, best: Solution, numbers: list[int]) -> Iterator[tuple[Part, list[int]]]:
    """The parts that have some of these blocks, and which of their own blocks those are."""
    first = 0
    for part, sizes in zip(store.each(best.state.items), store.block_sizes, strict=True):
        own = [number - first for number in numbers if first <= number < first + sizes.size]
        if own:
            yield part, own
        first += sizes.size


def _sampled_blocks(sizes: np.ndarray, items: int, seed: int) -> list[int]:
    """Blocks in random order until they hold so many items."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(sizes > 0))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), items)) + 1
    return order[:enough].tolist()


class _Sample:
    """Blocks of a part whose levels are searched further, by the compiled sweep that searched the whole.

    Levels are in units of their scale, with an axis of all blocks of the part; blocks that are not of the sample are
    passed over, and so are those for which a further search saves little.
    """

    def __init__(
        self,
        problem: InventorySubproblem,
        blocks: list[int],
        best: Solution,
        around: Surroundings,
        effort: Effort,
        check: Callable[[], None],
    ) -> None:
        self._problem, self._blocks, self._best, self._around = problem, blocks, best, around
        self._effort, self._check = effort, check
        self._leaves = block_leaves(problem, blocks)
        self._scale = jax.tree.map(np.asarray, problem.scale)
        self._pace = problem.everywhere(Pace.of(effort.steps, problem.item_scale.dtype))

    def compared(self, plan: AbstractPolicy, newsvendor: AbstractPolicy) -> list[tuple[np.ndarray, np.ndarray]]:
        """What items of each block could save, and what they pay: the best levels, chosen on other scenarios."""
        plan, newsvendor = jax.tree.map(np.asarray, (plan, newsvendor))
        tried = [plan, *[self._searched(start, self._blocks) for start in (plan, newsvendor)]]
        tried += [jax.tree.map(lambda leaf, f=factor: f * leaf, plan) for factor in _FACTORS]
        first_totals = lambda at: [self._total(levels, at, 0).total for levels in tried]
        totals = dict(zip(self._blocks, _in_threads(first_totals, self._blocks), strict=True))
        active = self._blocks
        for _ in range(self._effort.rounds - 1):
            saved = {at: _saved(totals[at]) for at in active}
            tried.append(self._searched(self._best_of(tried, totals), active))
            again = dict(zip(active, _in_threads(lambda at: self._total(tried[-1], at, 0).total, active), strict=True))
            for at in self._blocks:
                # Levels of a block that is passed over are those of its best so far.
                totals[at].append(again[at] if at in again else np.min(totals[at], axis=0))
            active = [at for at in active if _saved(totals[at]) > _enough(saved[at], totals[at])]
            if not active:
                break
        return _in_threads(lambda at: self._saving(tried, totals[at], at), self._blocks)

    def _saving(self, tried: list[AbstractPolicy], totals: list[np.ndarray], at: int) -> tuple[np.ndarray, np.ndarray]:
        """Saving and payment of every item of a block, on scenarios that chose nothing."""
        chosen = np.argmin(totals, axis=0)
        fresh = [self._total(levels, at, self._effort.scenarios) for levels in tried]
        best = np.take_along_axis(np.stack([one.total for one in fresh]), chosen[None], axis=0)[0]
        own = np.asarray(self._leaves[at][0].live) > 0
        return (fresh[0].total - best)[own], fresh[0].gross[own]

    def _best_of(self, tried: list[AbstractPolicy], totals: dict[int, list[np.ndarray]]) -> AbstractPolicy:
        """Of every item of the sample the levels that are best so far; of others those of the plan."""
        blocks, items = self._problem.item_scale.shape
        chosen = np.zeros((blocks, items), int)
        for at, found in totals.items():
            chosen[at] = np.argmin(found, axis=0)
        pick = lambda *leaves: np.choose(chosen[:, None, None], leaves)
        return jax.tree.map(pick, *tried)

    def _searched(self, start: AbstractPolicy, blocks: list[int]) -> AbstractPolicy:
        """Where a search of some blocks leads from these levels."""
        # On one device a sweep keeps one core busy; sweeps over several devices must not run beside each other.
        shares = [blocks] if self._problem.mesh is not None else [own for own in (blocks[::2], blocks[1::2]) if own]
        found = _in_threads(lambda own: self._search(start, own), shares)
        swept = np.zeros(self._problem.item_scale.shape[0], int)
        for number, own in enumerate(shares):
            swept[own] = number
        # Blocks that no share has are where they started, in each of them.
        pick = lambda *leaves: np.choose(swept[:, None, None, None], leaves)
        return jax.tree.map(pick, *found)

    def _search(self, start: AbstractPolicy, blocks: list[int]) -> AbstractPolicy:
        """Means of the levels of the later steps of a search of some blocks."""
        problem, effort, size = self._problem, self._effort, self._problem.settings.scenarios_per_step
        swept = np.zeros(problem.item_scale.shape[0], problem.item_scale.dtype)
        swept[blocks] = 1
        # A leaf is replaced and no constructor is called: those of a part are arrays of the host.
        problem = eqx.tree_at(lambda p: p.swept, problem, place_blocks(jnp.asarray(swept), problem.mesh))
        begun = Refining.at(*jax.tree.map(jnp.asarray, (start, problem.scale, problem.item_scale)))
        now = place_blocks(begun, problem.mesh)
        prices = (jnp.asarray(self._best.prices), jnp.asarray(self._best.list_prices))
        for step in range(effort.steps):
            self._check()
            first = jnp.asarray(step % problem.chunks * size, jnp.int32)
            inputs = SweepInputs(*prices, first, purpose_of(TRAINING), jnp.zeros((), problem.item_scale.dtype))
            _, slopes = part_sweep(problem, problem.everywhere(inputs), now.raw)
            now = moved(now, slopes.levels, self._pace)
        return jax.tree.map(np.asarray, now.mean)

    def _total(self, levels: AbstractPolicy, at: int, first: int) -> _Priced:
        """What every item of a block pays at these levels, on validation scenarios from number `first` on."""
        self._check()
        policy = jax.tree.map(lambda raw, scale: raw[at] * scale[at], levels, self._scale)
        number = jnp.asarray(first, jnp.int32)
        found = judge(self._around, self._leaves[at], policy, self._effort.scenarios, number, VALIDATION)
        return _Priced(np.asarray(found.total, float), np.asarray(found.gross, float))


class _Priced(NamedTuple):
    """What items pay with the charges of capacities, and in all."""

    total: np.ndarray
    gross: np.ndarray


def _in_threads(work: Callable[[Argument], Result], given: Sequence[Argument]) -> list[Result]:
    """Work on each of the given, two at a time: programs of blocks keep one core each busy."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(work, given))


def _saved(totals: list[np.ndarray]) -> float:
    """What the best of several levels saves by item, beside the first."""
    return float(totals[0].sum() - np.min(totals, axis=0).sum())


def _enough(saved: float, totals: list[np.ndarray]) -> float:
    """Least saving for which a further search was worth while, after one that saved so much."""
    return (1 + _LITTLE) * saved + _NOTHING * abs(float(totals[0].sum()))


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
