"""A small random network that every test of the core can use, and the one comparison helper."""

from __future__ import annotations

from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.model.network import ItemBlock, Network, ShelfLife, Spare
from meio_jax.policy import AbstractPolicy, StartingPoint, policy_family
from meio_jax.scenarios import Scenarios
from meio_jax.simulation.preferences import PreferenceLists, preference_lists
from meio_jax.simulation.spare_numbers import SpareNumbers

NODES, LANES, OFFERS, REGIONS, SPEEDS, WAVES, PERIODS = 4, 3, 3, 2, 2, 2, 8
LANE_FROM, LANE_TO = (0, 0, 1), (1, 2, 3)
OFFER_NODE, OFFER_RANK = (0, 0, 2), (0, 1, 0)
VENDOR_LIMIT, LANE_LIMIT = 4, 3
ROUNDS = 3


@dataclass(frozen=True)
class Case:
    """Arguments of a rollout, with the number of scenarios."""

    network: Network
    block: ItemBlock
    scenarios: Scenarios
    lists: PreferenceLists
    samples: int


def close(actual: object, expected: object, *, tolerance: float, of: float = 1.0, what: str = "") -> None:
    """Assert that two trees of arrays agree within `tolerance` of their size, or of `of` where they are small."""
    ours, theirs = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert len(ours) == len(theirs), what
    for mine, other in zip(ours, theirs, strict=True):
        mine, other = np.asarray(mine, float), np.asarray(other, float)
        assert mine.shape == other.shape, f"{what}: {mine.shape} against {other.shape}"
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance * of, err_msg=what)


def _float() -> type:
    return np.float64 if jax.config.jax_enable_x64 else np.float32


def make_network(
    rng: np.random.Generator, *, backorders: bool, priority: bool, warmup: int = 1, evening: bool = False
) -> Network:
    """Node 0 supplies 1 and 2, node 1 supplies 3; vendors deliver to 0 (two offers) and 2. Nodes 1 to 3 ship."""
    kind = _float()

    def real(*shape: int, low: float = 0.1, high: float = 1.0) -> jax.Array:
        return jnp.asarray(rng.uniform(low, high, shape), kind)

    eligible = rng.uniform(size=(WAVES, SPEEDS, REGIONS, NODES)) < 0.8
    eligible[..., 0] = False
    eligible[:, 1, :, 1] = True
    review = np.ones((PERIODS, NODES), bool)
    review[:, 0] = np.arange(PERIODS) % 2 == 0
    review[:, 3] = np.arange(PERIODS) % 3 != 1
    return Network(
        nodes=NODES,
        tiers=((2, 3), (1,), (0,)),
        lane_from=LANE_FROM,
        lane_to=LANE_TO,
        offer_node=OFFER_NODE,
        offer_rank=OFFER_RANK,
        lane_limit=LANE_LIMIT,
        vendor_limit=VENDOR_LIMIT,
        periods=PERIODS,
        bucket_periods=3,
        region_groups=2,
        backorders=backorders,
        pipeline_holding=True,
        priority_ranks=2 if priority else 1,
        tail_buckets=0,
        evening=evening,
        lots=False,
        late_receipts=False,
        review=jnp.asarray(review),
        charged=jnp.asarray(np.arange(PERIODS) >= warmup, kind),
        holding_factor=real(NODES),
        handling_cost=real(NODES),
        inbound_cost=real(NODES),
        lane_share=jnp.asarray([1.0, 0.4, 1.0], kind),
        lane_cost_unit=real(LANES),
        lane_cost_kg=real(LANES),
        lane_carbon_kg=real(LANES),
        lane_lead=jnp.asarray([1.0, 2.0, 2.0], kind),
        lane_urgency=jnp.asarray([0, 1, 0] if priority else [0, 0, 0], jnp.int32),
        eligible=jnp.asarray(eligible),
        outbound_unit=real(SPEEDS, REGIONS, NODES, low=2.0, high=5.0),
        outbound_kg=real(SPEEDS, REGIONS, NODES),
        outbound_carbon=real(REGIONS, NODES),
        region_group=jnp.asarray([0, 1], jnp.int32),
    )


