"""Everything that a policy decides is in the tables of a plan, under the ids of the instance."""

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from helpers import close
from marks import some_slow
from tiny import tiny_tables

from meio_jax.errors import InputError
from meio_jax.instance import Instance, build_instance
from meio_jax.plans.decisions import decide
from meio_jax.plans.levels import policy_of_tables
from meio_jax.plans.policy_tables import policy_frames
from meio_jax.policy import POLICIES, AbstractPolicy, StartingPoint, policy_family
from meio_jax.policy.protected import Protected
from meio_jax.runs.portable import named_leaves

# Values are copied, and shares divided in double precision.
COPIED = 1e-6


@pytest.fixture(scope="module")
def instance() -> Instance:
    """Blocks of one item, so that a block has a name."""
    return build_instance(tiny_tables(), block_items=1)


def drawn(instance: Instance, name: str, *, protection: bool, stationary: bool = False) -> AbstractPolicy:
    """A policy for all blocks, every value of it another; what starts at zero (a closed source) stays zero."""
    rng = np.random.default_rng(0)
    network = instance.network
    shape = (1 if stationary else network.buckets, network.nodes, 1)
    at = StartingPoint(*[jnp.asarray(rng.uniform(100, 200, shape), jnp.float32) for _ in range(5)])
    family = policy_family(name, protection)
    blocks = [
        family.start(network, jax.tree.map(lambda leaf, b=b: leaf[b], instance.catalog.block), at)
        for b in range(instance.layout.blocks)
    ]
    policy = jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)
    return jax.tree.map(lambda leaf: leaf * jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), leaf.dtype), policy)


def item_of(instance: Instance, block: int) -> str:
    return instance.items[int(instance.layout.item[block, 0])]


def decided(instance: Instance, frame: pl.DataFrame, column: str, second: str) -> dict[tuple, float]:
    """A column by item, the id of its row, and bucket."""
    return {row[:3]: row[3] for row in frame.select("item_id", second, "bucket", column).iter_rows()}


@pytest.mark.parametrize("stationary", [False, True])
@pytest.mark.parametrize("protection", [False, True])
@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_parameter_is_written(instance: Instance, name: str, protection: bool, stationary: bool) -> None:
    policy = drawn(instance, name, protection=protection, stationary=stationary)
    frames = dict(policy_frames(instance, policy))
    inner = policy.replenishment if isinstance(policy, Protected) else policy
    nodes, buckets = instance.ids.nodes, instance.network.buckets
    for parameter in inner.parameters():
        leaf = np.asarray(getattr(inner, parameter))
        if parameter == "source_weight":
            continue
        assert leaf.shape[2] == len(nodes), f"{name}.{parameter}: no table holds it"
        seen = decided(instance, frames["plan/targets"], parameter, "node_id")
        assert len(seen) == frames["plan/targets"].height
        for (item, node, bucket), value in seen.items():
            block = next(b for b in range(instance.layout.blocks) if item_of(instance, b) == item)
            at = 0 if stationary else bucket
            close(value, leaf[block, at, nodes.index(node), 0], tolerance=COPIED, what=f"{parameter} of {item}")
        assert {key[2] for key in seen} == set(range(buckets))
    assert ("plan/protection" in frames) == protection
    network = instance.network
    sources = len(network.offer_node) + len(network.lane_from)
    sizes = {"nodes": network.nodes, "sources": sources, "levels": network.nodes * (network.speeds - 1)}
    axes = policy.row_axes()
    for path, leaf in named_leaves(policy).items():
        assert leaf.shape[2] == sizes[axes[path]], path
    assert ("plan/shares" in frames) == (name == "shares")


def test_columns_without_a_parameter_are_empty(instance: Instance) -> None:
    targets = dict(policy_frames(instance, drawn(instance, "base_stock", protection=False)))["plan/targets"]
    assert targets["fast_target"].null_count() == targets["order_cap"].null_count() == targets.height
    assert targets["target"].null_count() == 0


def test_protection_by_speed_and_node(instance: Instance) -> None:
    policy = drawn(instance, "base_stock", protection=True)
    assert isinstance(policy, Protected)
    levels = np.asarray(policy.protection)
    frame = dict(policy_frames(instance, policy))["plan/protection"]
    # The fastest speed leaves nothing to anybody; of two speeds the second has one row per node.
    assert set(frame["speed_id"]) == {instance.ids.speeds[1]}
    for (item, node, bucket), value in decided(instance, frame, "units", "node_id").items():
        block = next(b for b in range(instance.layout.blocks) if item_of(instance, b) == item)
        close(value, levels[block, bucket, instance.ids.nodes.index(node), 0], tolerance=COPIED)
    assert frame.height == int((levels > 0).sum())


