"""What holds for plans of any instance: order of items, idle nodes, more capacity, and bounds that only rise."""

import jax
import numpy as np
import polars as pl
import pytest

pytest.importorskip("highspy")

from solvers.newsvendor_network import Size, random_tables
from solvers.two_stage import configuration, orders_of

from meio_jax.planner import Model, prepare, search
from meio_jax.solver.solve import Solution
from meio_jax.tables import Tables

SMALL = Size(items=3, nodes=2, regions=2, paths=16)
SHORT, LONG = 20, 250
TABLES = ("items", "nodes", "regions", "speeds", "transit", "cutoffs", "shares", "offers", "resources", "forecast")


def changed(tables: Tables, **frames: pl.DataFrame) -> Tables:
    """The instance with some tables replaced."""
    return Tables.from_frames(tables.settings, **{name: getattr(tables, name) for name in TABLES} | frames)


def planned(tables: Tables, steps: int) -> tuple[Model, Solution, list[float]]:
    """A search, and the best Lagrangian value after every step."""
    model, bounds = prepare(tables, configuration(SMALL, steps)), []
    solution = search(model, on_step=lambda state, step, trace: bounds.append(float(state.shared.dual.bound)))
    return model, solution, bounds


@pytest.fixture(scope="module")
def short() -> tuple[Tables, Model, Solution, list[float]]:
    """A short search, and the instance it is of."""
    tables = random_tables(3, SMALL, several=True)
    with jax.numpy_dtype_promotion("standard"):
        return tables, *planned(tables, SHORT)


@pytest.mark.slow
def test_the_best_bound_never_falls(short: tuple) -> None:
    *_, solution, bounds = short
    values = [step.lagrangian for step in solution.history]
    assert len(bounds) == len(values) == SHORT
    assert np.all(np.diff(bounds) >= 0)
    np.testing.assert_allclose(bounds, np.maximum.accumulate(values), rtol=1e-5)
    # The values themselves fall at times, so a bound that only followed them would show.
    assert np.any(np.diff(values) < 0)


@pytest.mark.slow
def test_permuting_items_permutes_the_plan(short: tuple) -> None:
    tables, model, solution, _ = short
    backwards = {name: getattr(tables, name)[::-1] for name in ("items", "offers", "forecast")}
    other, permuted, _ = planned(changed(tables, **backwards), SHORT)
    assert list(other.instance.items) == list(model.instance.items)[::-1]
    orders, moved = orders_of(model, solution), orders_of(other, permuted)
    np.testing.assert_allclose(moved[::-1], orders, rtol=1e-4, atol=1e-3)
    # Items differ, so a plan that took one item for another would show.
    assert np.abs(moved - orders).max() > 1


@pytest.mark.slow
def test_a_node_that_nobody_may_use_changes_nothing(short: tuple) -> None:
    tables, model, solution, _ = short
    idle = tables.nodes[-1:].with_columns(node_id=pl.lit("nodes-idle"))
    wider, with_idle, _ = planned(changed(tables, nodes=pl.concat([tables.nodes, idle])), SHORT)
    keep = [wider.instance.ids.nodes.index(name) for name in model.instance.ids.nodes]
    orders = orders_of(wider, with_idle)
    np.testing.assert_allclose(orders[:, keep], orders_of(model, solution), rtol=1e-4, atol=1e-3)
    assert np.all(np.delete(orders, keep, axis=1) == 0)
    ours, theirs = (one.best_evaluation.value for one in (solution, with_idle))
    assert float(theirs) == pytest.approx(float(ours), rel=1e-5)


@pytest.mark.slow
def test_cost_does_not_rise_with_capacity() -> None:
    tables = random_tables(1, SMALL, several=False)
    costs = []
    for factor in (0.7, 1.0, 1.5):
        resources = tables.resources.with_columns(capacity=factor * pl.col("capacity"))
        _, solution, _ = planned(changed(tables, resources=resources), LONG)
        costs.append(float(solution.best_evaluation.value))
    # Each search ends within a thousandth of its optimum.
    assert np.all(np.diff(costs) <= 1e-3 * costs[0])
    assert costs[-1] < 0.99 * costs[0]
