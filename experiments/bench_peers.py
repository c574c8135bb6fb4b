"""Question: how fast are we next to the ways in which such simulations are otherwise run?

    python experiments/bench_peers.py --out experiments/results/bench_peers.json

Two textbook systems, each simulated by everybody with the same order-up-to levels on the same demand:

* `single store`: one store, lead time 4, Poisson demand of mean 5;
* `serial`: three stages in a row, lead times 2, 1 and 2, echelon order-up-to levels, backorders at the store.

*PyTorch* is a rollout over a batch of scenarios written below the way such rollouts are written, one tensor operation
at a time (eager), with its gradient by the levels, and the same under `torch.compile`. *stockpyl* simulates one path
at a time in Python, as its users run it; it has backorders only, so the single store is simulated with backorders for
it and with lost sales for PyTorch. *Ours* is the planner's rollout of the instance, every cost term and flow included.

Everything runs on one core; processor time per scenario and period is counted, compilation left out. The costs of all
must agree on the same paths.
"""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before the libraries count the cores

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import typer
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config import make_config
from meio_jax.planner import prepare
from meio_jax.policy import policy_family
from meio_jax.scenarios import Scenarios
from meio_jax.simulation.gradients import GRADIENT_MODES
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import block_lists
from meio_jax.tables import InstanceSettings, Tables

try:
    import torch
except ImportError:
    torch = None  # the ratios to PyTorch are then left out, and the program says so
try:
    from stockpyl.sim import simulation
    from stockpyl.supply_chain_network import network_from_edges, single_stage_system
except ImportError:
    simulation = None

PERIODS = 60
AGREEMENT = 1e-4


@dataclass(frozen=True)
class System:
    """Stages from the vendor (first) to the store (last); `level` are levels of the stage and all below it."""

    name: str
    lead: tuple[int, ...]
    level: tuple[float, ...]
    holding: tuple[float, ...]
    penalty: float
    lost: bool
    mean: float = 5.0

    @property
    def start(self) -> tuple[float, ...]:
        """Stock at the start: each stage its own part of the level."""
        return tuple(own - below for own, below in zip(self.level, (*self.level[1:], 0.0), strict=True))


SYSTEMS = (
    System("single store, lost sales", (4,), (26.0,), (1.0,), 9.0, lost=True),
    System("single store, backorders", (4,), (26.0,), (1.0,), 9.0, lost=False),
    System("serial, 3 stages", (2, 1, 2), (39.0, 24.0, 18.0), (1.0, 2.0, 4.0), 37.0, lost=False),
)


# ----------------------------------------------------------------------------------------------------- ours


def tables(system: System) -> Tables:
    """The system as an instance."""
    names = [f"node-{k}" for k in range(len(system.lead))]
    store = names[-1]
    frames: dict[str, dict] = {
        "items": {
            "item_id": ["item"], "volume_m3": [1.0], "weight_kg": [1.0], "price": [0.0], "unit_cost": [0.0],
            "holding_cost": [1.0], "lost_sale_cost": [system.penalty * system.lost],
            "backorder_cost": [system.penalty * (not system.lost)],
            "unmet": ["lost" if system.lost else "backorder"], "profile": ["all"],
        },
        "nodes": {"node_id": names, "kind": ["dc"] * (len(names) - 1) + ["fc"], "holding_factor": list(system.holding)},
        "regions": {"region_id": [store]},
        "speeds": {"speed_id": ["any"], "promise_days": [1], "deliver_by_hour": [24.0]},
        "transit": {"node_id": [store], "region_id": [store], "hours": [1.0], "cost_per_unit": [0.0]},
        "cutoffs": {"node_id": [store], "speed_id": ["any"], "cutoff_hour": [24.0]},
        "shares": {"profile": ["all"], "region_id": [store], "speed_id": ["any"], "wave": [0], "share": [1.0]},
        "offers": {"item_id": ["item"], "vendor_id": ["vendor"], "node_id": names[:1], "unit_cost": [0.0],
                   "lead_time_mean": [float(system.lead[0])]},
        "on_hand": {"item_id": ["item"] * len(names), "node_id": names, "units": list(system.start)},
        "forecast": {"item_id": ["item"] * PERIODS, "period": list(range(PERIODS)), "mean": [system.mean] * PERIODS},
    }  # fmt: skip
    if len(names) > 1:
        frames["lanes"] = {"from_node": names[:-1], "to_node": names[1:], "lead_time": list(system.lead[1:])}
    settings = InstanceSettings(
        name=system.name, start_date=datetime.date(2025, 1, 6), periods=PERIODS, bucket_periods=PERIODS,
        wave_ends=(24.0,), forecast="mean", terminal_credit=0.0, stationary_targets=True,
        ordering="evening", terminal="liquidate",
    )  # fmt: skip
    return Tables.from_frames(settings, **{name: pl.DataFrame(columns) for name, columns in frames.items()})