def test_shares_of_a_node_sum_to_one(instance: Instance) -> None:
    frame = dict(policy_frames(instance, drawn(instance, "shares", protection=False)))["plan/shares"]
    totals = frame.group_by("item_id", "node_id", "bucket").agg(pl.col("share").sum())
    close(totals["share"].to_numpy(), np.ones(totals.height), tolerance=COPIED)
    # Item A reaches fc1 from vendor v2 and from dc1, and dc1 from v1 only (see the tiny instance).
    of_a = frame.filter(item_id="A", node_id="fc1", bucket=0)
    assert of_a.select("source", "source_id").rows() == [("node", "dc1"), ("vendor", "v2")]
    assert frame.filter(item_id="A", node_id="dc1")["source_id"].unique().to_list() == ["v1"]
    assert frame.filter(item_id="C")["source_id"].unique().to_list() == ["v2"]


@pytest.mark.parametrize(("item", "vendor", "stock"), [("A", "v2", 10.0), ("C", "v2", 30.0)])
def test_orders_follow_the_shares(instance: Instance, item: str, vendor: str, stock: float) -> None:
    """What fc1, which supplies no other node, buys today: its share of what will be missing tonight, in whole packs."""
    policy = drawn(instance, "shares", protection=False)
    frames = dict(policy_frames(instance, policy))
    row = {"item_id": item, "node_id": "fc1", "bucket": 0}
    target = frames["plan/targets"].filter(**row)["target"].item()
    share = frames["plan/shares"].filter(**row, source="vendor", source_id=vendor)["share"].item()
    slot = instance.network.offer_node.index(instance.ids.nodes.index("fc1"))
    sold = expected_sales(instance, item, slot, stock)
    bought = decide(instance, policy).bought[slot, instance.items.index(item)]
    pack = instance.tables.offers.filter(item_id=item, vendor_id=vendor)["pack_size"].item()
    missing = share * (target - stock + sold)
    # Half a unit may stay open, and a pack is whole.
    assert missing - 0.5 <= bought < missing + pack
    assert bought % pack == 0


def expected_sales(instance: Instance, item: str, slot: int, stock: float) -> float:
    """Mean demand of the first day of those classes whose cheapest eligible node is the offer's."""
    node, at = instance.network.offer_node[slot], instance.items.index(item)
    block = next(b for b in range(instance.layout.blocks) if item_of(instance, b) == item)
    own = float(instance.catalog.block.own_share[block, node, 0])
    mean = float(np.asarray(instance.catalog.block.mean_demand)[block, 0, 0])
    assert at >= 0
    return min(own * mean, stock)


@pytest.mark.parametrize("protection", [False, True])
@pytest.mark.parametrize("name", some_slow(sorted(POLICIES), quick=["dual_index", "projected_level"]))
def test_tables_read_back_order_the_same(instance: Instance, name: str, protection: bool) -> None:
    """In blocks of another size, by the parameters of each bucket: today's orders to the last digit that is kept."""
    frames = dict(policy_frames(instance, drawn(instance, name, protection=protection)))
    other = build_instance(tiny_tables(), block_items=3)
    for bucket in range(instance.network.buckets):
        policy = drawn(instance, name, protection=protection)
        now = jax.tree.map(lambda leaf, b=bucket: leaf[:, b : b + 1], policy)
        again = policy_of_tables(other, name, frames, bucket)
        assert all(leaf.shape[1] == 1 for leaf in jax.tree.leaves(again))
        ours, theirs = decide(instance, now), decide(other, again)
        assert np.max(ours.bought) > 0
        assert np.max(ours.moved) > 0
        np.testing.assert_array_equal(theirs.bought, ours.bought)
        np.testing.assert_array_equal(theirs.moved, ours.moved)


def test_tables_of_another_policy_are_refused(instance: Instance) -> None:
    frames = dict(policy_frames(instance, drawn(instance, "base_stock", protection=False)))
    with pytest.raises(InputError, match="fast_target"):
        policy_of_tables(instance, "dual_index", frames, 0)
