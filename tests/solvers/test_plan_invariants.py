"""What holds for plans of any instance: order of items, idle nodes, more capacity, and bounds that only rise."""

import numpy as np
import polars as pl
import pytest

pytest.importorskip("highspy")

from solvers.newsvendor_network import Size, random_tables
from solvers.two_stage import configuration, orders_of

from meio_jax.planner import Model, prepare, search
from meio_jax.solve import Solution
from meio_jax.tables import Tables

SMALL = Size(items=3, nodes=2, regions=2, paths=16)
SHORT, LONG = 20, 250
TABLES = ("items", "nodes", "regions", "speeds", "transit", "cutoffs", "shares", "offers", "resources", "forecast")


def changed(tables: Tables, **frames: pl.DataFrame) -> Tables:
    """The instance with some tables replaced."""
    return Tables.from_frames(tables.settings, **{name: getattr(tables, name) for name in TABLES} | frames)


def planned(tables: Tables, steps: int) -> tuple[Model, Solution, list[float]]:
    """A search, and the best bound after every step."""
    model, bounds = prepare(tables, configuration(SMALL, steps)), []
    solution = search(model, on_step=lambda state, step, trace: bounds.append(float(state.dual.bound)))
    return model, solution, bounds


def test_the_order_of_items_does_not_matter_and_the_best_bound_never_falls() -> None:
    tables = random_tables(3, SMALL, several=True)
    model, solution, bounds = planned(tables, SHORT)
    assert np.all(np.diff(bounds) >= 0)
    assert bounds[-1] > bounds[0]
    backwards = {name: getattr(tables, name)[::-1] for name in ("items", "offers", "forecast")}
    other, permuted, _ = planned(changed(tables, **backwards), SHORT)
    place = [other.instance.ids.items.index(name) for name in model.instance.ids.items]
    np.testing.assert_allclose(orders_of(other, permuted)[place], orders_of(model, solution), rtol=1e-4, atol=1e-3)


def test_a_node_that_nobody_may_use_changes_nothing() -> None:
    tables = random_tables(3, SMALL, several=True)
    model, solution, _ = planned(tables, SHORT)
    idle = tables.nodes[-1:].with_columns(node_id=pl.lit("nodes-idle"))
    wider, with_idle, _ = planned(changed(tables, nodes=pl.concat([tables.nodes, idle])), SHORT)
    keep = [wider.instance.ids.nodes.index(name) for name in model.instance.ids.nodes]
    orders = orders_of(wider, with_idle)
    np.testing.assert_allclose(orders[:, keep], orders_of(model, solution), rtol=1e-4, atol=1e-3)
    assert np.all(np.delete(orders, keep, axis=1) == 0)


def test_cost_does_not_rise_with_capacity() -> None:
    tables = random_tables(1, SMALL, several=False)
    costs = []
    for factor in (0.7, 0.85, 1.0, 1.5):
        resources = tables.resources.with_columns(capacity=factor * pl.col("capacity"))
        _, solution, _ = planned(changed(tables, resources=resources), LONG)
        costs.append(float(solution.best_evaluation.value))
    # Each search ends within a thousandth of its optimum.
    assert np.all(np.diff(costs) <= 1e-3 * costs[0])
    assert costs[-1] < 0.99 * costs[0]
