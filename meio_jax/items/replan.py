"""Plan a few items again at a finished run's prices, without touching the rest.

At fixed prices every item is a problem of its own, so a changed forecast, stock or cost needs no new solve. What the
changed items use more or less of each capacity is compared with the slack that the run left: where that would move a
price materially, the result says so.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.config.settings import Config
from meio_jax.config.values import family_of_part, total_risk_of
from meio_jax.errors import InputError, Problem
from meio_jax.instance import Instance, Shared, build_instance
from meio_jax.instance.census import Census, widened
from meio_jax.items.finished_run import read_finished, unchanged_instance
from meio_jax.items.replan_results import (
    BlockLevels,
    Replanned,
    ReplanOptions,
    costs_of,
    price_warnings,
    usage_change,
    whole_order_warnings,
)
from meio_jax.items.run_levels import RunLevels, SavedBlock
from meio_jax.planner.model import settings_of
from meio_jax.planner.override_costs import Pricing
from meio_jax.plans.decisions import spare_of
from meio_jax.plans.names import with_names
from meio_jax.plans.policy_tables import policy_frames
from meio_jax.plans.tables import decision_frames
from meio_jax.policy import AbstractPolicy
from meio_jax.progress import Silent
from meio_jax.runs.data import changed_since, read_table
from meio_jax.runs.saved_run import read_saved_run
from meio_jax.runs.warm import prices_of
from meio_jax.solver.refine import Judged, Pace, Refining, Surroundings, begin, clearly_better, judge, refine
from meio_jax.tables import ITEM_TABLES, Tables, read_instance, read_item_block, read_network
from meio_jax.tables.frames import Frame, as_polars
from meio_jax.tables.overlay import item_column, named_items, overlay

_IN_MEMORY = 200_000
# Items of a block, and what the number of blocks is rounded up to (empty blocks are not searched). A hundred items of
# several storage classes fill 13 to 18 blocks: one number for all of them, so that nothing is compiled twice.
_BLOCK, _BLOCKS = 8, 32


class Replanner:
    """Holds the network, prices and levels of a run, and the compiled programs, for one call after the other.

    Args:
        run: Folder of a finished run.
        instance: Folder of its instance, if it has moved.

    Attributes:
        notes: A line if tables of items are not those that the run planned.

    Raises:
        InputError: If the folder is no finished run, or its instance is gone or has another network now.
    """

    def __init__(self, run: Path, instance: Path | None = None) -> None:
        self.run = run
        self.config, about, self._census = read_finished(run)
        self.folder = unchanged_instance(run, about, instance)
        self.notes = [f"{note} Items are planned by it as it is now." for note in changed_since(self.folder, about)]
        self.network = read_network(self.folder)
        self.notes += _approximations(self.config, self.network)
        self._tables = read_instance(self.folder) if self._census.items <= _IN_MEMORY else None
        # Of a large catalog only the items that are asked for are read, when they are.
        self._priced = read_saved_run(run, None if self._tables is not None else [])
        self._days = self._priced.axes
        self._levels = RunLevels(self._priced, self._days, self.config.policy.name)
        self._prices = read_table(run, "prices")
        self._family = family_of_part(self.config.policy)
        self._shared: tuple[Census, Shared] | None = None
        self._known: tuple[Census, Surroundings] | None = None
        self._shapes: dict[int, Refining] = {}

    def replan(self, changes: Mapping[str, Frame], options: ReplanOptions | None = None) -> Replanned:
        """New targets, orders and transfers of the items that the tables name.

        Args:
            changes: Tables `items`, `offers`, `forecast`, `on_hand`, `on_order` that changed, each with all rows of the
                items that it names (a table of item ids only names items and changes nothing). Columns of `items` and
                `offers` may be left out. Frames of polars, pandas or Arrow.
            options: Length of the search.

        Returns:
            Decisions and levels of these items, and what they change of the use of capacities.

        Raises:
            InputError: With all problems of the tables.

        Example:
            >>> replanner = Replanner(Path("runs/quickstart"))
            >>> found = replanner.replan({"items": pl.DataFrame({"item_id": ["I0000007"]})})
            >>> found.items["item_id"].to_list(), found.frames["plan/targets"]["item_id"].unique().to_list()
            (['I0000007'], ['I0000007'])
        """
        started = time.perf_counter()
        options = ReplanOptions() if options is None else options
        form = self.network.settings.forecast
        changes = {name: as_polars(frame, name) for name, frame in changes.items()}
        names = named_items(changes, form)
        if not names:
            remedy = "name the items in the column `item_id`"
            raise InputError([Problem(", ".join(changes), "", "item_id", None, "at least one item", remedy)])
        self._look_up(names)
        self._check_named(changes, names, form)
        base = self._rows([name for name in names if name in self._levels.place])
        content = {name: frame for name, frame in changes.items() if frame.columns != [item_column(name, form)]}
        after = overlay(self.network, base, content) if content else base
        self._census = widened(self._census, after)
        instance = self._instance(after)
        with ThreadPoolExecutor(_cores()) as pool:
            searches = self._searches(instance, options, pool)
            # The items as they were need no search: they are judged beside it.
            past = self._past(base, options, pool) if content and base.items.height else None
            blocks = [one.result() for one in searches]
            before = [block.before for block in blocks if not content] if past is None else list(past)
        policy = _together([block.policy for block in blocks], instance.layout.blocks)
        change = _used([block.after for block in blocks]) - _used(before)
        usage = usage_change(instance, self._prices, np.asarray(change))
        spare = spare_of(instance, np.asarray(self._around.list_prices))
        frames = {**dict(policy_frames(instance, policy)), **dict(decision_frames(instance, policy, spare))}
        if options.overrides and instance.census.overridden:
            pricing = Pricing(self.config, instance, policy, self._family, self._around, Silent())
            frames |= dict(with_names(instance, [("plan/overrides", pricing.frame())]))
        return Replanned(
            frames=frames,
            items=costs_of(instance, blocks),
            usage=usage,
            warnings=[*self.notes, *whole_order_warnings(instance), *price_warnings(usage, options.material)],
            seconds=time.perf_counter() - started,
        )

    def known_items(self) -> list[str]:
        """Ids of the items of the run that are in memory; of a large catalog those that were asked for last."""
        return list(self._levels.place)

    def priced_by(self, run: Path) -> Replanner:
        """The same items, network and levels, at the prices of another run (matched by resource and day)."""
        other = copy.copy(self)
        other._priced, other._known, other._shapes = read_saved_run(run), None, {}
        return other

    def rows(self, names: list[str]) -> Tables:
        """The rows of some items as the run had them, with the network."""
        self._look_up(names)
        return self._rows(names)

    def leveled_by(self, run: Path) -> Replanner:
        """The same items, network and prices, with the levels of another run (matched by item, node and day)."""
        other = copy.copy(self)
        other._levels = replace(self._levels, earlier=read_saved_run(run))
        return other

    def decide(
        self, tables: Tables, other: Replanner | None = None, options: ReplanOptions | None = None
    ) -> dict[str, pl.DataFrame]:
        """Today's orders and transfers of items of the run with other data, at levels that suit it.

        Levels stay those of the run unless others are clearly better: those of another run, those of either run in
        proportion to what the data ask for, or those that a search finds from there.

        Args:
            tables: From `rows`, with other tables of the items in place; they are not checked.
            other: Whose levels are tried as well (`leveled_by`).
            options: Length of the search.
        """
        options = ReplanOptions() if options is None else options
        self._census = widened(self._census, tables)
        instance = self._instance(tables)
        numbers = np.flatnonzero(instance.layout.live.any(1)).tolist()
        own = self._live(instance)
        if other is not None:
            other._shapes = self._shapes
        with ThreadPoolExecutor(_cores()) as pool:
            jobs = []
            for number, (one, saved) in zip(numbers, own, strict=True):
                sides = [saved]
                if other is not None:
                    sides.append(other._levels.of_block(instance, number, self._shapes[instance.layout.item.shape[1]]))
                jobs.append(pool.submit(self._best_of, one, sides, options))
            levels = [job.result() for job in jobs]
        spare = spare_of(instance, np.asarray(self._around.list_prices))
        return dict(decision_frames(instance, _together(levels, instance.layout.blocks), spare))

    def _best_of(self, one: tuple, sides: list[SavedBlock], options: ReplanOptions) -> AbstractPolicy:
        """Of each item of a block the first of some levels, unless later ones are clearly better."""
        tried = [side.levels for side in sides]
        for side in sides:
            tried.append(begin(self._around, self._family, one).continued(side.at, side.raw, side.square).policy())
        tried += [self._search(one, side, options)[0] for side in sides]
        best, judged = tried[0], self._judged(one, tried[0], options)
        for levels in tried[1:]:
            new = self._judged(one, levels, options)
            better = np.asarray(clearly_better(new, judged))
            if better.any():
                best = jax.tree.map(lambda a, b, at=better: np.where(at, np.asarray(b), np.asarray(a)), best, levels)
                judged = self._judged(one, best, options)
        return jax.tree.map(np.asarray, best)

    def _look_up(self, names: list[str]) -> None:
        """Read what the run has saved of some items of a large catalog."""
        if self._tables is None:
            self._levels = replace(self._levels, earlier=read_saved_run(self.run, names))

    def _check_named(self, changes: Mapping[str, pl.DataFrame], names: list[str], form: str) -> None:
        """Items that the run does not have need rows of their own."""
        content = changes.get("items")
        given = set() if content is None or content.width < 2 else set(named_items({"items": content}, form))
        remedy = "correct the id; a new item needs a row in `items`, and in `offers` and `forecast` as in an instance"
        lost = [name for name in names if name not in self._levels.place and name not in given]
        if lost:
            files = ", ".join(changes)
            raise InputError([Problem(files, "", "item_id", name, "an item of the run", remedy) for name in lost])

    def _rows(self, names: list[str]) -> Tables:
        """The rows of some items as the run had them."""
        if self._tables is None:
            return read_item_block(self.folder, names, self.network)
        wanted = pl.Series(names, dtype=pl.String).implode()
        form = self.network.settings.forecast
        frames = {
            name: getattr(self._tables, name).filter(pl.col(item_column(name, form)).is_in(wanted))
            for name in ITEM_TABLES
        }
        return self._tables.replace(**frames)

    def _instance(self, tables: Tables) -> Instance:
        """Arrays of the items, in blocks of one size for a single item and of another for more: compiled once each."""
        many = tables.items.height > 1
        dtype = np.dtype(self.config.precision).type
        if self._shared is None or self._shared[0] is not self._census:
            self._shared = self._census, Shared.of(tables, self._census, dtype)
        instance = build_instance(
            tables,
            block_items=_BLOCK if many else 1,
            dtype=dtype,
            devices=_BLOCKS if many else 1,
            census=self._census,
            shared=self._shared[1],
        )
        if self._known is None or self._known[0] is not self._census:
            self._known, self._shapes = (self._census, self._surroundings(instance)), {}
        return instance

    @property
    def _around(self) -> Surroundings:
        assert self._known is not None  # made with the instance
        return self._known[1]

    def _surroundings(self, instance: Instance) -> Surroundings:
        axes = {**self._days, "resources": instance.ids.resources}
        stationary = self.config.policy.stationary
        declared = self.network.settings.stationary_targets

        def table(found: np.ndarray | None) -> jax.Array:
            return jnp.asarray(prices_of(self._priced, axes, found), instance.resources.capacity.dtype)

        return Surroundings(
            network=self._priced.at_docks(instance.network),
            resources=instance.resources,
            profiles=instance.catalog.profiles,
            prices=table(self._priced.prices),
            list_prices=table(self._priced.list_prices),
            settings=settings_of(self.config, instance),
            stationary=declared if stationary is None else stationary,
        )

    def _live(self, instance: Instance) -> list[tuple[tuple, SavedBlock]]:
        """Blocks that have items, with what the run has of them."""
        numbers = np.flatnonzero(instance.layout.live.any(1)).tolist()
        leaves = [_slice(instance, number) for number in numbers]
        size = instance.layout.item.shape[1]
        if size not in self._shapes:
            self._shapes[size] = eqx.filter_eval_shape(begin, self._around, self._family, leaves[0])
        like = self._shapes[size]
        return [
            (one, self._levels.of_block(instance, number, like)) for number, one in zip(numbers, leaves, strict=True)
        ]

    def _searches(
        self, instance: Instance, options: ReplanOptions, pool: ThreadPoolExecutor
    ) -> list[Future[BlockLevels]]:
        """Search all blocks and judge the run's levels, jobs that wait for nothing, and compare the two."""
        live = self._live(instance)
        new = [pool.submit(self._search, one, old, options) for one, old in live]
        before = [pool.submit(self._judged, one, old.levels, options) for one, old in live]
        # A job begins when those before it have begun, so that waiting for them here cannot block all threads.
        return [
            pool.submit(self._chosen, one, old, pair, options)
            for (one, old), pair in zip(live, zip(before, new, strict=True), strict=True)
        ]

    def _past(self, base: Tables, options: ReplanOptions, pool: ThreadPoolExecutor) -> Iterator[Judged]:
        """Judge the items as they were."""
        return pool.map(
            lambda block: self._judged(block[0], block[1].levels, options), self._live(self._instance(base))
        )

    def _judged(self, one: tuple, levels: AbstractPolicy, options: ReplanOptions) -> Judged:
        return jax.block_until_ready(judge(self._around, one, levels, options.scenarios))

    def _search(self, one: tuple, old: SavedBlock, options: ReplanOptions) -> tuple[AbstractPolicy, Judged]:
        """New levels of a block, and what they are judged to be."""
        around = self._around
        chunks = max(1, self.config.scenarios.train // around.settings.scenarios_per_step)
        now = begin(around, self._family, one).continued(old.at, old.raw, old.square)
        pace = Pace.of(options.steps, now.cost.dtype)
        policy = refine(around, one, now, pace, chunks).policy()
        return policy, self._judged(one, policy, options)

    def _chosen(
        self,
        one: tuple,
        old: SavedBlock,
        found: tuple[Future[Judged], Future[tuple[AbstractPolicy, Judged]]],
        options: ReplanOptions,
    ) -> BlockLevels:
        """Of each item of a block the run's levels, unless the new ones are clearly better."""
        before, (policy, after) = found[0].result(), found[1].result()
        stays = old.known & ~np.asarray(clearly_better(after, before))
        if stays.any():
            policy = jax.tree.map(lambda new, kept: np.where(stays, kept, new), policy, old.levels)
            # Places of the block that hold no item move nothing.
            moves = ~stays & (np.asarray(one[0].live) > 0)
            after = self._judged(one, policy, options) if moves.any() else before
        if options.fresh:
            first = jnp.asarray(options.scenarios, jnp.int32)
            before, after = (judge(self._around, one, levels, options.fresh, first) for levels in (old.levels, policy))
        return BlockLevels(jax.tree.map(np.asarray, policy), before, after, old.known)


def _approximations(config: Config, network: Tables) -> list[str]:
    """What the items of a run share that one of them alone does not see."""
    found, resources = [], network.resources
    held = resources.filter(pl.col("held_in").is_not_null())["resource_id"].unique(maintain_order=True).to_list()
    if held:
        found.append(
            f"{', '.join(held[:3])}{' and others' if len(held) > 3 else ''}: held in a share of the scenarios by all "
            "items together; here items are charged for their mean use at its price, which is an approximation."
        )
    if total_risk_of(config) is not None:
        found.append("The run minimised a risk of the total cost; here items are planned for their mean cost.")
    return found


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def replan(run: Path, changes: Mapping[str, Frame], options: ReplanOptions | None = None) -> Replanned:
    """Plan items again at a run's prices, once; a `Replanner` keeps what is read and compiled for further calls."""
    return Replanner(run).replan(changes, options)


def _used(judged: list[Judged]) -> np.ndarray:
    """Use of every capacity by some blocks."""
    return sum((np.asarray(one.usage.used, float) for one in judged), start=np.zeros(()))


def _slice(instance: Instance, block: int) -> tuple:
    return jax.tree.map(lambda leaf: leaf[block], instance.catalog.per_block())


def _together(policies: list[AbstractPolicy], blocks: int) -> AbstractPolicy:
    """Blocks of levels as one tree, filled up to a number of blocks."""
    filled = [*policies, *[policies[-1]] * (blocks - len(policies))]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *filled)