def ours(system: System, demand: np.ndarray, mode: str) -> dict[str, Callable[[], Any]]:
    """The planner's rollout on `demand [periods, batch]`, forward and with gradient."""
    batch = demand.shape[1]
    config = make_config(scenarios={"train": batch, "per_step": batch, "store_gib": 0.0}, solve={"devices": 1})
    problem = prepare(tables(system), config).problem
    block = jax.tree.map(lambda leaf: leaf[0], problem.catalog.block)
    lists = block_lists(problem.network, problem.resources, problem.settings, block, problem.zero_prices())
    network = problem.network
    paths = Scenarios(
        demand=jnp.asarray(demand, jnp.float32)[:, None, None, None],
        vendor_lead=jnp.full((PERIODS, 1, batch), system.lead[0], jnp.int32),
        lane_lead=jnp.asarray(system.lead[1:], jnp.int32),
    )
    family = policy_family("base_stock" if len(system.lead) == 1 else "echelon")
    policy = family(jnp.asarray(system.level, jnp.float32)[None, :, None])

    def cost(policy: Any, paths: Scenarios) -> jax.Array:
        outcome = rollout(network, policy, block, paths, lists, form="sparse", gradient=GRADIENT_MODES[mode])
        return jnp.mean(outcome.costs.total) / PERIODS

    call = lambda program: jax.block_until_ready(program(policy, paths))
    return {
        "ours": partial(call, jax.jit(cost).lower(policy, paths).compile()),
        "ours_gradient": partial(call, jax.jit(jax.value_and_grad(cost)).lower(policy, paths).compile()),
    }


# -------------------------------------------------------------------------------------------------- PyTorch


def torch_rollout(level: Any, demand: Any, system: System) -> Any:
    """Mean cost per period of `level [stages]` on `demand [periods, batch]`; pipelines are `[batch, lead]` tensors."""
    stages, batch = range(len(system.lead)), demand.shape[1]
    on_hand = [torch.full((batch,), units) for units in system.start]
    pipeline = [torch.zeros(batch, lead) for lead in system.lead]
    backlog, total = torch.zeros(batch), torch.zeros(batch)
    for wanted in demand.unbind(0):
        for s in stages:
            on_hand[s] = on_hand[s] + pipeline[s][:, 0]
            pipeline[s] = torch.cat([pipeline[s][:, 1:], torch.zeros(batch, 1)], dim=1)
        asked = wanted + backlog
        sold = torch.minimum(on_hand[-1], asked)
        on_hand[-1] = on_hand[-1] - sold
        short = asked - sold
        total = total + system.penalty * short
        backlog = torch.zeros_like(short) if system.lost else short
        position = -backlog
        for s in reversed(stages):
            position = position + on_hand[s] + pipeline[s].sum(1)
            order = torch.relu(level[s] - position)
            if s > 0:
                order = torch.minimum(order, on_hand[s - 1])
                on_hand[s - 1] = on_hand[s - 1] - order
                # What a stage takes comes out of the stock of the stage above, whose position is counted next.
            position = position + order
            pipeline[s] = torch.cat([pipeline[s][:, :-1], (pipeline[s][:, -1] + order)[:, None]], dim=1)
        for s in stages:
            total = total + system.holding[s] * on_hand[s]
    return total.mean() / demand.shape[0]


def pytorch(system: System, demand: np.ndarray, *, compiled: bool) -> dict[str, Callable[[], Any]]:
    """Eager and compiled calls, forward and with gradient."""
    torch.set_num_threads(1)
    paths = torch.tensor(demand, dtype=torch.float32)
    level = torch.tensor(system.level, dtype=torch.float32, requires_grad=True)

    def forward(function: Callable) -> float:
        with torch.no_grad():
            return float(function(level, paths, system))

    def gradient(function: Callable) -> tuple[float, Any]:
        value = function(level, paths, system)
        (slope,) = torch.autograd.grad(value, [level])
        return float(value.detach()), slope

    names = {"eager": torch_rollout}
    if compiled:
        # Each system starts with an empty cache of compiled code: past a limit the code would run uncompiled.
        torch.compiler.reset()
        names["compile"] = torch.compile(torch_rollout, dynamic=False)
    calls: dict[str, Callable[[], Any]] = {}
    for name, function in names.items():
        calls[name], calls[f"{name}_gradient"] = partial(forward, function), partial(gradient, function)
    return calls


# ------------------------------------------------------------------------------------------------- stockpyl


