"""The network's correction: what it sees, by hand; none where it must not; the same file, order and run."""

import json
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Case, close, make_case, make_policy
from marks import some_slow
from tiny import tiny_tables

import meio_jax as mj
from meio_jax.config.corrections import packaged_correction
from meio_jax.config.settings import dump_config, load_config, make_config
from meio_jax.errors import InputError
from meio_jax.instance import build_instance
from meio_jax.model.correction import Correction, first_weights, output, weight_count
from meio_jax.model.network import ItemBlock, Network
from meio_jax.plans.decisions import decide
from meio_jax.plans.levels import policy_of_tables
from meio_jax.plans.policy_tables import policy_frames
from meio_jax.policy.base import Ages, Arrival, StartingPoint
from meio_jax.policy.neural import INPUTS, Learner, Neural, NeuralFamily, corrected, inputs
from meio_jax.policy.projected_level import ProjectedLevel
from meio_jax.policy.registry import policy_family
from meio_jax.runs.checkpoint import check_identity
from meio_jax.runs.resume import identity
from meio_jax.simulation.first_orders import first_orders
from meio_jax.simulation.outcome import Record
from meio_jax.simulation.outlook import Expectation, due_by_day, expected_arrival, flow_of, outlooks
from meio_jax.simulation.rollout import rollout

slow = pytest.mark.slow

ROUNDING = 1e-9
SIZES = (INPUTS, 5, 1)
ANYTHING = (np.full(6, -1e6), np.full(6, 1e6))
# Node 3 sells, and is supplied by node 1 alone, in two periods.
SHOP = 3


def network(weights: np.ndarray | None = None, bounds: tuple = ANYTHING, sizes: tuple[int, ...] = SIZES) -> Correction:
    """A network with drawn weights, or these, that was trained on anything, or within these bounds."""
    drawn = 0.3 * np.random.default_rng(5).standard_normal(weight_count(sizes))
    return Correction.around(drawn if weights is None else weights, sizes, *bounds, {})


def orders_of(case: Case, policy: Neural | ProjectedLevel) -> jax.Array:
    """What is bought now."""
    return _orders(case.network, policy, case.block)


@eqx.filter_jit
def _orders(network: Network, policy: Neural | ProjectedLevel, block: ItemBlock) -> jax.Array:
    return first_orders(network, policy, block).offer


def seen(case: Case, *, stock: float = 20.0, late: float = 0.0) -> Arrival:
    """What the shop expects in period 0, with ages; `late` more is due after everything else."""
    return _seen((case.network, case.block), stock, late)


@eqx.filter_jit
def _seen(around: tuple, stock: float, late: float) -> Arrival:
    network, block = around
    flow = flow_of(network, block, ages=True)
    forecast = jax.tree.map(lambda leaf: leaf[0], outlooks(network, block, flow, before=False))
    due = due_by_day(network, block.vendor_pipeline, block.lane_pipeline)
    there = jnp.full((network.nodes, block.items), stock)
    on_order = due[:, 1:].sum(1) + late
    return expected_arrival(network, Expectation(flow, forecast), there, due, on_order, (SHOP,))


def arrival(**changes: float) -> Arrival:
    """One row: four units expected, three to be covered, with a deviation of two."""
    one = lambda value: jnp.full((1, 1), value)
    fields = {"early": 0.5, "unmet": 0.1, "variance": 4.0, "deviation": 2.0, "lead": 2.0, "gap": 1.0, "lost": 1.0}
    values = {name: one(changes.get(name, value)) for name, value in fields.items()}
    ages = Ages(late=jnp.asarray([1.0, -1.0, 0.0, 0.0])[:, None, None], **values)
    return Arrival(one(4.0), one(changes.get("cover", 3.0)), one(3.0), one(1.0), ages)


@pytest.mark.parametrize("evening", [False, True])
def test_ages_add_up_to_what_is_expected(x64: None, evening: bool) -> None:
    case = make_case(backorder=(False, True), evening=evening)
    found = seen(case, stock=1.0, late=2.5)
    ages = found.ages
    assert ages is not None
    close(ages.late.sum(0) + ages.early + ages.unmet + 2.5, found.stock, tolerance=ROUNDING)
    close(ages.unmet[0, 1], 0.0, tolerance=1e-9)
    assert float(ages.unmet[0, 0]) > 0


def test_ages_by_hand(x64: None) -> None:
    case = make_case()
    block = eqx.tree_at(lambda b: b.own_share, case.block, case.block.own_share.at[SHOP].set(1))
    case = replace(case, block=block)
    demand, lane = np.asarray(block.mean_demand)[:, 0], np.asarray(block.lane_pipeline)[2, :, 0]
    ages = seen(case).ages
    assert ages is not None
    assert float(ages.lead[0, 0]) == 2
    # The day before the arrival, with what comes on the day itself; and today, with what is in stock.
    close(ages.late[0, 0, 0], lane[1:].sum() - demand[1], tolerance=ROUNDING)
    close(ages.late[1, 0, 0], 20 - demand[0], tolerance=ROUNDING)
    assert not np.any(np.asarray(ages.late)[2:])


