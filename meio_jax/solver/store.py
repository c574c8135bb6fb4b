"""Where the items of a search are, and the one compiled sweep that evaluates and moves a part of them."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int
from meio_kernels.projection import nonnegative

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.distributed.sharding import local_devices, own_part, place_blocks, sum_over_processes
from meio_jax.model.network import optional_terms
from meio_jax.model.queues import Docks, Shares
from meio_jax.model.resources import Resources
from meio_jax.model.worlds import Worlds, WorldWeights
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import TRAINING, purpose_of
from meio_jax.solver.optimiser import SearchOptions, optimiser
from meio_jax.solver.subproblem import InventorySubproblem, ItemState, Slopes, SweepInputs, Totals
from meio_jax.solver.world_memory import WorldMemory, memory_of, weights_of

Items = TypeVar("Items")
Tree = TypeVar("Tree")


class Moment(eqx.Module):
    """What a step tells the items.

    Prices, and those that rank fulfilment options; the number of the step, which says whose turn it is among the
    scenarios; the weight of its parameters in their running mean; whether the step before found that mean to be the
    best so far; and what passes docks that queue (None: nothing queues).
    Where something is asked of single scenarios, also what is remembered of them, and from a look at all items the
    weights of those of the step.
    """

    prices: Float[Array, "buckets resources"]
    list_prices: Float[Array, "buckets resources"]
    step: Int[Array, ""]
    weight: Float[Array, ""]
    improved: Bool[Array, ""]
    docks: Shares | None = None
    memory: WorldMemory | None = None
    weights: WorldWeights | None = None


class AbstractStore(eqx.Module, Generic[Items]):
    """The items of a search, wherever they are. The loop sees their totals only."""

    @property
    @abc.abstractmethod
    def resources(self) -> Resources:
        """The capacities that the search keeps."""

    @property
    @abc.abstractmethod
    def damping(self) -> float:
        """Share of their prices that preference lists keep from step to step."""

    @property
    def terms(self) -> dict[str, bool]:
        """Which terms of cost there are of those that only some instances have (`optional_terms`)."""
        return {}

    @property
    def docks(self) -> Docks | None:
        """Docks that queue; None where nothing does."""
        return None

    @property
    def scenarios(self) -> int:
        """Scenarios of every item that a step simulates."""
        return 1

    @property
    def memory(self) -> WorldMemory | None:
        """What is remembered of single scenarios before the first step; None where nothing is asked of them."""
        return None

    @abc.abstractmethod
    def start(self) -> Items:
        """The items before the first step."""

    @abc.abstractmethod
    def sweep(self, at: Moment, items: Items) -> tuple[Totals, Items]:
        """Evaluate all items and move their parameters."""

    def everywhere(self, tree: Any) -> Any:
        """A tree that belongs to no item, put where sweeps need it (by default left where it is)."""
        return tree


class Part(eqx.Module):
    """Some items: their number among the parts, their problem, and what a search knows of them."""

    number: int
    problem: InventorySubproblem
    items: ItemState


Change = Callable[[Part], ItemState]
ProblemChange = Callable[[InventorySubproblem], InventorySubproblem]


class AbstractInventoryStore(AbstractStore[Items]):
    """Item problems of a catalog in one part or more; `problem` is that of one part, for what all of them share."""

    problem: InventorySubproblem

    @property
    @abc.abstractmethod
    def numbers(self) -> range:
        """Numbers of the parts that this process has, of the `parts` of all processes."""

    @property
    @abc.abstractmethod
    def parts(self) -> int:
        """Number of parts of the whole catalog."""

    @abc.abstractmethod
    def summed(self, tree: Tree) -> Tree:
        """Over all processes, what sweeps of the parts of this one have added up to (64-bit numpy floats)."""

    @property
    def resources(self) -> Resources:
        return self.problem.resources

    @property
    def damping(self) -> float:
        return self.problem.settings.damping

    @property
    def terms(self) -> dict[str, bool]:
        return optional_terms(self.problem.catalog.block)

    @property
    def docks(self) -> Docks | None:
        return self.problem.network.docks

    @property
    def scenarios(self) -> int:
        return self.problem.settings.scenarios_per_step

    @property
    def memory(self) -> WorldMemory | None:
        problem = self.problem
        return memory_of(problem.resources, problem.settings.risk, self.scenarios, problem.item_scale.dtype)

    def everywhere(self, tree: Any) -> Any:
        return self.problem.everywhere(tree)

    def weighed(self, at: Moment, totals: Totals) -> Moment:
        """What the step tells the items once their totals are known: the weights of its scenarios as well."""
        memory, worlds = at.memory, totals.usage.worlds
        if memory is None or worlds is None:
            return at
        return replace(at, weights=self.everywhere(_weights(self.problem.resources, memory, worlds)))

    @property
    @abc.abstractmethod
    def block_sizes(self) -> list[np.ndarray]:
        """Number of items in every block of each part."""

    @abc.abstractmethod
    def each(self, items: Items, *, first: bool = False) -> Iterator[Part]:
        """Every part in turn; `first`: with the parameters that the search started from (`problem.first`)."""

    @abc.abstractmethod
    def changed(self, items: Items, change: Change, name: str) -> Items:
        """The items with another state for each part, beside what there is; `name` tells what it is for."""

    @abc.abstractmethod
    def sampled(self, items: int) -> AbstractInventoryStore[Items]:
        """The same items, of which sweeps see about so many, taken evenly from the catalog."""

    @abc.abstractmethod
    def sees(self, number: int) -> Bool[np.ndarray, " blocks"]:
        """Which blocks of a part sweeps see."""

    @property
    def seen(self) -> float:
        """Number of items that sweeps see, of all processes."""
        sizes = zip(self.numbers, self.block_sizes, strict=True)
        own = sum(float(sizes[self.sees(number)].sum()) for number, sizes in sizes)
        return float(sum_over_processes(np.asarray(own)))

    def altered(self, change: ProblemChange) -> AbstractInventoryStore[Items]:
        """The same items with another problem, of which what all parts share was changed."""
        return eqx.tree_at(lambda store: store.problem, self, change(self.problem))

    def at_docks(self, shares: Shares | None) -> AbstractInventoryStore[Items]:
        """The same items with other shares that pass docks which queue; None: as they are."""
        return self if shares is None else self.altered(lambda problem: problem.at_docks(shares))

    def with_scenarios(self, count: int) -> AbstractInventoryStore[Items]:
        """The same items, with so many scenarios in every step."""
        return self.altered(lambda problem: problem.with_scenarios(count))

    def given(self, resources: Resources) -> AbstractInventoryStore[Items]:
        """The same items with these capacities."""
        return self.altered(lambda p: eqx.tree_at(lambda q: q.resources, p, p.everywhere(resources)))

    def plans(self, items: Items, improved: bool) -> Iterator[tuple[InventorySubproblem, AbstractPolicy]]:
        """Problem and best policy of every part, in units of stock."""
        for part in self.each(items):
            yield part.problem, part.problem.policy(part.items.plan(improved))


class MemoryStore(AbstractInventoryStore[ItemState]):
    """All items on the devices; those of a process are one part, and sweeps go over the devices of all processes."""

    @property
    def numbers(self) -> range:
        return range(jax.process_index(), jax.process_index() + 1)

    @property
    def parts(self) -> int:
        return jax.process_count()

    def summed(self, tree: Tree) -> Tree:
        return tree

    @property
    def block_sizes(self) -> list[np.ndarray]:
        return [own_part(self.problem.catalog.block.live).sum(1)]

    def sampled(self, items: int) -> AbstractInventoryStore[ItemState]:
        sizes, groups = self.block_sizes[0], own_part(self.problem.catalog.block.group)
        share = items / float(sum_over_processes(np.asarray(sizes.sum())))
        seen = every_nth(sizes, groups, share, local_devices(self.problem.mesh))
        swept = place_blocks(jnp.asarray(seen.astype(self.problem.item_scale.dtype)), self.problem.mesh)
        return self.altered(lambda problem: replace(problem, swept=swept))

    def sees(self, number: int) -> np.ndarray:
        return own_part(self.problem.swept) > 0

    def start(self) -> ItemState:
        return self.problem.begin(self.problem.first)

    def sweep(self, at: Moment, items: ItemState) -> tuple[Totals, ItemState]:
        if at.memory is None:
            return part_step(self.problem, items, at)
        totals = part_look(self.problem, items, at)
        stepped, moved = part_step(self.problem, items, self.weighed(at, totals))
        return replace(totals, undefined=stepped.undefined), moved

    def each(self, items: ItemState, *, first: bool = False) -> Iterator[Part]:
        yield Part(jax.process_index(), self.problem, items)

    def changed(self, items: ItemState, change: Change, name: str) -> ItemState:
        return change(Part(jax.process_index(), self.problem, items))


def every_nth(sizes: np.ndarray, groups: np.ndarray, share: float, devices: int) -> Bool[np.ndarray, " blocks"]:
    """About such a share of the blocks that hold items, evenly over every group of items, and one at least of each.

    Args:
        sizes: Items of every block; those of a device follow on each other.
        groups: Number of the group of every block.
        share: How many blocks, as a share of all.
        devices: Devices that share the blocks: each has its own of every group.
    """
    chosen = np.zeros(sizes.size, bool)
    for own in np.split(np.arange(sizes.size), devices):
        for group in np.unique(groups[own]):
            held = own[(groups[own] == group) & (sizes[own] > 0)]
            count = min(max(round(share * held.size), 1), held.size)
            chosen[held[((np.arange(count) + 0.5) * held.size / max(count, 1)).astype(int)]] = True
    return chosen


def part_step(problem: InventorySubproblem, items: ItemState, at: Moment) -> tuple[Totals, ItemState]:
    """Evaluate the items of a part, and move their parameters by one step of the optimiser."""
    problem = problem.at_docks(at.docks)
    totals, slopes = part_sweep(problem, _inputs(problem, at), items.raw)
    # What is remembered is no matter of the items.
    alone = replace(at, memory=None, weights=None)
    return totals, _moved(problem.search, items, alone, slopes.levels)


def part_look(problem: InventorySubproblem, items: ItemState, at: Moment) -> Totals:
    """What the items of a part add up to, also in every scenario; nothing is moved."""
    return _looked(problem.at_docks(at.docks), _inputs(problem, at), items.raw)


def _inputs(problem: InventorySubproblem, at: Moment) -> SweepInputs:
    """Inputs of the sweep of a step."""
    first = (at.step % problem.chunks) * problem.settings.scenarios_per_step
    nothing = jnp.zeros_like(at.weight)
    inputs = SweepInputs(at.prices, at.list_prices, first, purpose_of(TRAINING), nothing, at.weights)
    return problem.everywhere(inputs)


@kept_jit
def _looked(problem: InventorySubproblem, inputs: SweepInputs, raw: AbstractPolicy) -> Totals:
    return problem.look(inputs, raw)


@kept_jit
def _weights(resources: Resources, memory: WorldMemory, worlds: Worlds) -> WorldWeights:
    return weights_of(resources, memory, worlds)


@kept_jit
def part_sweep(problem: InventorySubproblem, inputs: SweepInputs, raw: AbstractPolicy) -> tuple[Totals, Slopes]:
    """Evaluate the items of a part: the compiled program that search, slack and values of units share."""
    return problem.sweep(inputs, raw)


@kept_jit
def _moved(search: SearchOptions, items: ItemState, at: Moment, gradient: AbstractPolicy) -> ItemState:
    """The items after one step of the optimiser."""
    best = items.plan(at.improved)
    mean = jax.tree.map(lambda old, new: old + at.weight.astype(old.dtype) * (new - old), items.mean, items.raw)
    updates, state = optimiser(search).update(gradient, items.optimiser, items.raw)
    raw = jax.tree.map(nonnegative, optax.apply_updates(items.raw, updates))
    return ItemState(raw, state, mean, best)
