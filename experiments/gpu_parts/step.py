"""The joint step as programs over shapes: nothing is simulated, and no array of the catalog's size is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.config import Config, load_config, make_config
from meio_jax.config.values import Values
from meio_jax.dual import BestSoFar
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.instance import Instance, build_instance
from meio_jax.model.catalog import Catalog
from meio_jax.planner import Device, settings_of
from meio_jax.solver.first_levels import Start
from meio_jax.solver.optimiser import SearchOptions
from meio_jax.solver.problem import Training, build_problem
from meio_jax.solver.solve import _moment, initial_state, shared_step
from meio_jax.solver.store import MemoryStore, part_step
from meio_jax.solver.subproblem import InventorySubproblem, Totals
from meio_jax.tables import Tables, read_instance

_FEW = 48


@dataclass(frozen=True)
class Size:
    """A catalog whose step is compiled: of a named configuration with its instance, or generated.

    `nodes` are numbers of (dc, fc, same-day) nodes.
    """

    name: str
    items: int
    config: str | None = None
    nodes: tuple[int, int, int] = (5, 30, 15)
    regions: int = 100
    speeds: int = 3
    waves: int = 1
    periods: int = 42
    overrides: tuple[tuple[str, Any], ...] = ()

    def tables(self, folder: Path | None) -> Tables:
        """The instance of a named configuration in `folder`, or a few generated items of the network."""
        if folder is not None:
            return read_instance(folder)
        options = GenerateOptions(
            items=_FEW, nodes_per_tier=self.nodes, regions=self.regions, speeds=self.speeds, waves=self.waves,
            periods=self.periods, vendors=20,
        )  # fmt: skip
        with TemporaryDirectory() as made:
            return read_instance(generate_instance(options, Path(made)))


def config_of(size: Size, home: Path) -> Config:
    """The configuration of a size, on one device; its scenarios are drawn as they are needed."""
    base = {} if size.config is None else load_config(home / size.config).model_dump(exclude_unset=True)
    for part, values in size.overrides:
        base[part] = {**base.get(part, {}), **values}
    base["solve"] = {**base.get("solve", {}), "devices": 1}
    # The form whose launches are to become few (the default of a GPU is the faster one as it stands).
    base["fulfilment"] = {"form": "fused", **base.get("fulfilment", {})}
    return make_config(**base)


def _cut(tables: Tables, config: Config, block_items: int) -> Instance:
    return build_instance(tables, block_items=block_items, bands=config.fulfilment.weight_bands)


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def grown(tables: Tables, config: Config, blocks: int, block_items: int) -> tuple[Instance, Catalog]:
    """A catalog of few items, and the shapes of one of the same kind with this many blocks of this many items.

    Which axes are those of items is seen from the few items in blocks of two sizes.
    """
    one, other = _cut(tables, config, 2), _cut(tables, config, 3)

    def shape(first: Any, second: Any) -> jax.ShapeDtypeStruct:
        if first.shape == second.shape:
            return jax.ShapeDtypeStruct(first.shape, first.dtype)
        pairs = zip(first.shape[1:], second.shape[1:], strict=True)
        inner = (a if a == b else block_items for a, b in pairs)
        return jax.ShapeDtypeStruct((blocks, *inner), first.dtype)

    return one, jax.tree.map(shape, one.catalog, other.catalog)


def problem_of(instance: Instance, catalog: Catalog, config: Config, device: Device) -> InventorySubproblem:
    """The item problems in shapes, as they are on a device."""
    values = Values.of(config)
    options = config.solve

    def build(network: Any, resources: Any, catalog: Any) -> InventorySubproblem:
        start = Start(
            settings_of(config, instance, values.objective, device),
            values.policy.family,
            stationary=instance.tables.settings.stationary_targets,
        )
        search = SearchOptions(options.learning_rate, options.final_learning_rate, options.max_steps)
        training = Training(config.scenarios.train, store=False)
        return build_problem(network, resources, catalog, start, training, search).problem

    return eqx.filter_eval_shape(build, _shapes(instance.network), _shapes(instance.resources), _shapes(catalog))


def programs(problem: InventorySubproblem, config: Config, kinds: np.ndarray) -> dict[str, tuple[Callable, Any]]:
    """The compiled parts of a joint step by name, as functions and the shapes that they take."""
    values, options = Values.of(config), config.solve
    gap = options.gap / 2
    method = BestSoFar(values.dual, options.violation, options.averaging, gap, options.price_gain, options.floor_scale)
    state = eqx.filter_eval_shape(lambda problem: initial_state(MemoryStore(problem), method), problem)
    at = eqx.filter_eval_shape(lambda shared: _moment(method, problem.settings.damping, shared), state.shared)
    totals = eqx.filter_eval_shape(lambda res: Totals.zeros(res, jnp.float32), problem.resources)
    kind = jax.ShapeDtypeStruct(kinds.shape, jnp.int32)
    return {
        "prices": (lambda shared: _moment(method, problem.settings.damping, shared), (state.shared,)),
        "items": (lambda *given: part_step(*given), (problem, state.items, at)),
        "capacities": (
            lambda res, kind, shared, at, totals: shared_step(res, method, kind, shared, at, totals),
            (problem.resources, kind, state.shared, at, totals),
        ),
    }


def lowered(function: Callable, shapes: Any, sharding: Any) -> Any:
    """A program lowered for the device of a sharding."""
    is_shape = lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)
    arrays, static = eqx.partition(shapes, is_shape)
    placed = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), arrays, is_leaf=is_shape
    )
    return jax.jit(lambda given: eqx.filter(function(*eqx.combine(given, static)), eqx.is_array)).lower(placed)
