"""Capacities held in a share of the scenarios: what is counted, what is refused, what two simulators say of plans."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from one_node import demand, instance, item, offer, settings
from test_measures import RESOURCES, _tables

from meio_jax.backtest import Options, Outcome, PlanTable, simulate
from meio_jax.certify.clairvoyant import free_of_held
from meio_jax.config import make_config
from meio_jax.config.values import total_risk_of
from meio_jax.errors import InputError
from meio_jax.model.catalog import draw
from meio_jax.model.held import held_of
from meio_jax.model.network import ItemBlock
from meio_jax.model.worlds import WorldWeights
from meio_jax.planner import plan, prepare
from meio_jax.planner.finished import Plan
from meio_jax.planner.model import Model
from meio_jax.policy import AbstractPolicy
from meio_jax.scenarios import TRAINING
from meio_jax.simulation.preferences import PreferenceLists
from meio_jax.simulation.rollout import rollout
from meio_jax.solver.subproblem import block_lists, evaluate_block, usage_of
from meio_jax.tables import Tables

ASKED, REPLICATIONS = 0.9, 400
SPEND = {"kind": "spend", "measure": "money"}


def room(held_in: float | None = ASKED, capacity: float = 90.0) -> list[dict[str, Any]]:
    row = {"resource_id": "room", "kind": "storage", "node_id": "site", "measure": "units", "capacity": capacity}
    return [row if held_in is None else {**row, "held_in": held_in}]


def shop(resources: list[dict[str, Any]], days: int = 28, **more: Any) -> Tables:
    """Six items of ten a day, which a factor moves together."""
    names = [f"i{number}" for number in range(6)]
    return instance(
        [item(name, lost_sale_cost=20.0 + 10 * number) for number, name in enumerate(names)],
        [offer(name, 2) for name in names],
        [row for name in names for row in demand(name, 10.0, "negative_binomial", days)],
        days=days,
        settings={"world_factor_cv": 0.3, **more},
        resources=resources,
    )


def lived_by(found: Plan, replications: int) -> Outcome:
    """A plan in the order-by-order simulator, whose nodes order in the morning as well.

    The planner counts the sales that it expects of the day as gone, the simulator does not: ten units a day.
    """
    targets = found.frames()["plan/targets"].with_columns(pl.col("target_units") + 10)
    options = Options(storage="measure", ordering="morning")
    tables = found.model.instance.tables
    return simulate(tables, PlanTable(targets), replications=replications, options=options)


@pytest.fixture(scope="module")
def solved() -> Plan:
    return plan(shop(room()), settings(max_steps=160))


def _one_block(model: Model) -> tuple[ItemBlock, AbstractPolicy, tuple, PreferenceLists]:
    """The only block of a model: items, starting levels, sixteen training scenarios and preference lists."""
    problem, first = model.problem, lambda tree: jax.tree.map(lambda leaf: leaf[0], tree)
    leaves, settings = first(problem.catalog.per_block()), problem.settings
    scenarios = draw(settings.scenarios, problem.catalog.profiles, leaves, jnp.arange(16), TRAINING)
    lists = block_lists(problem.network, problem.resources, settings, leaves[0], problem.zero_prices())
    return leaves[0], first(problem.policy(problem.first)), scenarios, lists


def test_every_measure_of_single_scenarios_adds_up_to_that_of_all() -> None:
    rows = {name: {**row, "held_in": 0.8} for name, row in {**RESOURCES, "money": SPEND}.items()}
    model = prepare(_tables(rows, world_factor_cv=0.3), make_config(solve={"devices": 1}))
    problem, resources = model.problem, model.instance.resources
    assert len(resources.held_index) == len(rows)
    block, policy, scenarios, lists = _one_block(model)
    block = eqx.tree_at(lambda b: b.offer_cost, block, 3 * jnp.ones_like(block.offer_cost))
    held = held_of(resources, block, 16)
    outcome = eqx.filter_jit(rollout)(problem.network, policy, block, scenarios, lists, held=held, whole=True)
    found = usage_of(resources, block, outcome, worlds=True)
    of_all = np.asarray(found.used)[:, list(resources.held_index)]
    assert (of_all.sum(axis=0) > 0).all()
    np.testing.assert_allclose(np.asarray(found.worlds.used).mean(axis=-1), of_all, rtol=1e-4, atol=1e-3)
    # Transfers of these items are the same in every world.
    assert (np.asarray(found.worlds.used).std(axis=-1).sum(axis=0) > 0).sum() == len(rows) - 2
    cost = np.asarray(outcome.costs.total).reshape(block.items, -1).sum(axis=0)
    np.testing.assert_allclose(np.asarray(found.worlds.cost), cost, rtol=1e-4)


def test_slopes_of_weighted_scenarios_are_those_of_differences(x64: None) -> None:
    risk = {"measure": "cvar", "level": 0.5}
    config = make_config(precision="float64", solve={"devices": 1}, risk=risk)
    model = prepare(shop(room(capacity=40.0), days=14), config)
    problem, (block, policy, scenarios, lists) = model.problem, _one_block(model)
    rng, buckets = np.random.default_rng(1), problem.network.buckets
    weights = WorldWeights(jnp.asarray(rng.gamma(1, 1, (buckets, 1, 16))), jnp.asarray(rng.gamma(1, 1, 16)))
    prices = jnp.full_like(problem.zero_prices(), 2.0)

    @eqx.filter_jit
    def priced(levels: AbstractPolicy, weights: WorldWeights | None) -> jax.Array:
        around = (problem.network, model.instance.resources, problem.settings, levels, block, scenarios, prices, lists)
        return evaluate_block(*around, weights=weights)[0]

    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), policy)
    moved = lambda step: jax.tree.map(lambda leaf, way: leaf + step * way, policy, direction)
    gradient = eqx.filter_grad(priced)(policy, weights)
    slope = sum(jnp.sum(leaf * way) for leaf, way in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    difference = (priced(moved(1e-5), weights) - priced(moved(-1e-5), weights)) / 2e-5
    assert float(slope) == pytest.approx(float(difference), rel=1e-4)
    # Weights that are all alike are those of the mean.
    alike = jax.tree.map(jnp.ones_like, weights)
    assert float(priced(policy, alike)) == pytest.approx(float(priced(policy, None)), rel=1e-10)
    assert float(priced(policy, weights)) != pytest.approx(float(priced(policy, None)), rel=1e-3)


@pytest.mark.slow
def test_a_room_is_kept_in_nine_worlds_of_ten_by_both_simulators(solved: Plan) -> None:
    (held,) = solved.certificate.held
    assert abs(held.kept - ASKED) < 0.01 + 3 * held.kept_error
    lived = lived_by(solved, REPLICATIONS)
    priced = solved.frames()["prices"].sort("bucket")
    tight = priced.filter(pl.col("price") > 0.1)["bucket"].to_list()
    assert len(tight) >= 2
    kept = dict(lived.capacity.select("bucket", "kept_in").iter_rows())
    chance = np.sqrt(ASKED * (1 - ASKED) / REPLICATIONS)
    for bucket in tight:
        assert abs(kept[bucket] - ASKED) < 3 * chance + 0.02, kept
    assert priced["held_in"].to_list() == [ASKED] * priced.height
    assert (priced["mean_usage"] < priced["usage"]).all()


@pytest.mark.slow
def test_on_average_the_same_room_is_kept_in_far_fewer_worlds(solved: Plan) -> None:
    other = plan(shop(room(None)), settings(max_steps=160))
    assert other.certificate.held == []
    assert "held_in" not in other.frames()["prices"].columns
    assert other.certificate.holdout_cost < solved.certificate.holdout_cost
    lived = lived_by(other, REPLICATIONS)
    assert float(lived.capacity["kept_in"].min()) < 0.75


@pytest.mark.parametrize(
    ("row", "settings", "expected"),
    [
        ({"held_in": 1.0}, {}, "above 0.5 and below 1"),
        ({"held_in": 0.5}, {}, "above 0.5 and below 1"),
        ({"held_in": 0.9}, {"ordering": "evening"}, "kept on average"),
        ({"kind": "service", "node_id": None, "capacity": 0.9, "held_in": 0.9}, {}, "floors"),
    ],
)
def test_what_cannot_be_held_is_refused(row: dict[str, Any], settings: dict[str, Any], expected: str) -> None:
    rows = [{**room()[0], **row}]
    with pytest.raises(InputError, match="held_in") as found:
        shop(rows, days=7, **settings)
    assert expected in str(found.value)


def test_risk_of_the_total_and_of_every_item_are_refused_together() -> None:
    with pytest.raises(InputError, match="expected_cost"):
        make_config(risk={"measure": "cvar"}, objective={"name": "cvar"})
    assert total_risk_of(make_config()) is None
    assert total_risk_of(make_config(risk={"measure": "cvar", "weight": 0.0})) is None
    assert total_risk_of(make_config(risk={"measure": "entropic", "aversion": 2.0})).aversion == 2.0


def test_no_price_of_a_held_capacity_enters_the_clairvoyant_bound() -> None:
    resources = prepare(shop(room(), days=7), make_config(solve={"devices": 1})).instance.resources
    assert not np.asarray(free_of_held(resources, jnp.ones_like(resources.capacity))).any()
