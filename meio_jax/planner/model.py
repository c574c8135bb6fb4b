"""What a search is made of: the instance in arrays, its item problems, the dual method and the limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from meio_jax.config.settings import Config
from meio_jax.config.values import Values, total_risk_of
from meio_jax.distributed.compile_cache import drop_programs_if_many
from meio_jax.distributed.sharding import item_mesh, local_devices
from meio_jax.dual import BestSoFar, Tolerances
from meio_jax.instance import KINDS, Instance, build_instance
from meio_jax.instance.blocks import Layout
from meio_jax.instance.census import Gather, alone
from meio_jax.objective import AbstractObjective
from meio_jax.planner.block_size import Device, blocks_together, items_per_block, this_device
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios.sampling import ScenarioSettings
from meio_jax.simulation.gradients import GRADIENT_MODES
from meio_jax.solver.file_store import FileStore
from meio_jax.solver.first_levels import Start, first_levels, in_units
from meio_jax.solver.optimiser import SearchOptions
from meio_jax.solver.price_scale import price_ceiling
from meio_jax.solver.problem import Built, Training, build_problem
from meio_jax.solver.solve import Limits
from meio_jax.solver.store import AbstractInventoryStore, MemoryStore
from meio_jax.solver.subproblem import InventorySubproblem, Settings
from meio_jax.tables import Tables
from meio_jax.tables.periods import PERIODS_PER_CYCLE

_DENSE_UP_TO_NODES = 4


# With fewer items a unit more or less is a step that prices cannot halve: they follow usage in fractions of units. And
# one item that exceeds a capacity would bound the safety stock of all that do not use it.
MANY_ITEMS = 100


@dataclass(frozen=True)
class Model:
    """A catalog made ready to solve under a configuration.

    `instance` is the catalog, or its first part where the store has several: what all parts share is in each.
    `instances` gives the arrays of every part in turn, and `layouts` how its items are cut into blocks.
    """

    config: Config
    instance: Instance
    store: AbstractInventoryStore
    method: BestSoFar
    limits: Limits
    values: Values
    instances: Callable[[], Iterable[Instance]]
    layouts: Callable[[], Iterable[Layout]]

    @property
    def problem(self) -> InventorySubproblem:
        """The item problems, of one part where there are several."""
        return self.store.problem

    @property
    def given(self) -> AbstractInventoryStore:
        """The items with the capacities as the user gave them (no margin)."""
        return self.store.given(self.instance.resources)

    @property
    def streamed(self) -> bool:
        """Whether the items pass in parts, from files."""
        return isinstance(self.store, FileStore)

    @property
    def stationary(self) -> bool:
        """Whether one target holds for all buckets."""
        chosen = self.values.policy.stationary
        return self.instance.tables.settings.stationary_targets if chosen is None else chosen

    @property
    def kind_of(self) -> jax.Array:
        return jnp.asarray(self.instance.kinds)


def assignment_form(wanted: str, nodes: int, device: Device | None = None) -> str:
    """Sparse rows on a CPU or a GPU, and elsewhere dense products for tiny networks.

    The fused form launches a quarter of the kernels on a GPU and moves half of the bytes, and yet takes longer: its
    loops wait for memory once a class (measured on an H100, docs/performance.md).
    """
    kind = (this_device() if device is None else device).kind
    if wanted != "auto":
        return wanted
    return "dense" if nodes <= _DENSE_UP_TO_NODES and kind not in ("cpu", "gpu") else "sparse"


def _stored(instance: Instance, config: Config) -> bool:
    network, layout = instance.network, instance.layout
    classes = network.waves * network.speeds * network.regions
    rows = classes + network.offers + network.lanes
    size = layout.item.size * config.scenarios.train * network.horizon * rows * 4
    return size <= config.scenarios.store_gib * 2**30


def per_step(config: Config) -> int:
    """Scenarios that one step simulates."""
    return min(config.scenarios.per_step, config.scenarios.train)


def early_scenarios(config: Config) -> int:
    """Scenarios that a step simulates while a search from nothing is far: as configured, in whole parts of a step."""
    all_of_them = per_step(config)
    return math.gcd(min(config.scenarios.early or all_of_them, all_of_them), all_of_them)


def settings_of(
    config: Config, instance: Instance, objective: AbstractObjective | None = None, device: Device | None = None
) -> Settings:
    """The static choices of the item problems.

    The objective is that of the configuration unless it is given, the device that of this process.
    """
    declared = instance.tables.settings
    return Settings(
        objective=Values.of(config).objective if objective is None else objective,
        scenarios=ScenarioSettings(
            periods=instance.network.horizon,
            seed=config.seed,
            shared_factor_cv=declared.shared_factor_cv,
            factor_periods=PERIODS_PER_CYCLE[declared.period],
            world_factor_cv=declared.world_factor_cv,
            world_factor_persistence=declared.world_factor_persistence,
        ),
        rounds=min(config.fulfilment.rounds, instance.network.nodes),
        tiers=min(config.fulfilment.tiers, len(instance.ids.regions)),
        form=assignment_form(config.fulfilment.form, instance.network.nodes, device),
        gradient=GRADIENT_MODES[config.solve.gradient],
        dither=config.fulfilment.dither,
        damping=config.fulfilment.damping,
        scenarios_per_step=per_step(config),
        whole_usage=instance.census.items >= MANY_ITEMS,
        by_value=config.fulfilment.by == "value",
        together=blocks_together(device),
        risk=total_risk_of(config),
    )


def prepare(
    tables: Tables,
    config: Config,
    *,
    start_prices: Callable[[Instance], np.ndarray] | None = None,
    values: Values | None = None,
    gather: Gather = alone,
) -> Model:
    """Build arrays, starting levels and the dual method.

    Args:
        tables: A validated instance.
        config: The configuration; `precision: float64` must be switched on in JAX before (the command line does it).
        values: Policy, objective and dual method; None: those that the configuration names.
        start_prices: Prices `[buckets, resources]` at which the starting levels are set; None: zero.
        gather: How counts of all processes come together, where the tables hold a part of the catalog only.

    Returns:
        What `search` and `certify` take.

    Example:
        >>> model = prepare(tables, config)
        >>> model.instance.items
        ['kettle', 'toaster']
    """
    mesh = item_mesh(config.solve.devices)
    values = Values.of(config) if values is None else values
    instance = build_instance(
        tables,
        block_items=items_per_block(tables, config, per_step(config)),
        bands=config.fulfilment.weight_bands,
        dtype=np.dtype(config.precision).type,
        devices=local_devices(mesh),
        together=blocks_together(),
        gather=gather,
    )
    built = built_from(instance, config, mesh, values)
    if start_prices is not None:
        problem = built.at_prices(jnp.asarray(start_prices(instance), config.precision))
    elif instance.census.items >= MANY_ITEMS:
        problem = built.within_capacities(jnp.asarray(instance.kinds))
    else:
        problem = built.problem
    return model_of(problem, instance, config, values)


def start_of(config: Config, instance: Instance, values: Values) -> Start:
    """Newsvendor levels of the policy that is decided, and how they are evaluated."""
    stationary = values.policy.stationary
    return Start(
        settings_of(config, instance, values.objective),
        values.policy.family,
        stationary=instance.tables.settings.stationary_targets if stationary is None else stationary,
    )


def newsvendor_at(
    model: Model, problem: InventorySubproblem, prices: Float[Array, "buckets resources"]
) -> AbstractPolicy:
    """Newsvendor levels of the items of a part at these prices, in units of its scale."""
    start = start_of(model.config, model.instance, model.values)
    items = (problem.network, problem.catalog)
    _, levels = first_levels(start, model.instance.resources, items, problem.mesh, prices)
    return in_units(levels.policy, problem.scale)


def built_from(instance: Instance, config: Config, mesh: Mesh | None, values: Values) -> Built:
    """The item problems of an instance in arrays, at newsvendor levels that know no prices and no capacities.

    Args:
        instance: The catalog, or a part of it.
        config: The configuration.
        mesh: Devices that share the items.
        values: Policy, objective and dual method.
    """
    drop_programs_if_many()
    options = config.solve
    return build_problem(
        instance.network,
        instance.resources,
        instance.catalog,
        start_of(config, instance, values),
        Training(config.scenarios.train, store=_stored(instance, config)),
        SearchOptions(options.learning_rate, options.final_learning_rate, min(options.decay_steps, options.max_steps)),
        margin=options.capacity_margin,
        mesh=mesh,
    )


def model_of(problem: InventorySubproblem, instance: Instance, config: Config, values: Values) -> Model:
    """Item problems with the dual method and the limits of their search."""
    options = config.solve
    # Prices are averaged as well as plans, and the gap of the mean is a little larger than the mean gap.
    gap = options.gap / 2
    tolerances = Tolerances(options.violation, gap, options.change)
    averaging = options.averaging if config.scenarios.train > per_step(config) else 1
    method = BestSoFar(
        values.dual,
        options.violation,
        averaging,
        gap,
        options.price_gain,
        options.floor_scale,
        price_ceiling(instance.resources, instance.census.worth),
    )
    kinds = tuple(KINDS[kind] for kind in instance.kinds)
    limits = Limits(options.max_steps, options.min_steps, options.check_every, tolerances, kinds)
    store, parts, layouts = MemoryStore(problem), lambda: [instance], lambda: [instance.layout]
    return Model(config, instance, store, method, limits, values, parts, layouts)
