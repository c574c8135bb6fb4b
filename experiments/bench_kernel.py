"""Question: how fast is the simulation of a network, and its gradient, next to what the machine could do?

    python experiments/bench_kernel.py --out experiments/results/bench_kernel.json

For networks of 10 to 200 nodes (regions = 0.8 x nodes, 3 speeds, 2 waves, 28 days) one block of items is simulated
with and without its gradient. On the CPU the same block also runs through a plain compiled loop of the same model
(numba, below), whose costs must agree, and everything runs on one core: the process is bound to it before JAX starts,
and processor time is counted, so that other programs on the machine do not show. On other devices the clock counts.
The loop is measured twice, as it stands and *skipping* preference rounds in which nothing is open, which array code
cannot; `forward_over_compiled_loop` refers to the faster of the two.

`traffic` is the least memory traffic of the forward pass (demand and lead times read once, stock and pipelines read
and written once a period) as a share of the bandwidth measured by a triad; `arithmetic` is the least number of
operations (those of the assignment rounds alone) as a share of the rate measured by a matrix product.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

if hasattr(os, "sched_setaffinity") and os.environ.get("BENCH_CORES", "1") == "1":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before JAX counts the cores

import equinox as eqx
import jax
import jax.numpy as jnp
import numba
import numpy as np
import polars as pl
import typer
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config import make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.model.catalog import draw
from meio_jax.model.network import ItemBlock, Network
from meio_jax.planner import block_items, prepare
from meio_jax.policy.base_stock import BaseStock
from meio_jax.scenarios import TRAINING, Scenarios
from meio_jax.simulation.preferences import PreferenceLists
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import block_lists
from meio_jax.tables import Tables, read_instance

TIERS = {10: (2, 5, 3), 30: (5, 18, 7), 100: (10, 60, 30), 200: (20, 120, 60)}
PERIODS = 28
SAMPLES = 16
AGREEMENT = 1e-4


@dataclass(frozen=True)
class Case:
    """One block of items, ready to simulate."""

    network: Network
    policy: BaseStock
    block: ItemBlock
    scenarios: Scenarios
    lists: PreferenceLists
    form: str

    @property
    def batch(self) -> int:
        return self.scenarios.demand.shape[-1]


@dataclass(frozen=True)
class Row:
    """Times are nanoseconds per item, scenario and period; node-periods are counted over items and scenarios."""

    nodes: int
    regions: int
    batch: int
    forward_ns: float
    gradient_ns: float
    gradient_over_forward: float
    node_periods_per_s_forward: float
    node_periods_per_s_gradient: float
    loop_ns: float | None
    loop_skipping_ns: float | None
    forward_over_compiled_loop: float | None
    traffic_share: float
    arithmetic_share: float
    cost_difference: float | None


def make_case(nodes: int, batch: int | None, form: str) -> Case:
    """The first block of a generated instance, at its newsvendor starting levels."""
    usual = block_items(nodes, SAMPLES) * (1 if jax.default_backend() == "cpu" else 64)
    items = (batch or usual * SAMPLES) // SAMPLES
    options = GenerateOptions(
        items=4 * items, nodes_per_tier=TIERS[nodes], regions=nodes * 8 // 10, speeds=3, waves=2, periods=PERIODS
    )
    config = make_config(
        scenarios={"train": SAMPLES, "per_step": SAMPLES, "store_gib": 0.0},
        solve={"block_items": items, "devices": 1},
        fulfilment={"form": form},
    )
    with TemporaryDirectory() as folder:
        tables = read_instance(generate_instance(options, Path(folder)))
    problem = prepare(_single_units(tables), config).problem
    leaves = jax.tree.map(lambda leaf: leaf[0], problem.catalog.per_block())
    ids = jnp.arange(SAMPLES, dtype=jnp.int32)
    policy = jax.tree.map(lambda leaf: leaf[0], problem.policy(problem.first))
    return Case(
        network=problem.network,
        policy=policy,
        block=leaves[0],
        scenarios=eqx.filter_jit(draw)(problem.settings.scenarios, problem.catalog.profiles, leaves, ids, TRAINING),
        lists=eqx.filter_jit(block_lists)(
            problem.network, problem.resources, problem.settings, leaves[0], problem.zero_prices()
        ),
        form=problem.settings.form,
    )


def _single_units(tables: Tables) -> Tables:
    """The instance without packs, and without a tail: every simulated period is one that is charged."""
    whole = {"pack_size": 1, "min_order": 0}
    columns = [pl.lit(value, tables.offers.schema[name]).alias(name) for name, value in whole.items()]
    settings = tables.settings.model_copy(update={"terminal": "liquidate"})
    return replace(tables, offers=tables.offers.with_columns(columns), settings=settings)


# ---------------------------------------------------------------------------------------------- the rollout


def objective(case: Case, policy: BaseStock, scenarios: Scenarios) -> tuple[jax.Array, tuple]:
    """Mean cost and, so that nothing is left out, costs by item and scenario and every flow."""
    outcome = rollout(case.network, policy, case.block, scenarios, case.lists, form=case.form)
    return jnp.sum(outcome.costs.total) / outcome.costs.total.shape[0], (outcome.costs.total, outcome.flows)


def programs(case: Case) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Forward, and forward with gradient, as compiled calls without arguments."""
    forward = jax.jit(partial(objective, case)).lower(case.policy, case.scenarios).compile()
    with_gradient = jax.value_and_grad(partial(objective, case), has_aux=True)
    both = jax.jit(with_gradient).lower(case.policy, case.scenarios).compile()
    run = lambda program: jax.block_until_ready(program(case.policy, case.scenarios))
    return partial(run, forward), partial(run, both)