def test_a_policy_that_does_not_ask_is_given_no_ages(x64: None) -> None:
    case = make_case()
    assert not eqx.filter_eval_shape(flow_of, case.network, case.block).ages
    target = make_policy(case, "projected_level").target
    assert not ProjectedLevel(target).sees_ages
    assert not Neural(target).sees_ages
    assert Neural(target, network()).sees_ages


def test_inputs_have_no_scale() -> None:
    """Ten times as many units, in deviations as before: all inputs but the size of demand itself."""
    small, level = arrival(), jnp.full((1, 1), 6.0)
    large = jax.tree.map(lambda leaf: 10 * leaf, small)
    ages, again = small.ages, large.ages
    assert ages is not None
    assert again is not None
    large = eqx.tree_at(
        lambda a: (a.ages.variance, a.ages.lead, a.ages.gap, a.ages.lost),
        large,
        (100 * ages.variance, ages.lead, ages.gap, ages.lost),
    )
    close(inputs(large, 10 * level)[:-1], inputs(small, level)[:-1], tolerance=1e-6)
    assert inputs(small, level).shape[0] == SIZES[0]


def test_output_by_hand() -> None:
    weights = jnp.asarray([1.0, 2.0, 0.5, 3.0, -1.0])
    close(
        output(weights, (2, 1, 1), jnp.asarray([[0.3], [0.1]])),
        np.asarray([3 * np.tanh(0.3 + 0.2 + 0.5) - 1]),
        tolerance=1e-6,
    )


def test_a_network_that_answers_nought_is_the_projected_level(x64: None) -> None:
    case = make_case(backorder=(False, True))
    plain = make_policy(case, "projected_level")
    first = plain.target[0]
    blank = network(first_weights(SIZES, seed=1))
    np.testing.assert_array_equal(orders_of(case, Neural(first, blank)), orders_of(case, ProjectedLevel(first)))


@slow
def test_a_rollout_with_such_a_network_is_that_of_the_projected_level(x64: None, lost: Case) -> None:
    plain = make_policy(lost, "projected_level")

    @eqx.filter_jit
    def costs(policy: Neural | ProjectedLevel) -> jax.Array:
        return rollout(lost.network, policy, lost.block, lost.scenarios, lost.lists).costs.total

    blank = network(first_weights(SIZES, seed=1))
    usual = np.asarray(costs(plain))
    # Programs of two policies round in another order.
    close(costs(Neural(plain.target, blank)), usual, tolerance=1e-12)
    assert np.abs(np.asarray(costs(Neural(plain.target, network()))) - usual).max() > 1e-3 * usual.max()


@pytest.mark.parametrize("trait", some_slow(list(range(5)), quick=[2]))
def test_out_of_range_the_order_is_that_of_the_projected_level(trait: int) -> None:
    case = make_case()
    target = make_policy(case, "projected_level").target[0]
    orders = lambda policy: np.asarray(orders_of(case, policy))
    least, most = ANYTHING[0].copy(), ANYTHING[1].copy()
    least[trait], most[trait] = 1e5, 1e6
    outside = orders(Neural(target, network(bounds=(least, most))))
    np.testing.assert_array_equal(outside, orders(ProjectedLevel(target)))
    # One that answers a lot where it may.
    large = network(np.concatenate([np.zeros(weight_count(SIZES) - 1), [3.0]]))
    assert orders(Neural(target, large)).sum() > outside.sum()


def test_gradient_of_a_correction_by_differences(x64: None) -> None:
    there, level = arrival(), jnp.full((1, 1), 6.0)
    weights = jnp.asarray(network().vector(), jnp.float64)
    value = jax.jit(lambda w, x: corrected(there, x, w, SIZES)[0, 0])
    along = jnp.asarray(np.random.default_rng(1).standard_normal(weights.size))
    by_weight, by_level = jax.jit(jax.grad(value, argnums=(0, 1)))(weights, level)
    step = 1e-6
    rise = (value(weights + step * along, level) - value(weights - step * along, level)) / (2 * step)
    close(jnp.vdot(by_weight, along), rise, tolerance=1e-7)
    climb = (value(weights, level + step) - value(weights, level - step)) / (2 * step)
    close(by_level[0, 0], climb, tolerance=1e-7)


@slow
def test_gradient_of_a_rollout_by_differences(x64: None, lost: Case) -> None:
    target = make_policy(lost, "projected_level").target
    weights = jnp.asarray(network().vector(), jnp.float64)
    along = 0.1 * jnp.asarray(np.random.default_rng(2).standard_normal(weights.size))

    @jax.jit
    def cost(moved: jax.Array) -> jax.Array:
        policy = Learner(target, (weights + moved * along)[None, :, None], SIZES)
        return rollout(lost.network, policy, lost.block, lost.scenarios, lost.lists).costs.total.mean()

    step, zero = 1e-6, jnp.zeros(())
    slope = float(jax.jit(jax.grad(cost))(zero))
    assert abs(slope) > 1e-3
    close(slope, float((cost(zero + step) - cost(zero - step)) / (2 * step)), tolerance=1e-5)


