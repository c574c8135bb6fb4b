"""Plan a few items again at a finished run's prices, without touching the rest.

At fixed prices every item is a problem of its own, so a changed forecast, stock or cost needs no new solve. What the
changed items use more or less of each capacity is compared with the slack that the run left: where that would move a
price materially, the result says so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from meio_jax.config import Config, load_config
from meio_jax.errors import InputError, Problem
from meio_jax.instance import Instance, build_instance
from meio_jax.instance.census import Census
from meio_jax.plan_policy import policy_frames
from meio_jax.plan_tables import decision_frames
from meio_jax.planner import settings_of
from meio_jax.policy import AbstractPolicy, policy_family
from meio_jax.portable import named_leaves
from meio_jax.refine import Judged, Refining, Surroundings, begin, judge, refine
from meio_jax.tables import ITEM_TABLES, Tables, read_instance, read_item_block, read_network
from meio_jax.tables.overlay import item_column, named_items, overlay
from meio_jax.warm import prices_of, read_earlier

_IN_MEMORY = 200_000
_BLOCK, _BLOCKS = 8, 16


@dataclass(frozen=True)
class ReplanOptions:
    """How long items are searched.

    Attributes:
        steps: Gradient steps, each on the next scenarios of the run's training set.
        scenarios: Holdout scenarios that old and new levels are compared on.
        material: Change in the use of a capacity, as a share of it, that counts as moving its price.
    """

    steps: int = 20
    scenarios: int = 64
    material: float = 0.005


@dataclass(frozen=True)
class Replanned:
    """The new plan of some items.

    Attributes:
        frames: Tables as in a run folder (`plan/targets`, `plan/orders`, `plan/transfers` ...), of these items only.
        items: `item_id`; expected cost with the run's levels and with the new ones, capacity charges included
            (`cost_before`, null for an item that the run does not have, and `cost_after`).
        usage: Change in the use of every capacity: `resource_id`, `kind`, `bucket`, `price`, `use` of the capacity in
            the run, and `change`, both as shares of the capacity.
        warnings: A line for every price that would move materially.
        seconds: Time that the call took.
    """

    frames: dict[str, pl.DataFrame]
    items: pl.DataFrame
    usage: pl.DataFrame
    warnings: list[str]
    seconds: float


@dataclass(frozen=True)
class _Block:
    """Levels of a block in units, and what they were judged to be: the run's levels, and those kept."""

    policy: AbstractPolicy
    before: Judged
    after: Judged
    known: np.ndarray