def make_block(rng: np.random.Generator, backorder: tuple[bool, ...]) -> ItemBlock:
    """Items with stock everywhere, goods on order, and a second offer for every other item."""
    items, kind = len(backorder), _float()

    def real(*shape: int, low: float = 0.1, high: float = 1.0) -> jax.Array:
        return jnp.asarray(rng.uniform(low, high, (*shape, items)), kind)

    unit_cost = real(low=5, high=10)
    active = np.ones((OFFERS, items), bool)
    active[1] = np.arange(items) % 2 == 0
    share = np.zeros((OFFERS + LANES, items))
    share[0], share[1] = np.where(active[1], 0.7, 1.0), np.where(active[1], 0.3, 0.0)
    share[2], share[4] = 0.6, 0.4
    share[3] = share[5] = 1.0
    lead = np.tile(np.asarray([3.0, 1.0, 2.0])[:, None], (1, items))
    return ItemBlock(
        volume=real(),
        weight=real(),
        price=real(low=30, high=40),
        unit_cost=unit_cost,
        holding_cost=real(low=0.05, high=0.2),
        lost_sale_cost=real(low=10, high=20),
        backorder_cost=real(low=1, high=2),
        downgrade_share=real(low=0.2, high=0.6),
        downgrade_cost=real(),
        backorder=jnp.asarray(backorder),
        storage_class=jnp.zeros(items, jnp.int32),
        live=jnp.ones(items, kind),
        offer_active=jnp.asarray(active),
        offer_cost=real(OFFERS, low=5, high=10),
        offer_freight=real(OFFERS),
        offer_lead=jnp.asarray(lead, kind),
        offer_vendor=jnp.zeros((OFFERS, items), jnp.int32),
        pack=jnp.ones((OFFERS, items), kind),
        least=jnp.zeros((OFFERS, items), kind),
        source_share=jnp.asarray(share, kind),
        reach=jnp.full((NODES, items), max(VENDOR_LIMIT, LANE_LIMIT), jnp.int32),
        end_value=jnp.broadcast_to(0.9 * unit_cost, (NODES, items)),
        end_value_due=jnp.broadcast_to(0.9 * unit_cost, (NODES, items)),
        own_share=real(NODES, low=0, high=0.5),
        mean_demand=real(PERIODS, low=0, high=3),
        demand_variance=jnp.asarray(np.tile([[1.0], [0.2]], (1, items)), kind),
        stockable=jnp.ones((NODES, items), bool),
        on_hand=real(NODES, low=0.0, high=6.0),
        vendor_pipeline=real(2, VENDOR_LIMIT, low=0.0, high=2.0),
        lane_pipeline=real(3, LANE_LIMIT, low=0.0, high=1.0),
        group=jnp.asarray(0, jnp.int32),
        group_weight=jnp.asarray(0.5, kind),
        group_volume=jnp.asarray(0.5, kind),
        group_stockable=jnp.ones(NODES, bool),
    )


def make_case(
    *,
    backorder: tuple[bool, ...] = (False,),
    samples: int = 3,
    priority: bool = True,
    seed: int = 0,
    evening: bool = False,
) -> Case:
    """A random network, items and scenarios; everything in the float type that JAX is set to."""
    rng = np.random.default_rng(seed)
    network = make_network(rng, backorders=any(backorder), priority=priority, evening=evening)
    block = make_block(rng, backorder)
    batch = len(backorder) * samples
    demand = rng.gamma(0.8, 1.2, (PERIODS, WAVES, SPEEDS, REGIONS, batch))
    scenarios = Scenarios(
        jnp.asarray(demand, _float()),
        jnp.asarray(rng.integers(1, VENDOR_LIMIT + 1, (PERIODS, OFFERS, batch)), jnp.int32),
        jnp.asarray(rng.integers(1, LANE_LIMIT + 1, (PERIODS, LANES, batch)), jnp.int32),
    )
    return Case(network, block, scenarios, make_lists(network, block), samples)


def perishable(case: Case, lives: tuple[int, ...], *, seed: int = 5) -> Case:
    """The case with shelf lives (0: keeps); a part of the stock at the start is old already."""
    rng, network, block = np.random.default_rng(seed), case.network, case.block
    life = np.asarray([life or np.iinfo(np.int32).max for life in lives])
    rows = max(lives) + (1 if network.evening else 0)
    slow = np.zeros(network.nodes, int)
    np.maximum.at(slow, np.asarray(network.lane_from), np.asarray(network.lane_lead, int))
    part = np.cumsum(rng.uniform(0, 1 / rows, (rows, network.nodes, len(lives))), axis=0)
    part = np.where(np.arange(1, rows + 1)[:, None, None] >= life, 1.0, part) * (np.asarray(lives) > 0)
    kind = block.volume.dtype
    shelf = ShelfLife(
        life=jnp.asarray(life, jnp.int32),
        waste_cost=jnp.asarray(rng.uniform(0.5, 2, len(lives)), kind),
        stale=jnp.asarray(part, kind) * block.on_hand,
        outlive=jnp.asarray(np.where(np.asarray(lives) > 0, slow[:, None], 0), jnp.int32),
    )
    block = eqx.tree_at(lambda b: b.shelf, block, shelf, is_leaf=lambda leaf: leaf is None)
    return replace(case, block=block)


