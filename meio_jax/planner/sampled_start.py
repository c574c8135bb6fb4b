"""Prices and levels that a sample of the items finds, as the start of a search of all of them.

Prices are what a search takes long to find, and they are the same for all items. A sample of some hundred items finds
them about as well as a catalog of thousands, if every capacity is as tight for it as it is for the whole: it is given
the share of each capacity that it uses at the levels which all start from. The whole then starts from these prices,
and items that were not in the sample from newsvendor levels at them, times what the sample's levels came to of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from meio_jax.distributed.sharding import own_part, place_blocks, sum_over_processes
from meio_jax.dual import BestSoFar
from meio_jax.model.resources import Resources
from meio_jax.planner.model import Model, newsvendor_at
from meio_jax.policy import AbstractPolicy
from meio_jax.progress import AbstractProgress, Preempted, Silent, Step
from meio_jax.results import Result
from meio_jax.solver.optimiser import SearchOptions, adam_of, with_moments
from meio_jax.solver.solve import Solution, State, initial_state, solve
from meio_jax.solver.store import AbstractInventoryStore, Moment, Part
from meio_jax.solver.subproblem import InventorySubproblem, ItemState, Totals

# Steps of levels in the search of all items after that of the sample: the first length, and over how many it falls.
_RATE, _DECAY = 0.06, 30
# How often the first percents of an excess count then: prices are near too, and answer what they miss at once.
_GAIN = 2.0
# A sample of more than this share of the items saves too little to be worth its steps.
_MOST = 0.5
# Share of every capacity that counts as used by all items alike: use by few items at the start says little about it.
_ALIKE = 0.1
# By how much levels of the sample may differ from newsvendor levels for others to follow them.
_LEAST_FACTOR, _LARGEST_FACTOR = 0.1, 10.0
# Classes of items by size, and how many items of a class weigh as much as what all items say.
_CLASSES, _LEAN = 40, 5
_SAY_EVERY = 20


@dataclass(frozen=True)
class SampledStart:
    """A search that begins with a sample of its items.

    Attributes:
        model: What all items are searched with afterwards.
        sample: The same items, of which sweeps see the sample.
        method: The dual method of the sample's search.
    """

    model: Model
    sample: AbstractInventoryStore
    method: BestSoFar

    @property
    def line(self) -> str:
        """What is done, in words."""
        return f"prices from {self.sample.seen:,.0f} of {self.model.instance.census.items:,} items"


def sampled_start(model: Model) -> SampledStart | None:
    """How a search from nothing begins with a sample of its items; None where it does not.

    Args:
        model: From `prepare`; `solve.sample_items` says how many items are wanted.
    """
    options = model.config.solve
    if not options.sample_items or not model.store.resources.count:
        return None
    sample = model.store.sampled(options.sample_items)
    if sample.seen > _MOST * model.instance.census.items:
        return None
    steps = options.sample_steps
    first = SearchOptions(options.learning_rate, options.final_learning_rate, steps)
    rate = min(_RATE, options.learning_rate)
    joint = SearchOptions(rate, min(options.final_learning_rate, rate), min(_DECAY, options.max_steps))
    store = model.store.altered(lambda p: replace(p, search=p.everywhere(joint)))
    method = replace(model.method, gain=max(_GAIN, model.method.gain))
    whole = replace(model, store=store, method=method)
    sample = sample.altered(lambda p: replace(p, search=p.everywhere(first)))
    return SampledStart(whole, sample, model.method)


class _Told(Silent):
    """Tells every so many steps of a search how far the sample is, and stops when the user does."""

    def __init__(self, progress: AbstractProgress, line: str) -> None:
        self._progress, self._line = progress, line

    def update(self, step: Step) -> None:
        if step.step % _SAY_EVERY == 0:
            done = f"step {step.step}/{step.max_steps}, violation {step.violation:.1%}, gap {step.gap:.1%}"
            self._progress.stage(f"{self._line}: {done}")

    def should_stop(self) -> bool:
        return self._progress.should_stop()

    def preempted(self) -> bool:
        return self._progress.preempted()


def found_by_sample(begin: SampledStart, progress: AbstractProgress) -> State:
    """Search the sample, and give the state that a search of all items starts from.

    Args:
        begin: What is sampled.
        progress: Is told how far it is.

    Raises:
        Preempted: If it is told to stop on the way: there is nothing to save yet.
    """
    model, sample = begin.model, begin.sample
    progress.stage(begin.line)
    start = model.store.start()
    # What few items bring to a dock says little about its queue: the search of all items finds that at once.
    store = sample.given(_share(model, sample, start)).altered(lambda problem: problem.without_queues())
    # Sweeps of a sample move its items; those of the others are there beside them, as they are.
    items = model.store.changed(start, lambda part: part.items, "sampled")
    steps = model.config.solve.sample_steps
    limits = replace(model.limits, max_steps=steps, min_steps=steps)
    state = initial_state(store, begin.method, items=items)
    # It ends after its last step: the plan of a sample is not to be executed, and so not judged.
    found = solve(store, begin.method, state, limits, model.kind_of, progress=_Told(progress, begin.line))
    if found.result is Result.INTERRUPTED:
        raise Preempted("Stopped while prices were looked for on a sample of the items: there is no plan yet.")
    mean = found.state.shared.mean
    carried = _carried(model, sample, found, mean.prices)
    return initial_state(model.store, model.method, mean.prices, mean.list_prices, carried)


def _share(model: Model, sample: AbstractInventoryStore, items: Any) -> Resources:
    """The capacities, of each the share that the sample uses of it at the levels that all start from."""
    free, given = model.problem.zero_prices(), model.store.resources
    at = Moment(free, free, jnp.zeros((), jnp.int32), jnp.zeros_like(free, shape=()), jnp.zeros((), bool))
    # Sweeps move what they evaluate: those of a look are thrown away.
    own, whole = (_looked_at(store, at, items) for store in (sample, model.store))
    part = float(own.terms.gross) / max(float(whole.terms.gross), 1e-12)
    capacity, floors = own_part(given.capacity), own_part(given.is_service)
    alike = _ALIKE * np.where(np.isfinite(capacity), capacity, 0) + 1e-9
    used = lambda totals: np.maximum(own_part(totals.usage.used), 0)
    share = (used(own) + part * alike) / (used(whole) + alike)
    # A floor asks for a share of the demand, whosever that is.
    scaled = np.where(floors, capacity, capacity * share)
    return eqx.tree_at(lambda r: r.capacity, given, jnp.asarray(scaled, given.capacity.dtype))


def _looked_at(store: AbstractInventoryStore, at: Moment, items: Any) -> Totals:
    return store.sweep(store.everywhere(at), items)[0]


def _carried(model: Model, sample: AbstractInventoryStore, found: Solution, prices: Array) -> Any:
    """All items at levels that follow those of the sample, which stay as they are."""
    items = found.state.items
    last: dict[int, AbstractPolicy] = {}

    def newsvendor(part: Part) -> AbstractPolicy:
        # The sample asks, and then all items: in memory that is one part, which is evaluated once.
        if part.number not in last:
            last.clear()
            last[part.number] = jax.tree.map(own_part, newsvendor_at(model, part.problem, prices))
        return last[part.number]

    def of_part(part: Part) -> tuple:
        live = own_part(part.problem.catalog.block.live) * sample.sees(part.number)[:, None]
        kinds = _size_classes(part.problem.scale)
        trees = (part.items.mean, newsvendor(part), adam_of(part.items.optimiser).nu)
        return (*jax.tree.map(lambda leaf: _by_class(own_part(leaf), live, kinds), trees), _by_class(live, live, kinds))

    sums = reduce(lambda one, other: jax.tree.map(np.add, one, other), map(of_part, sample.each(items)))
    levels, priced, squares, counts = sum_over_processes(sums)
    factor = jax.tree.map(lambda found, newsvendor: _factors(found, newsvendor, counts), levels, priced)
    square = jax.tree.map(lambda total: total.sum(0) / counts.sum(), squares)

    def moved(part: Part) -> ItemState:
        problem, sees = part.problem, sample.sees(part.number)
        here = lambda tree: _placed(tree, problem)
        pick = lambda others, kept: _picked(others, own_part(kept), sees)
        kinds = _size_classes(problem.scale)
        others = jax.tree.map(lambda priced, by: priced * np.moveaxis(by[kinds], 1, -1), newsvendor(part), factor)
        begun = problem.begin(here(jax.tree.map(pick, others, part.items.mean)))
        adam = adam_of(begun.optimiser)
        # What other processes hold of these arrays is theirs.
        mean, known = jax.tree.map(own_part, adam_of(part.items.optimiser)[1:])
        usual = jax.tree.map(lambda leaf, size: np.broadcast_to(size[..., None], leaf.shape), known, square)
        momentum = jax.tree.map(lambda leaf: pick(np.zeros_like(leaf), leaf), mean)
        # Parts that are not of the sample have made no step, and yet know as much as those that are.
        count = problem.everywhere(jnp.asarray(model.config.solve.sample_steps, adam.count.dtype))
        adam = adam._replace(count=count, mu=here(momentum), nu=here(jax.tree.map(pick, usual, known)))
        return replace(begun, optimiser=with_moments(begun.optimiser, adam))

    return model.store.changed(items, moved, "carried")


def _placed(tree: AbstractPolicy, problem: InventorySubproblem) -> AbstractPolicy:
    """A tree of the host's arrays where those of the problem are."""
    return place_blocks(jax.tree.map(lambda leaf: jnp.asarray(leaf, problem.item_scale.dtype), tree), problem.mesh)


