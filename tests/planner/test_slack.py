"""What items could still save, where that follows by hand."""

from __future__ import annotations

from dataclasses import replace

import jax
import pytest
from one_node import demand, instance, item, offer, settings

from meio_jax.certify.slack import Effort, Slack, estimate_slack
from meio_jax.planner.model import Model, newsvendor_at, prepare
from meio_jax.planner.searching import search
from meio_jax.solver.solve import Solution

NAMES = [f"item {number}" for number in range(6)]
LOST = 100.0


@pytest.fixture(scope="module")
def found() -> tuple[Model, Solution]:
    tables = instance(
        [item(name, lost_sale_cost=LOST) for name in NAMES],
        [offer(name, 1.0) for name in NAMES],
        [row for name in NAMES for row in demand(name, 10.0)],
        on_hand=[{"item_id": name, "node_id": "site", "units": 10.0} for name in NAMES],
    )
    model = prepare(tables, settings(max_steps=60, min_steps=60, confirm=False))
    return model, search(model)


def slack_at(found: tuple[Model, Solution], share: float) -> Slack:
    """Slack of the plan with its levels at a share of what they are."""
    model, solution = found
    levels = jax.tree.map(lambda leaf: share * leaf, solution.state.items.plan(solution.improved))
    changed = solution.with_best(replace(solution.state.items, best=levels))
    effort = Effort(items=len(NAMES), scenarios=16)
    newsvendor = lambda problem: newsvendor_at(model, problem, solution.list_prices)
    return estimate_slack(model.given, changed, newsvendor, effort, stationary=model.stationary)


@pytest.mark.slow
def test_slack_is_what_the_best_levels_save(found: tuple[Model, Solution]) -> None:
    """Ten a day, a day of lead time, holding 1 and losing 100 a unit: a level of 20 sells all and keeps none.

    With nothing ordered after the first day all is lost from the second on, so that nearly all that is paid is saved.
    """
    assert slack_at(found, 1.0).share < 0.02
    worst = slack_at(found, 0.0)
    assert worst.items == len(NAMES)
    assert worst.share == pytest.approx(1.0, abs=0.05)
    # At four fifths of the level four of ten are lost each day, and holding is what it was.
    assert slack_at(found, 0.8).share == pytest.approx(1.0, abs=0.08)