def transshipping(case: Case, *, seed: int = 7) -> Case:
    """The case with lanes of transshipment between nodes 2 and 3, and from 3 back to 1, and numbers of a rule."""
    rng, network, block, kind = np.random.default_rng(seed), case.network, case.block, case.block.volume.dtype
    start, end = (2, 3, 3), (3, 2, 1)

    def real(*shape: int, low: float = 0.1, high: float = 1.0) -> jax.Array:
        return jnp.asarray(rng.uniform(low, high, shape), kind)

    more = {"lane_share": jnp.zeros(3, kind), "lane_lead": jnp.asarray([1.0, 2.0, 1.0], kind)}
    more |= {name: real(3) for name in ("lane_cost_unit", "lane_cost_kg", "lane_carbon_kg")}
    more["lane_urgency"] = jnp.zeros(3, jnp.int32)
    joined = {name: jnp.concatenate([getattr(network, name), leaf]) for name, leaf in more.items()}
    ends = {"lane_from": LANE_FROM + start, "lane_to": LANE_TO + end, "transship": ((3, 4, 5),)}
    network = replace(network, **joined, **ends)
    items = block.items
    spare = Spare(jnp.ones((3, items), bool), block.end_value)
    share = jnp.concatenate([block.source_share, jnp.zeros((3, items), kind)])
    block = replace(block, source_share=share, spare=spare)
    lead = case.scenarios.lane_lead
    new = jnp.asarray(rng.integers(1, LANE_LIMIT + 1, (lead.shape[0], 3, lead.shape[2])), jnp.int32)
    scenarios = eqx.tree_at(lambda s: s.lane_lead, case.scenarios, jnp.concatenate([lead, new], axis=1))
    shape = (network.buckets, 3, items)
    numbers = SpareNumbers(
        keep=real(*shape, low=0, high=2),
        cover=real(*shape, low=0, high=4),
        used=real(*shape),
        rate=real(network.buckets, NODES, items, low=0, high=0.6),
        days=jnp.full((network.buckets, NODES, items), 3, jnp.int32),
    )
    return Case(network, block, scenarios, replace(case.lists, spare=numbers), case.samples)


def make_lists(network: Network, block: ItemBlock) -> PreferenceLists:
    """Unpriced lists of every bucket, a little different from bucket to bucket."""
    dither = jnp.zeros(network.eligible.shape, network.outbound_unit.dtype)

    def at(price: jax.Array) -> PreferenceLists:
        return preference_lists(network, block.group_weight, block.group_stockable, price, dither, ROUNDS)

    prices = np.zeros((network.buckets, network.nodes))
    prices[-1, 1] = 2.5
    return jax.vmap(at)(jnp.asarray(prices, network.outbound_unit.dtype))


def make_policy(case: Case, name: str, *, protection: bool = False, seed: int = 1) -> AbstractPolicy:
    """A policy at random levels that are neither idle nor flooded."""
    rng = np.random.default_rng(seed)
    shape = (case.network.buckets, case.network.nodes, case.block.items)
    kind = case.block.volume.dtype

    def level(low: float, high: float) -> jax.Array:
        return jnp.asarray(rng.uniform(low, high, shape), kind)

    at = StartingPoint(level(4, 14), level(10, 30), level(1, 4), level(2, 6), jnp.ones(shape, kind))
    policy = policy_family(name, protection).start(case.network, case.block, at)
    return jax.tree.map(lambda leaf: leaf * jnp.asarray(rng.uniform(0.8, 1.2, leaf.shape), kind), policy)


def direction(tree: eqx.Module, seed: int = 2) -> eqx.Module:
    """A random direction in the space of a tree of parameters; what is 0 (a closed source) stays 0."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: leaf * jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype), tree)


def shifted(tree: eqx.Module, along: eqx.Module, step: float) -> eqx.Module:
    """The tree moved by `step` along a direction."""
    return jax.tree.map(lambda leaf, move: leaf + step * move, tree, along)