class Replanner:
    """Holds the network, prices and levels of a run, and the compiled programs, for one call after the other.

    Args:
        run: Folder of a finished run.

    Raises:
        InputError: If the folder is no finished run, or its instance is gone.
    """

    def __init__(self, run: Path) -> None:
        for name in ("config.yaml", "census.json", "instance.json", "prices.parquet"):
            if not (run / name).exists():
                problem = Problem(str(run / name), "", "", None, "a file of a finished run", "give the folder of a run")
                raise InputError([problem])
        self.config: Config = load_config(run / "config.yaml")
        self.folder = Path(json.loads((run / "instance.json").read_text(encoding="utf-8"))["path"])
        self.network = read_network(self.folder)
        self._census = Census.from_dict(json.loads((run / "census.json").read_text(encoding="utf-8")))
        self._tables = read_instance(self.folder) if self._census.items <= _IN_MEMORY else None
        self._earlier = read_earlier(run)
        self._place = {name: at for at, name in enumerate(self._earlier.saved.basis.items)}
        self._prices = pl.read_parquet(run / "prices.parquet")
        self._family = policy_family(self.config.policy.name, self.config.policy.protection)
        self._around: Surroundings | None = None

    def replan(self, changes: Mapping[str, pl.DataFrame], options: ReplanOptions | None = None) -> Replanned:
        """New targets, orders and transfers of the items that the tables name.

        Args:
            changes: Tables `items`, `offers`, `forecast`, `on_hand`, `on_order` that changed, each with all rows of the
                items that it names (a table of item ids only names items and changes nothing). Columns of `items` and
                `offers` may be left out.
            options: Length of the search.

        Raises:
            InputError: With all problems of the tables.
        """
        started = time.perf_counter()
        options = ReplanOptions() if options is None else options
        form = self.network.settings.forecast
        names = named_items(changes, form)
        if not names:
            remedy = "name the items in the column `item_id`"
            raise InputError([Problem(", ".join(changes), "", "item_id", None, "at least one item", remedy)])
        base = self._rows([name for name in names if name in self._place])
        content = {name: frame for name, frame in changes.items() if frame.columns != [item_column(name, form)]}
        after = overlay(self.network, base, content) if content else base
        instance = self._instance(after)
        blocks = self._each(instance, lambda block: self._search(instance, block, options))
        used = sum(np.asarray(block.after.usage.used, float) for block in blocks)
        before = used if base.items.is_empty() else self._used(base, blocks, content, options)
        policy = _together([block.policy for block in blocks], instance.layout.blocks)
        usage = self._usage(instance, np.asarray(used - (0 if base.items.is_empty() else before)))
        return Replanned(
            frames={**dict(policy_frames(instance, policy)), **dict(decision_frames(instance, policy))},
            items=_costs(instance, blocks),
            usage=usage,
            warnings=_warnings(usage, options.material),
            seconds=time.perf_counter() - started,
        )

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
        instance = build_instance(
            tables,
            block_items=_BLOCK if many else 1,
            dtype=np.dtype(self.config.precision).type,
            devices=_BLOCKS if many else 1,
            census=self._census,
        )
        if self._around is None:
            self._around = self._surroundings(instance)
        return instance

    def _surroundings(self, instance: Instance) -> Surroundings:
        axes = {**self._earlier.axes, "resources": instance.ids.resources}
        stationary = self.config.policy.stationary
        declared = self.network.settings.stationary_targets

        def table(name: str) -> jax.Array:
            return jnp.asarray(prices_of(self._earlier, axes, name), instance.resources.capacity.dtype)

        return Surroundings(
            network=instance.network,
            resources=instance.resources,
            profiles=instance.catalog.profiles,
            prices=table("dual.price"),
            list_prices=table("best.list_prices"),
            settings=settings_of(self.config, instance),
            stationary=declared if stationary is None else stationary,
        )

    def _each(self, instance: Instance, work: Any) -> list[Any]:
        """Do something for every block that has items, on all cores."""
        blocks = np.flatnonzero(instance.layout.live.any(1))
        if blocks.size == 1:
            return [work(blocks[0])]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(work, blocks))

    def _levels(self, instance: Instance, block: int, now: Refining) -> tuple[Refining, AbstractPolicy, np.ndarray]:
        """The search at the run's levels (per unit of the scale), those levels in units, and which items have any."""
        names = [instance.items[item] for item in instance.layout.item[block]]
        at = np.asarray([self._place.get(name, -1) for name in names])
        saved, units = self._earlier.saved.arrays, self._earlier.saved.basis.units
        raw, plain = [], []
        for (name, fresh), scale in zip(named_leaves(now.raw).items(), jax.tree.leaves(now.scale), strict=True):
            old, fresh, scale = saved.get(f"best.raw.{name}"), np.asarray(fresh), np.asarray(scale)
            # Shares follow vendors, whose rank at a node may have changed: they start anew.
            if old is None or old.shape[:-1] != fresh.shape[:-1] or name.endswith("source_weight"):
                raw.append(fresh)
                plain.append(fresh * scale)
            else:
                own, unit = old[..., np.maximum(at, 0)], units[f"scale.{name}"][..., np.maximum(at, 0)]
                raw.append(np.where(at >= 0, own, fresh))
                plain.append(np.where(at >= 0, own * unit, fresh * scale))
        tree = jax.tree.structure(now.raw)
        return now.moved(jax.tree.unflatten(tree, raw)), jax.tree.unflatten(tree, plain), at >= 0

    def _search(self, instance: Instance, block: int, options: ReplanOptions) -> _Block:
        """Search a block, and keep of each item the better of the run's levels and the new ones."""
        around, one = self._around, _slice(instance, block)
        assert around is not None  # made with the instance
        chunks = max(1, self.config.scenarios.train // around.settings.scenarios_per_step)
        now, old, known = self._levels(instance, block, begin(around, self._family, one, options.steps))
        before = judge(around, one, old, options.scenarios)
        for _ in range(options.steps):
            now = refine(around, one, now, options.steps, chunks)
        policy = now.policy()
        after = judge(around, one, policy, options.scenarios)
        worse = known & (np.asarray(after.cost + after.charge) > np.asarray(before.cost + before.charge))
        if worse.any():
            policy = jax.tree.map(lambda new, kept: np.where(worse, kept, new), policy, old)
            after = before if worse.all() else judge(around, one, policy, options.scenarios)
        return _Block(jax.tree.map(np.asarray, policy), before, after, known)

    def _used(
        self, base: Tables, blocks: list[_Block], content: Mapping[str, pl.DataFrame], options: ReplanOptions
    ) -> np.ndarray:
        """What the items used of every capacity as the run had them."""
        if not content:
            return sum(np.asarray(block.before.usage.used, float) for block in blocks)  # type: ignore[return-value]
        instance, around = self._instance(base), self._around
        assert around is not None  # made with the instance

        def each(block: int) -> np.ndarray:
            one = _slice(instance, block)
            _, old, _ = self._levels(instance, block, begin(around, self._family, one, options.steps))
            return np.asarray(judge(around, one, old, options.scenarios).usage.used, float)

        return sum(self._each(instance, each))  # type: ignore[return-value]

    def _usage(self, instance: Instance, change: np.ndarray) -> pl.DataFrame:
        """Use of every capacity in the run, and its change."""
        resources, ids = instance.resources, instance.ids
        capacity = np.asarray(resources.capacity, float)
        share = np.where(capacity > 0, change / np.where(capacity > 0, capacity, 1), 0)
        bucket, column = np.nonzero(np.asarray(resources.present) & ~np.asarray(resources.is_service))
        frame = pl.DataFrame(
            {
                "resource_id": np.asarray(ids.resources, dtype=object)[column].tolist(),
                "bucket": bucket,
                "change": share[bucket, column],
            },
            schema_overrides={"resource_id": pl.String},
        )
        use = (pl.col("usage") / pl.col("capacity")).alias("use")
        return frame.join(
            self._prices.select("resource_id", "bucket", "kind", "price", use),
            on=["resource_id", "bucket"],
            how="left",
            maintain_order="left",
        )


def replan(run: Path, changes: Mapping[str, pl.DataFrame], options: ReplanOptions | None = None) -> Replanned:
    """Plan items again at a run's prices, once; `Replanner` keeps what is read and compiled for further calls."""
    return Replanner(run).replan(changes, options)


def _slice(instance: Instance, block: int) -> tuple:
    return jax.tree.map(lambda leaf: leaf[block], instance.catalog.per_block())


def _together(policies: list[AbstractPolicy], blocks: int) -> AbstractPolicy:
    """Blocks of levels as one tree, filled up to a number of blocks."""
    filled = [*policies, *[policies[-1]] * (blocks - len(policies))]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *filled)