@slow
@pytest.mark.parametrize("evening", [False, True])
def test_what_is_issued_is_what_every_scenario_does_first(x64: None, evening: bool) -> None:
    case = make_case(backorder=(False, True), evening=evening, samples=2)
    target = make_policy(case, "projected_level").target
    issued = first_orders(case.network, Neural(target[0], network()), case.block)
    charged = jnp.zeros_like(case.network.charged).at[0].set(1)
    around = eqx.tree_at(lambda n: n.charged, case.network, charged)
    policy, record = Neural(target, network()), Record(orders=2)
    timing = rollout(around, policy, case.block, case.scenarios, case.lists, record=record, whole=True).timing
    units = np.concatenate([issued.offer, issued.lane])
    close(timing.daily[0], units, tolerance=ROUNDING)
    assert units.sum() > 0


def test_tables_and_network_order_what_the_plan_does() -> None:
    instance = build_instance(tiny_tables(), block_items=1)
    shape = (instance.network.buckets, instance.network.nodes, 1)
    at = StartingPoint(*[jnp.asarray(np.random.default_rng(i).uniform(100, 200, shape), jnp.float32) for i in range(5)])
    # One that answers a lot: a deviation and a half more.
    net = network(np.concatenate([np.zeros(weight_count(SIZES) - 1), [1.5]]))
    family = policy_family("neural", correction=net)
    assert isinstance(family, NeuralFamily)
    blocks = [
        family.start(instance.network, jax.tree.map(lambda leaf, b=b: leaf[b], instance.catalog.block), at)
        for b in range(instance.layout.blocks)
    ]
    policy = jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)
    frames = dict(policy_frames(instance, policy))
    assert frames["plan/targets"]["target"].null_count() == 0
    first = jax.tree.map(lambda leaf: leaf[:, :1], policy)
    again = policy_of_tables(instance, "neural", frames, 0, net)
    ours = decide(instance, first)
    np.testing.assert_array_equal(decide(instance, again).bought, ours.bought)
    # The network matters: without it the orders are others.
    assert np.any(decide(instance, policy_of_tables(instance, "neural", frames, 0)).bought != ours.bought)


def test_a_network_is_read_as_it_was_written(tmp_path: Path) -> None:
    net = network()
    mj.write_correction(net, tmp_path / "net.json")
    again = mj.read_correction(tmp_path / "net.json")
    assert again == net
    assert hash(again) == hash(net)
    assert again.digest == net.digest
    assert again.digest != network(first_weights(SIZES, seed=1)).digest


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    with pytest.raises(InputError, match=r"net\.json"):
        mj.read_correction(path)
    for broken in ({}, {**network().as_dict(), "weights": "AAAA"}, {**network().as_dict(), "sizes": [3, 1]}):
        path.write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(InputError, match="network"):
            mj.read_correction(path)
    for wrong, said in ((path, "weights of a network"), (tmp_path / "none.json", "there is no such file")):
        with pytest.raises(InputError, match=r"policy\.correction") as caught:
            make_config(policy={"name": "neural", "correction": str(wrong)})
        # One message, not a message within a message.
        assert str(caught.value).count("expected") == 1
        assert said in str(caught.value)


def test_a_run_keeps_the_network_that_its_configuration_names(tmp_path: Path) -> None:
    mj.write_correction(network(), tmp_path / "net.json")
    config = make_config(policy={"name": "neural", "correction": str(tmp_path / "net.json")})
    assert config.policy.correction == network()
    (tmp_path / "net.json").unlink()
    kept = tmp_path / "config.yaml"
    kept.write_text(dump_config(config), encoding="utf-8")
    assert load_config(kept).policy.correction == network()


def test_the_network_of_the_package_is_taken_where_none_is_named() -> None:
    assert make_config(policy={"name": "neural"}).policy.correction == packaged_correction()
    assert make_config(policy={"name": "projected_level"}).policy.correction is None


def test_a_network_of_another_policy_is_refused() -> None:
    given = network().as_dict()
    with pytest.raises(InputError, match="neural"):
        make_config(policy={"name": "base_stock", "correction": given})
    with pytest.raises(ValueError, match="neural"):
        policy_family("base_stock", correction=network())


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    of = lambda net: identity(make_config(policy={"name": "neural", "correction": net.as_dict()}), {})
    mine, other = of(network()), of(network(first_weights(SIZES, seed=1)))
    check_identity(tmp_path, mine, of(network()))
    with pytest.raises(InputError, match=r"policy\.correction"):
        check_identity(tmp_path, mine, other)
    assert "policy.correction" not in identity(make_config(policy={"name": "projected_level"}), {})
