"""What each override costs: its item with all its overrides, and with all but this one, at the prices of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jaxtyping import Array, Float

from meio_jax.config.settings import Config
from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.instance import Instance, Shared, build_instance
from meio_jax.model.catalog import draw
from meio_jax.model.resources import item_charge
from meio_jax.plans.decisions import joined
from meio_jax.plans.overrides import Effect, override_frame
from meio_jax.policy import AbstractPolicy
from meio_jax.policy.registry import PolicyFamily
from meio_jax.progress import AbstractProgress
from meio_jax.scenarios.sampling import HOLDOUT, VALIDATION
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.refine import Pace, Surroundings, begin, clearly_better, judge, refine
from meio_jax.solver.subproblem import block_lists, reported_costs
from meio_jax.tables import ITEM_TABLES, Tables
from meio_jax.tables.overlay import item_column
from meio_jax.tables.overrides import IN_FORCE, with_status

# Items that are priced together, gradient steps of each search, and scenarios that levels are compared on.
_BLOCK, _STEPS, _COMPARED = 8, 20, 64


class Seen(eqx.Module):
    """Objective with capacity charges, mean stock, and units ordered of every source, of the reported horizon."""

    cost: Float[Array, " items"]
    stock: Float[Array, "nodes items"]
    ordered: Float[Array, "sources items"]


@kept_jit
def see(around: Surroundings, one: tuple, policy: AbstractPolicy, scenarios: int) -> Seen:
    """A block at levels in units, on so many holdout scenarios and in whole orders.

    Args:
        around: Network, capacities and prices.
        one: A block, as `Catalog.per_block` gives it, without its leading axis.
        policy: The levels.
        scenarios: How many.
    """
    block, settings = one[0], around.settings
    drawn = draw(settings.scenarios, around.profiles, one, jnp.arange(scenarios, dtype=jnp.int32), HOLDOUT)
    lists = block_lists(around.network, around.resources, settings, block, around.list_prices)
    outcome = rollout(around.network, policy, block, drawn, lists, form=settings.form, whole=True, tail=False)
    cost = block.live * settings.objective(reported_costs(block, outcome))
    flows = outcome.flows
    return Seen(
        cost + item_charge(around.resources, flows, block, around.prices),
        jnp.sum(flows.stock, axis=0) / jnp.maximum(jnp.sum(around.network.charged), 1),
        jnp.concatenate([jnp.sum(flows.offer, axis=0), jnp.sum(flows.lane, axis=0)]),
    )


@dataclass(frozen=True)
class Pricing:
    """A part of a catalog, its plan, and the prices at which its overrides are judged."""

    config: Config
    instance: Instance
    policy: AbstractPolicy
    family: PolicyFamily
    around: Surroundings
    progress: AbstractProgress

    def frame(self, *, failed: bool = False) -> pl.DataFrame:
        """The table `plan/overrides`; without costs where the search failed."""
        tables = self.instance.tables
        rows = with_status(tables.overrides, tables.settings)
        effects = {} if failed else self._effects(rows.filter(pl.col("status") == IN_FORCE))
        return override_frame(self.instance, rows, effects)

    def _effects(self, rows: pl.DataFrame) -> dict[str, Effect]:
        """What every override in force changes, by its id."""
        if rows.is_empty():
            return {}
        self.progress.stage("cost of the overrides")
        numbered = rows.with_columns(pl.int_range(pl.len()).over("item_id").alias("__number"))
        overrides, names = self.instance.tables.overrides, rows["item_id"].unique(maintain_order=True).to_list()
        given = self._judged(names, overrides)
        effects: dict[str, Effect] = {}
        for (_,), own in numbered.group_by("__number", maintain_order=True):
            left = overrides.filter(~pl.col("override_id").is_in(own["override_id"].implode()))
            items = own["item_id"].to_list()
            without = self._judged(items, left)
            for name, item in zip(own["override_id"].to_list(), items, strict=True):
                effects[name] = Effect.between(given[item], without[item])
        return effects

    def _judged(self, names: Sequence[str], overrides: pl.DataFrame) -> dict[str, tuple[float, np.ndarray, np.ndarray]]:
        """Cost, stock and orders of items under these overrides, at the levels that suit them best."""
        made = self._instance(names, overrides)
        levels = self._levels(made)
        found = {}
        for number in np.flatnonzero(made.layout.live.any(1)).tolist():
            self.progress.check()
            one, own = jax.tree.map(lambda leaf, at=number: leaf[at], (made.catalog.per_block(), levels))
            seen = see(self.around, one, self._best(one, own), self.config.scenarios.holdout)
            for at in np.flatnonzero(made.layout.live[number]).tolist():
                leaves = (np.asarray(leaf, float)[..., at] for leaf in (seen.cost, seen.stock, seen.ordered))
                cost, stock, ordered = leaves
                found[made.items[made.layout.item[number][at]]] = (float(cost), stock, ordered)
        return found

    def _best(self, one: tuple, levels: AbstractPolicy) -> AbstractPolicy:
        """The plan's levels, unless those that a search finds from there, or from nothing, are clearly better."""
        around = self.around
        chunks = max(1, self.config.scenarios.train // around.settings.scenarios_per_step)
        start = begin(around, self.family, one)
        pace = Pace.of(_STEPS, start.cost.dtype)
        safe = lambda level, unit: jnp.where(unit > 0, level / jnp.where(unit > 0, unit, 1), 0)
        raw = jax.tree.map(safe, levels, start.scale)
        known = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), raw)
        from_plan = start.continued(known, raw, jax.tree.map(jnp.zeros_like, raw))
        judged = lambda policy: judge(around, one, policy, _COMPARED, 0, VALIDATION)
        best, before = levels, judged(levels)
        for now in (from_plan, start):
            tried = refine(around, one, now, pace, chunks).policy()
            better = clearly_better(judged(tried), before)
            best = jax.tree.map(lambda new, old, at=better: jnp.where(at, new, old), tried, best)
            before = judged(best)
        return best

    def _instance(self, names: Sequence[str], overrides: pl.DataFrame) -> Instance:
        """Some items in arrays of the shapes of the catalog."""
        whole = self.instance
        shared = Shared(whole.ids, whole.network, whole.resources, np.asarray(whole.catalog.profiles), whole.kinds)
        return build_instance(
            _rows(whole.tables.replace(overrides=overrides), names),
            # However few they are: all sets of items are simulated by the same programs.
            block_items=_BLOCK,
            dtype=np.dtype(self.config.precision).type,
            census=whole.census,
            shared=shared,
        )

    def _levels(self, made: Instance) -> AbstractPolicy:
        """The plan's levels of the items, in the blocks of `made`."""
        at = {name: number for number, name in enumerate(self.instance.items)}
        own = [at[name] for name in made.items]
        moved = lambda leaf: jnp.asarray(made.layout.cut(joined(self.instance, leaf)[..., own]))
        return jax.tree.map(moved, self.policy)


def _rows(tables: Tables, names: Sequence[str]) -> Tables:
    """The rows of some items."""
    wanted, form = pl.Series(names, dtype=pl.String).implode(), tables.settings.forecast
    frames = tables.frames()
    return tables.replace(
        **{name: frames[name].filter(pl.col(item_column(name, form)).is_in(wanted)) for name in ITEM_TABLES}
    )