# ------------------------------------------------------------------------- the same model as a compiled loop


@numba.njit(error_model="numpy", fastmath=True, inline="always")
def _serve_class_rounds(node, unit, kg, carbon, weight, wanted, usable, asked, ratio, skip, done):
    """All preference rounds of one speed; changes `wanted` and `usable`, adds cost, carbon and units to `done`."""
    rounds, regions = node.shape
    nodes = usable.shape[0]
    for p in range(rounds):
        if skip:
            open_units = np.float32(0.0)
            for r in range(regions):
                open_units += wanted[r]
            if open_units <= 0:
                break
        for n in range(nodes):
            asked[n] = 0.0
        for r in range(regions):
            if node[p, r] < nodes:
                asked[node[p, r]] += wanted[r]
        for n in range(nodes):
            ratio[n] = usable[n] / asked[n] if asked[n] > max(usable[n], np.float32(1e-12)) else np.float32(1.0)
        for r in range(regions):
            n = node[p, r]
            if n < nodes:
                units = wanted[r] * ratio[n]
                done[0] += units * (unit[p, r] + kg[p, r] * weight)
                done[1] += units * carbon[p, r]
                wanted[r] -= units
        for n in range(nodes):
            usable[n] = max(usable[n] - asked[n], np.float32(0.0))