def _size_classes(scale: AbstractPolicy) -> Int[np.ndarray, "blocks items"]:
    """Class of every item by its largest scale, a factor of two each: levels of slow movers are of another kind."""
    tables = [own_part(leaf) for leaf in jax.tree.leaves(scale)]
    largest = reduce(np.maximum, (table.max(axis=tuple(range(1, table.ndim - 1))) for table in tables))
    return np.clip(np.floor(np.log2(np.maximum(largest, 1e-30))) + _CLASSES // 2, 0, _CLASSES - 1).astype(int)


def _by_class(
    leaf: Float[np.ndarray, "blocks *rows items"],
    counted: Float[np.ndarray, "blocks items"],
    kinds: Int[np.ndarray, "blocks items"],
) -> Float[np.ndarray, "classes *rows"]:
    """Sums of a parameter over the items of every class that count, by row."""
    each = np.moveaxis(leaf.astype(float), -1, 1)
    sums = np.zeros((_CLASSES, *each.shape[2:]))
    np.add.at(sums, kinds, each * counted.reshape(*counted.shape, *[1] * (each.ndim - 2)))
    return sums


def _factors(
    found: Float[np.ndarray, "classes *rows"],
    newsvendor: Float[np.ndarray, "classes *rows"],
    counts: Float[np.ndarray, " classes"],
) -> Float[np.ndarray, "classes *rows"]:
    """What levels of the sample came to of their newsvendor levels, by class and row.

    Classes of few items lean towards what all came to; where newsvendor levels are nothing it is 1.
    """
    ratio = lambda top, below: np.where(below > 1e-9, top / np.where(below > 1e-9, below, 1), 1.0)
    every = ratio(found.sum(0), newsvendor.sum(0))
    own = (counts / (counts + _LEAN)).reshape(-1, *[1] * (found.ndim - 1))
    return np.clip(every + own * (ratio(found, newsvendor) - every), _LEAST_FACTOR, _LARGEST_FACTOR)


def _picked(levels: np.ndarray, kept: np.ndarray, sees: np.ndarray) -> np.ndarray:
    return np.where(sees.reshape(-1, *[1] * (levels.ndim - 1)), kept, levels)
