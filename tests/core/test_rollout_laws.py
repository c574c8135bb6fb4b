"""Laws that every rollout obeys whatever the network: conservation, symmetry, independence."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import LANES, OFFERS, Case, close, make_case, make_policy
from marks import some_slow

from meio_jax.model.network import Network
from meio_jax.policy import POLICIES
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.rollout import rollout

# The same sums in another order, double precision.
ROUNDING = 1e-11


@eqx.filter_jit
def simulate(case_parts: tuple, policy, record: Record):
    return rollout(*case_parts[:1], policy, *case_parts[1:], record=record)


def run(case: Case, policy, record: Record = Record(stock=True)):
    return simulate((case.network, case.block, case.scenarios, case.lists), policy, record)


@pytest.mark.parametrize("name", some_slow(sorted(POLICIES), quick=["base_stock", "dual_index", "shares"]))
def test_units_are_conserved(x64: None, name: str) -> None:
    case = make_case(backorder=(False, True, False))
    everything = eqx.tree_at(lambda n: n.charged, case.network, jnp.ones_like(case.network.charged))
    case = Case(everything, case.block, case.scenarios, case.lists, case.samples)
    out = run(case, make_policy(case, name, protection=True))
    items = case.block.items

    def by_item(leaf: jax.Array) -> np.ndarray:
        return np.asarray(leaf).reshape(items, -1).mean(1)

    block = case.block
    before = block.on_hand.sum(0) + block.vendor_pipeline.sum((0, 1)) + block.lane_pipeline.sum((0, 1))
    bought, shipped = out.flows.offer.sum((0, 1)), by_item(out.units.shipped)
    after = by_item(out.final.on_hand.sum(0) + out.final.on_order.sum(0))
    close(before + bought, shipped + after, tolerance=ROUNDING)
    waiting = by_item(sum(left.sum(0) for left in out.final.backlog))
    close(by_item(out.units.demand), shipped + by_item(out.units.lost) + waiting, tolerance=ROUNDING)
    assert float(out.stock.min()) >= 0
    assert all(float(leaf.min()) >= -ROUNDING for leaf in jax.tree.leaves((out.final, out.flows, out.units)))


def test_permuting_items_permutes_the_outcome(x64: None) -> None:
    case = make_case(backorder=(False, True, False))
    policy = make_policy(case, "dual_index")
    order = np.asarray([2, 0, 1])
    items, shared = case.block.items, {"group", "group_weight", "group_volume", "group_stockable"}
    taken = lambda value: jax.tree.map(lambda leaf: leaf[..., order], value)
    moved = {k: v if k in shared else taken(v) for k, v in vars(case.block).items()}
    columns = (order[:, None] * case.samples + np.arange(case.samples)).reshape(-1)
    there = Case(
        case.network,
        type(case.block)(**moved),
        jax.tree.map(lambda leaf: leaf[..., columns], case.scenarios),
        case.lists,
        case.samples,
    )
    ours, theirs = run(case, policy), run(there, jax.tree.map(lambda leaf: leaf[..., order], policy))
    per_scenario = lambda out: (out.costs, out.units, out.stock)
    close(
        jax.tree.map(lambda leaf: leaf[..., columns], per_scenario(ours)),
        per_scenario(theirs),
        tolerance=ROUNDING,
    )
    close(jax.tree.map(lambda leaf: leaf[..., order], ours.flows), theirs.flows, tolerance=ROUNDING)
    assert items == there.block.items


def test_items_do_not_see_each_other(x64: None) -> None:
    case = make_case(backorder=(False, False))
    policy = make_policy(case, "base_stock")
    both = run(case, policy)
    shared = {"group", "group_weight", "group_volume", "group_stockable"}
    first = lambda value: jax.tree.map(lambda leaf: leaf[..., :1], value)
    alone = Case(
        case.network,
        type(case.block)(**{k: v if k in shared else first(v) for k, v in vars(case.block).items()}),
        jax.tree.map(lambda leaf: leaf[..., : case.samples], case.scenarios),
        case.lists,
        case.samples,
    )
    one = run(alone, jax.tree.map(lambda leaf: leaf[..., :1], policy))
    close(both.costs.total[: case.samples], one.costs.total, tolerance=ROUNDING)


def with_idle_node(network: Network) -> Network:
    """One more node, which nothing reaches and nobody may ask."""

    def wider(leaf: jax.Array, fill: float) -> jax.Array:
        return jnp.concatenate([leaf, jnp.full((*leaf.shape[:-1], 1), fill, leaf.dtype)], axis=-1)

    changed = {name: wider(getattr(network, name), 1) for name in ("review", "holding_factor", "handling_cost")}
    changed |= {name: wider(getattr(network, name), 0) for name in ("inbound_cost", "eligible", "outbound_unit")}
    changed |= {name: wider(getattr(network, name), 0) for name in ("outbound_kg", "outbound_carbon")}
    tiers = ((*network.tiers[0], network.nodes), *network.tiers[1:])
    return Network(**{**vars(network), **changed, "nodes": network.nodes + 1, "tiers": tiers})


def test_a_node_that_nobody_may_use_changes_nothing(x64: None) -> None:
    case = make_case(backorder=(False, True))
    policy = make_policy(case, "echelon")
    network = with_idle_node(case.network)

    def taller(leaf: jax.Array, axis: int = 0, fill: float = 0) -> jax.Array:
        shape = list(leaf.shape)
        shape[axis] = 1
        return jnp.concatenate([leaf, jnp.full(shape, fill, leaf.dtype)], axis=axis)

    by_node = ("stockable", "on_hand", "group_stockable", "reach", "end_value", "end_value_due", "own_share")
    changed = {name: taller(getattr(case.block, name)) for name in by_node}
    block = type(case.block)(**{**vars(case.block), **changed})
    nobody = jnp.where(case.lists.node == case.network.nodes, network.nodes, case.lists.node)
    lists = eqx.tree_at(lambda at: at.node, case.lists, nobody)
    there = Case(network, block, case.scenarios, lists, case.samples)
    targets = jax.tree.map(lambda leaf: taller(leaf, axis=1, fill=7.0), policy)
    ours, theirs = run(case, policy), run(there, targets)
    close(ours.costs, theirs.costs, tolerance=ROUNDING)
    close(ours.flows.outbound, theirs.flows.outbound[:, :-1], tolerance=ROUNDING)


def test_shapes_of_a_network_without_floors_or_record(x64: None) -> None:
    case = make_case(samples=2)
    network = Network(**{**vars(case.network), "region_groups": 0})
    out = run(Case(network, case.block, case.scenarios, case.lists, 2), make_policy(case, "base_stock"), Record())
    assert out.flows.served.shape == (case.network.buckets, case.network.speeds, 0, 1)
    assert out.flows.lane.shape[1:] == (LANES, 1)
    assert out.flows.offer.shape[1:] == (OFFERS, 1)
    assert out.speed_units.size == out.stock.size == 0


def test_single_and_double_precision_agree() -> None:
    narrow = make_case(backorder=(False, True))
    ours = run(narrow, make_policy(narrow, "base_stock"))
    with jax.enable_x64(True):
        wide = make_case(backorder=(False, True))
        theirs = run(wide, make_policy(wide, "base_stock"))
    assert ours.costs.purchase.dtype == np.float32
    # Money of a few hundred; eight periods of sums in float32 keep five digits.
    close(ours.costs, theirs.costs, tolerance=1e-5, of=100)