@numba.njit(error_model="numpy", fastmath=True)
def loop(net, item, demand, vendor_lead, lane_lead, lists, target, samples, skip, cost, flows):
    """One item and scenario after the other, one period after the other; the terms of `cost` and `flows` as returned.

    `demand` is `[batch, periods, waves, speeds, regions]`, which suits a loop. Base-stock policy, proportional or
    prioritised allocation, lost sales or backorders, pipeline holding; orders in the morning, in single units.
    """
    review, charged, holding_factor, handling, inbound_cost, lane_from, lane_to, lane_unit, lane_kg = net[:9]
    lane_carbon, urgency, offer_node, group, bucket_periods, ranks, pipeline_holding = net[9:16]
    lane_order, lane_bound, offer_order, offer_bound = net[16:]
    weight, holding, lost_cost, back_cost, down_share, down_cost, backorder = item[:7]
    offer_cost, freight, share, on_hand0, due0, own_share, mean_demand, end_value, end_value_due = item[7:]
    list_node, list_unit, list_kg, list_carbon = lists
    f_stock, f_in, f_out, f_lane, f_offer, f_served, f_wanted = flows
    batch, periods, waves, speeds, regions = demand.shape
    nodes, lanes, offers, tiers = holding_factor.shape[0], lane_from.shape[0], offer_node.shape[0], lane_bound.size - 1
    f32 = np.float32
    on_hand, on_order, position = np.zeros(nodes, f32), np.zeros(nodes, f32), np.zeros(nodes, f32)
    asked, ratio, start = np.zeros(nodes, f32), np.zeros(nodes, f32), np.zeros(nodes, f32)
    kept, free = np.zeros(nodes, f32), np.zeros(nodes, f32)
    horizon = due0.shape[2] + periods + 1
    due = np.zeros((horizon, nodes), f32)
    wanted, first = np.zeros(regions, f32), np.zeros(regions, f32)
    left, backlog = np.zeros((speeds, regions), f32), np.zeros((speeds, regions), f32)
    short, shipped = np.zeros(nodes, f32), np.zeros(lanes, f32)
    done = np.zeros(2, f32)
    per = f32(1.0) / f32(samples)
    for b in range(batch):
        i = b // samples
        kg = weight[i]
        total = f32(0.0)
        carbon = f32(0.0)
        due[:] = 0.0
        backlog[:] = 0.0
        for n in range(nodes):
            on_hand[n] = on_hand0[i, n]
            on_order[n] = 0.0
            for k in range(due0.shape[2]):
                due[k, n] = due0[i, n, k]
                on_order[n] += due0[i, n, k]
        for t in range(periods):
            k = t // bucket_periods
            on = charged[t]
            c = f32(0.0)
            for n in range(nodes):
                arrived = due[t, n]
                on_hand[n] += arrived
                on_order[n] -= arrived
                c += arrived * inbound_cost[n]
                f_in[i, k, n] += on * per * arrived
            # What customers take today is kept back from shipments, and a level is raised above what the day leaves.
            for n in range(nodes):
                own = own_share[i, n] * mean_demand[i, t]
                kept[n] = min(on_hand[n], own)
                free[n] = on_hand[n] - kept[n]
                position[n] = on_hand[n] + on_order[n] - (own if backorder[i] else kept[n])
            if backorder[i]:
                for s in range(speeds):
                    for r in range(regions):
                        if list_node[k, 0, s, 0, r] < nodes:
                            position[list_node[k, 0, s, 0, r]] -= backlog[s, r]
            for tier in range(tiers):
                for n in range(nodes):
                    short[n] = max(target[i, k, n] - position[n], f32(0.0)) if review[t, n] else f32(0.0)
                low, high = lane_bound[tier], lane_bound[tier + 1]
                for rank in range(ranks if high > low else 0):
                    for n in range(nodes):
                        asked[n] = 0.0
                    for lane in lane_order[low:high]:
                        if urgency[lane] == rank:
                            shipped[lane] = short[lane_to[lane]] * share[i, offers + lane]
                            asked[lane_from[lane]] += shipped[lane]
                    for n in range(nodes):
                        scarce = asked[n] > max(free[n], f32(1e-12))
                        ratio[n] = free[n] / asked[n] if scarce else f32(1.0)
                        free[n] = max(free[n] - asked[n], f32(0.0))
                    for lane in lane_order[low:high]:
                        if urgency[lane] == rank:
                            shipped[lane] *= ratio[lane_from[lane]]
                for lane in lane_order[low:high]:
                    units, lead = shipped[lane], lane_lead[b % lane_lead.shape[0], t, lane]
                    position[lane_from[lane]] -= units
                    on_order[lane_to[lane]] += units
                    if t + lead < horizon:
                        due[t + lead, lane_to[lane]] += units
                    c += units * (lane_unit[lane] + lane_kg[lane] * kg)
                    carbon += on * units * lane_carbon[lane] * kg
                    if pipeline_holding:
                        c += units * f32(lead) * holding[i] * holding_factor[lane_from[lane]]
                    f_lane[i, k, lane] += on * per * units
                for offer in offer_order[offer_bound[tier] : offer_bound[tier + 1]]:
                    units = short[offer_node[offer]] * share[i, offer]
                    on_order[offer_node[offer]] += units
                    if t + vendor_lead[b, t, offer] < horizon:
                        due[t + vendor_lead[b, t, offer], offer_node[offer]] += units
                    c += units * (offer_cost[i, offer] + freight[i, offer])
                    f_offer[i, k, offer] += on * per * units
            for n in range(nodes):
                on_hand[n] = kept[n] + free[n]
                start[n] = on_hand[n]
            left[:] = 0.0
            for w in range(0 if not backorder[i] else -1, waves):
                at = max(w, 0)
                for s in range(speeds):
                    for r in range(regions):
                        carry = first[r] if s > 0 else f32(0.0)
                        wanted[r] = (backlog[s, r] if w < 0 else demand[b, t, w, s, r]) + carry
                        first[r] = wanted[r]
                    done[0] = done[1] = 0.0
                    _serve_class_rounds(
                        list_node[k, at, s], list_unit[k, at, s], list_kg[k, at, s], list_carbon[k, at, s],
                        kg, wanted, on_hand, asked, ratio, skip, done,
                    )  # fmt: skip
                    c += done[0]
                    carbon += on * done[1]
                    for r in range(regions):
                        if w >= 0:
                            fresh = demand[b, t, w, s, r]
                            f_wanted[i, k, s, group[r]] += on * per * fresh
                            if first[r] > 0:
                                promised = fresh * (f32(1.0) - wanted[r] / first[r])
                                f_served[i, k, s, group[r]] += on * per * promised
                        moved = wanted[r] * down_share[i] if s + 1 < speeds else f32(0.0)
                        c += moved * down_cost[i]
                        left[s, r] += wanted[r] - moved
                        first[r] = moved
            open_units = f32(0.0)
            for s in range(speeds):
                for r in range(regions):
                    open_units += left[s, r]
                    backlog[s, r] = left[s, r] if backorder[i] else f32(0.0)
            c += open_units * (back_cost[i] if backorder[i] else lost_cost[i])
            for n in range(nodes):
                out = start[n] - on_hand[n]
                c += out * handling[n]
                f_out[i, k, n] += on * per * out
            for n in range(nodes):
                c += holding[i] * holding_factor[n] * on_hand[n]
                f_stock[i, k, n] += on * per * on_hand[n]
            total += on * c
        worth, dearest = f32(0.0), f32(0.0)
        for n in range(nodes):
            worth += end_value[i, n] * on_hand[n] + end_value_due[i, n] * on_order[n]
            dearest = max(dearest, end_value[i, n])
        for s in range(speeds):
            for r in range(regions):
                worth -= dearest * backlog[s, r]
        cost[b, 0] = total - worth
        cost[b, 1] = carbon