def stockpyl_cost(system: System, path: np.ndarray) -> float:
    """Mean cost per period of one path."""
    common = {
        "demand_type": "D", "demand_list": path.tolist(), "policy_type": "EBS" if len(system.lead) > 1 else "BS",
    }  # fmt: skip
    if len(system.lead) == 1:
        network = single_stage_system(
            **common, base_stock_level=system.level[0], initial_inventory_level=system.start[0],
            local_holding_cost=system.holding[0], stockout_cost=system.penalty, shipment_lead_time=system.lead[0],
        )  # fmt: skip
    else:
        nodes = list(range(len(system.lead)))
        last = nodes[-1]
        network = network_from_edges(
            edges=[(k, k + 1) for k in nodes[:-1]], node_order_in_lists=nodes, shipment_lead_time=list(system.lead),
            local_holding_cost=list(system.holding), in_transit_holding_cost=[0.0] * len(nodes),
            stockout_cost=[system.penalty * (k == last) for k in nodes], policy_type=["EBS"] * len(nodes),
            base_stock_level=list(system.level), initial_inventory_level=list(system.start),
            demand_type={k: "D" if k == last else None for k in nodes},
            demand_list={k: path.tolist() if k == last else None for k in nodes},
        )  # fmt: skip
    simulation(network, len(path), rand_seed=0, progress_bar=False, consistency_checks="N")
    costs = [node.state_vars[t].total_cost_incurred for node in network.nodes for t in range(len(path))]
    return float(np.sum(costs)) / len(path)


# --------------------------------------------------------------------------------------------- measurements


def least_times(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Least processor seconds of each call; they take turns."""
    least = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            begun = time.process_time()
            call()
            least[name] = min(least[name], time.process_time() - begun)
    return least


@dataclass(frozen=True)
class Row:
    """Nanoseconds per scenario and period, and how many times faster ours is (None: not measured)."""

    system: str
    batch: int
    ours_ns: float
    ours_gradient_ns: float
    eager_gradient_ns: float | None
    compile_gradient_ns: float | None
    stockpyl_ns: float | None
    eager_over_ours_gradient: float | None
    compile_over_ours_gradient: float | None
    stockpyl_over_ours: float | None
    cost_difference: float


def measure(system: System, batch: int, repeats: int, mode: str, *, compiled: bool) -> Row:
    """One system and batch size."""
    demand = np.random.default_rng(0).poisson(system.mean, (PERIODS, batch)).astype(np.float64)
    calls = ours(system, demand, mode)
    if torch is not None:
        calls |= pytorch(system, demand, compiled=compiled)
    if simulation is not None and not system.lost:
        calls["stockpyl"] = lambda: stockpyl_cost(system, demand[:, 0])
    mean = float(calls["ours"]())
    others = [calls[name]() for name in ("eager", "compile") if name in calls]
    difference = max((abs(mean / other - 1) for other in others), default=0.0)
    if "stockpyl" in calls:
        alone = float(ours(system, demand[:, :1], mode)["ours"]())
        difference = max(difference, abs(alone / stockpyl_cost(system, demand[:, 0]) - 1))
    if difference > AGREEMENT:
        raise SystemExit(f"{system.name}: costs differ by {difference:.2e}")
    seconds = least_times(calls, repeats)
    ns = {name: 1e9 * value / PERIODS / (1 if name == "stockpyl" else batch) for name, value in seconds.items()}
    ratio = lambda other, mine: ns[other] / ns[mine] if other in ns else None
    return Row(
        system.name,
        batch,
        ns["ours"],
        ns["ours_gradient"],
        ns.get("eager_gradient"),
        ns.get("compile_gradient"),
        ns.get("stockpyl"),
        ratio("eager_gradient", "ours_gradient"),
        ratio("compile_gradient", "ours_gradient"),
        ratio("stockpyl", "ours"),
        difference,
    )


def main(
    out: Annotated[Path | None, typer.Option(help="JSON file of the results.")] = None,
    batches: Annotated[list[int] | None, typer.Option(help="Scenarios simulated at once; default 128, 512.")] = None,
    repeats: Annotated[int, typer.Option(help="Timed turns.")] = 7,
    mode: Annotated[str, typer.Option(help="Differentiation mode of ours: direct, checkpointed.")] = "direct",
    with_compile: Annotated[bool, typer.Option(help="Measure torch.compile (needs a C++ compiler).")] = True,
) -> None:
    console = Console(width=220)
    for name, library in (("torch", torch), ("stockpyl", simulation)):
        if library is None:
            console.print(f"{name} is not installed: its columns stay empty (pip install {name})")
    table, rows = Table(*Row.__dataclass_fields__), []
    for system in SYSTEMS:
        for batch in batches or (128, 512):
            rows.append(measure(system, batch, repeats, mode, compiled=with_compile))
            cells = asdict(rows[-1]).values()
            table.add_row(*("" if v is None else f"{v:.3g}" if isinstance(v, float) else str(v) for v in cells))
            console.print(rows[-1])
    console.print(table)
    if out is not None:
        versions = {"torch": None if torch is None else torch.__version__}
        report = {"provenance": {**provenance(), **versions}, "mode": mode, "rows": [asdict(row) for row in rows]}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
