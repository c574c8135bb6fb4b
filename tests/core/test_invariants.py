"""What holds for every network, item, policy and demand: nothing appears, vanishes or falls below zero."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from helpers import Case, close, make_case, make_policy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_clairvoyant import make_resources

from meio_jax.model.resources import MEASURES, usage
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.rollout import rollout
from meio_jax.simulation.state import initial_state

# Sums of some hundred doubles.
ROUNDING = 1e-10
EXAMPLES = settings(max_examples=25, deadline=None)


@eqx.filter_jit
def simulated(parts: tuple, policy, resources):
    network, block, scenarios, lists = parts
    outcome = rollout(network, policy, block, scenarios, lists, record=Record(stock=True))
    return outcome, initial_state(network, block, 2)[0], usage(resources, outcome.flows, block)


def simulate(seed: int, level: float) -> tuple:
    """A random network of one shape (so that it is compiled once), all periods charged, levels times `level`."""
    with jax.enable_x64(True):
        case = make_case(backorder=(False, True, False), samples=2, seed=seed)
        network = eqx.tree_at(lambda n: n.charged, case.network, jnp.ones_like(case.network.charged))
        case = Case(network, case.block, case.scenarios, case.lists, case.samples)
        policy = jax.tree.map(lambda leaf: leaf * level, make_policy(case, "base_stock", protection=True, seed=seed))
        resources, _ = make_resources(case, seed)
        parts = (case.network, case.block, case.scenarios, case.lists)
        return case, *jax.tree.map(np.asarray, (resources, *simulated(parts, policy, resources)))


def per_item(leaf: np.ndarray, case: Case) -> np.ndarray:
    return leaf.reshape(*leaf.shape[:-1], case.block.items, case.samples).mean(-1)


@given(seed=st.integers(0, 2**31 - 1), level=st.floats(0, 3))
@EXAMPLES
def test_stock_is_conserved(seed: int, level: float) -> None:
    case, _, outcome, before, _ = simulate(seed, level)
    flows = jax.tree.map(lambda leaf: leaf.sum(0), outcome.flows)
    sent, got = np.zeros_like(flows.inbound), np.zeros_like(flows.inbound)
    for lane, (origin, target) in enumerate(zip(case.network.lane_from, case.network.lane_to, strict=True)):
        sent[origin] += flows.lane[lane]
        got[target] += flows.lane[lane]
    for slot, node in enumerate(case.network.offer_node):
        got[node] += flows.offer[slot]
    kept, first = per_item(outcome.final.on_hand, case), per_item(before.on_hand, case)
    close(first + flows.inbound, kept + flows.outbound + sent, tolerance=ROUNDING, of=100, what="on hand")
    due, first = per_item(outcome.final.on_order, case), per_item(before.on_order, case)
    close(first + got, due + flows.inbound, tolerance=ROUNDING, of=100, what="on order")


@given(seed=st.integers(0, 2**31 - 1), level=st.floats(0, 3))
@EXAMPLES
def test_demand_is_shipped_lost_or_waits(seed: int, level: float) -> None:
    case, _, outcome, _, _ = simulate(seed, level)
    waiting = sum(leaf.sum(0) for leaf in outcome.final.backlog)
    wanted = np.asarray(case.scenarios.demand).sum((0, 1, 2, 3))
    close(wanted, outcome.units.shipped + outcome.units.lost + waiting, tolerance=ROUNDING, of=100)
    shipped = per_item(outcome.units.shipped, case)
    close(outcome.flows.outbound.sum((0, 1)), shipped, tolerance=ROUNDING, of=100)


@given(seed=st.integers(0, 2**31 - 1), level=st.floats(0, 3))
@EXAMPLES
def test_nothing_falls_below_zero(seed: int, level: float) -> None:
    _, _, outcome, _, _ = simulate(seed, level)
    assert outcome.stock.min() >= 0
    assert all(leaf.min() >= 0 for leaf in outcome.final.backlog)
    assert all(leaf.min() >= 0 for leaf in jax.tree.leaves(outcome.flows))
    # Units on order are a difference of sums.
    assert outcome.final.on_order.min() >= -1e-9


@given(seed=st.integers(0, 2**31 - 1), level=st.floats(0, 3))
@EXAMPLES
def test_usage_is_what_the_flows_imply(seed: int, level: float) -> None:
    case, resources, outcome, _, used = simulate(seed, level)
    block, flows, network = case.block, outcome.flows, case.network
    size = {"units": np.ones(block.items), "m3": np.asarray(block.volume), "kg": np.asarray(block.weight)}
    expected = np.zeros_like(used.used)
    for row in range(expected.shape[1]):
        measure = MEASURES[int(resources.measure[row])]
        for i in range(block.items):
            for bucket in range(network.buckets):
                if row in resources.order_index:
                    at = resources.order_index.index(row)
                    units = 0.0
                    for slot in range(network.offers):
                        vendor = int(resources.order_vendor[at])
                        mine = vendor < 0 or vendor == int(block.offer_vendor[slot, i])
                        value = float(block.offer_cost[slot, i]) if measure == "money" else 1.0
                        scope = float(resources.offer[at, slot]) * mine * value
                        units += scope * flows.offer[bucket, slot, i]
                    expected[bucket, row] += units * (1.0 if measure == "money" else size[measure][i])
                    continue
                total = 0.0
                for name in ("stock", "inbound", "outbound"):
                    total += getattr(resources, name)[row] @ getattr(flows, name)[bucket, :, i]
                total += resources.lane[row] @ flows.lane[bucket, :, i]
                total += np.sum(resources.service[row] * flows.served[bucket, :, :, i])
                expected[bucket, row] += total * size[measure][i]
    close(used.used, expected, tolerance=ROUNDING, of=100)