def _in_order(rows: tuple[int, ...], tiers: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, np.ndarray]:
    """Sources sorted by the tier of the node that they feed, and where each tier begins."""
    own = [[k for k, node in enumerate(rows) if node in tier] for tier in tiers]
    flat = np.asarray([k for members in own for k in members], np.int32)
    return flat, np.cumsum([0, *map(len, own)]).astype(np.int32)


def compiled_loop(case: Case) -> Callable[..., np.ndarray]:
    """The loop with its arguments laid out for it; called with `skip`, it returns costs by item and scenario."""
    net, block, lists = case.network, case.block, case.lists
    npy = lambda *leaves: tuple(np.ascontiguousarray(np.asarray(leaf)) for leaf in leaves)
    network = (
        *npy(net.review, net.charged, net.holding_factor, net.handling_cost, net.inbound_cost),
        np.asarray(net.lane_from, np.int32), np.asarray(net.lane_to, np.int32),
        *npy(net.lane_cost_unit, net.lane_cost_kg, net.lane_carbon_kg, net.lane_urgency),
        np.asarray(net.offer_node, np.int32), np.asarray(net.region_group), net.bucket_periods, net.priority_ranks,
        net.pipeline_holding, *_in_order(net.lane_to, net.tiers), *_in_order(net.offer_node, net.tiers),
    )  # fmt: skip
    due = np.zeros((net.nodes, max(net.vendor_limit, net.lane_limit), block.items), np.float32)
    due[list(net.vendor_nodes), : net.vendor_limit] += np.asarray(block.vendor_pipeline)
    due[list(net.lane_nodes), : net.lane_limit] += np.asarray(block.lane_pipeline)
    first = lambda leaf: np.ascontiguousarray(np.moveaxis(np.asarray(leaf), -1, 0))
    item = (
        *npy(block.weight, block.holding_cost, block.lost_sale_cost, block.backorder_cost, block.downgrade_share),
        *npy(block.downgrade_cost, block.backorder),
        *map(first, (block.offer_cost, block.offer_freight, block.source_share, block.on_hand, due)),
        *map(first, (block.own_share, block.mean_demand, block.end_value, block.end_value_due)),
    )  # fmt: skip
    lane_lead = np.asarray(case.scenarios.lane_lead)
    lane_lead = np.broadcast_to(lane_lead, (net.periods, net.lanes))[..., None] if lane_lead.ndim == 1 else lane_lead
    demand, vendor_lead, leads = map(first, (case.scenarios.demand, case.scenarios.vendor_lead, lane_lead))
    target = first(np.broadcast_to(np.asarray(case.policy.target), (net.buckets, net.nodes, block.items)))
    sizes = [(net.nodes,)] * 3 + [(net.lanes,), (net.offers,)] + [(net.speeds, max(net.region_groups, 1))] * 2
    tables = npy(lists.node, lists.cost_unit, lists.cost_kg, lists.carbon)
    samples = case.batch // block.items

    def run(skip: bool = False) -> np.ndarray:
        cost = np.zeros((case.batch, 2), np.float32)
        flows = tuple(np.zeros((block.items, net.buckets, *size), np.float32) for size in sizes)
        loop(network, item, demand, vendor_lead, leads, tables, target, samples, skip, cost, flows)
        return cost[:, 0]

    return run