def _costs(instance: Instance, blocks: list[_Block]) -> pl.DataFrame:
    """Expected cost of every item with its capacity charges, before and after."""
    before, after, rows = [], [], []
    for number, block in enumerate(blocks):
        live = instance.layout.live[number] > 0
        rows += [instance.items[item] for item in instance.layout.item[number][live]]
        was, now = (np.asarray(one.cost + one.charge, float)[live] for one in (block.before, block.after))
        before += [float(value) if known else None for value, known in zip(was, block.known[live], strict=True)]
        after += now.tolist()
    columns = {"item_id": rows, "cost_before": before, "cost_after": after}
    return pl.DataFrame(columns, schema={"item_id": pl.String, "cost_before": pl.Float64, "cost_after": pl.Float64})


def _warnings(usage: pl.DataFrame, material: float) -> list[str]:
    """Prices that the change would move: of capacities in full use that are used more, or priced ones used less."""
    rises = (pl.col("change") > material) & (pl.col("use") + pl.col("change") > 1)
    falls = (pl.col("change") < -material) & (pl.col("price") > 0)
    return [
        f"{row['resource_id']}, bucket {row['bucket']}: these items use {abs(row['change']):.2%} of the capacity "
        f"{'more' if row['change'] > 0 else 'less'} than in the run, which uses {row['use']:.1%} of it: its price "
        f"({row['price']:.4g}) would {'rise' if row['change'] > 0 else 'fall'}; a warm-started solve finds the new one"
        for row in usage.filter(rises | falls).sort("change", descending=True).iter_rows(named=True)
    ]