# ---------------------------------------------------------------------------------------------- measurements


def interleaved(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Least seconds of each call; they take turns, so that a busy spell of the machine meets all of them."""
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    least = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            begun = clock()
            call()
            least[name] = min(least[name], clock() - begun)
    return least


def machine() -> dict[str, float]:
    """Bandwidth of a triad (GB/s; two reads and a write) and rate of a matrix product (GFLOP/s), both in float32."""
    size, side = 2**25, 1536 if jax.default_backend() == "cpu" else 8192
    a, b = jnp.ones(size, jnp.float32), jnp.full(size, 2, jnp.float32)
    m = jnp.ones((side, side), jnp.float32)
    triad, product = jax.jit(lambda a, b: a + 3 * b), jax.jit(lambda m: m @ m)
    calls = {"triad": lambda: triad(a, b).block_until_ready(), "product": lambda: product(m).block_until_ready()}
    seconds = interleaved(calls, 7)
    return {"gb_per_s": 12e-9 * size / seconds["triad"], "gflop_per_s": 2e-9 * side**3 / seconds["product"]}


def least_work(case: Case) -> tuple[float, float]:
    """Bytes that the forward pass cannot avoid, and operations of its assignment rounds."""
    net, batch = case.network, case.batch
    classes = net.waves * net.speeds * net.regions
    slots = len(net.vendor_nodes) * net.vendor_limit + len(net.lane_nodes) * net.lane_limit
    words = net.periods * (classes + net.offers + 2 * (2 * net.nodes + slots))
    # Per round: ask, spread, ship, subtract, price and sum by class (8), compare, divide and subtract by node (3).
    work = net.periods * net.waves * net.speeds * case.lists.node.shape[-2] * (8 * net.regions + 3 * net.nodes)
    return 4.0 * words * batch, float(work) * batch


def measure(case: Case, repeats: int, peak: dict[str, float], *, with_loop: bool) -> Row:
    """All figures of one network size."""
    nodes = case.network.nodes
    forward, both = programs(case)
    calls: dict[str, Callable[[], Any]] = {"forward": forward, "gradient": both}
    difference = None
    if with_loop and jax.default_backend() == "cpu":
        run = compiled_loop(case)
        ours, theirs = np.asarray(forward()[1][0], float), run().astype(float)
        difference = float(np.max(np.abs(ours - theirs)) / np.mean(np.abs(theirs)))
        if difference > AGREEMENT:
            raise SystemExit(f"{nodes} nodes: the loop's costs differ from the rollout's by {difference:.2e}")
        calls |= {"loop": run, "skipping": partial(run, skip=True)}
    seconds = interleaved(calls, repeats)
    units = case.batch * case.network.periods
    ns = {name: 1e9 * value / units for name, value in seconds.items()}
    traffic, work = least_work(case)
    return Row(
        nodes=nodes,
        regions=case.network.regions,
        batch=case.batch,
        forward_ns=ns["forward"],
        gradient_ns=ns["gradient"],
        gradient_over_forward=ns["gradient"] / ns["forward"],
        node_periods_per_s_forward=1e9 * nodes / ns["forward"],
        node_periods_per_s_gradient=1e9 * nodes / ns["gradient"],
        loop_ns=ns.get("loop"),
        loop_skipping_ns=ns.get("skipping"),
        forward_over_compiled_loop=ns["forward"] / min(ns["loop"], ns["skipping"]) if "loop" in ns else None,
        traffic_share=1e-9 * traffic / seconds["forward"] / peak["gb_per_s"],
        arithmetic_share=1e-9 * work / seconds["forward"] / peak["gflop_per_s"],
        cost_difference=difference,
    )


def show(rows: list[Row]) -> Table:
    """The rows as a table."""
    table = Table(*Row.__dataclass_fields__)
    for row in rows:
        cells = asdict(row).values()
        table.add_row(*("" if v is None else f"{v:.3g}" if isinstance(v, float) else str(v) for v in cells))
    return table


def main(
    out: Annotated[Path | None, typer.Option(help="JSON file of the results.")] = None,
    nodes: Annotated[list[int] | None, typer.Option(help="Network sizes; default 10, 30, 100, 200.")] = None,
    batch: Annotated[int | None, typer.Option(help="Items x scenarios of the block; empty: as a solve does.")] = None,
    form: Annotated[str, typer.Option(help="Assignment form: auto, sparse, dense.")] = "auto",
    repeats: Annotated[int, typer.Option(help="Timed turns.")] = 15,
    with_loop: Annotated[bool, typer.Option(help="Compare with the compiled loop (on the CPU).")] = True,
) -> None:
    peak = machine()
    rows = []
    for size in nodes or TIERS:
        rows.append(measure(make_case(size, batch, form), repeats, peak, with_loop=with_loop))
        Console(width=200).print(show(rows[-1:]))
    by_size = {row.nodes: row for row in rows}
    growth = None
    if 10 in by_size and 100 in by_size:
        growth = {k: getattr(by_size[100], k) / getattr(by_size[10], k) for k in ("forward_ns", "gradient_ns")}
    Console(width=200).print(show(rows), {"machine": peak, "growth 10 x 8 to 100 x 80": growth})
    if out is not None:
        report = {"provenance": {**provenance(), "numba": numba.__version__}, "machine": peak,
                  "rows": [asdict(row) for row in rows], "growth_10_to_100": growth}  # fmt: skip
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
