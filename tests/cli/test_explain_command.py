"""`meio explain` on a finished run: the item as its run saw it."""

import json

import numpy as np
import polars as pl
import pytest
from helpers import close
from small_runs import Command, Finished, usual_promotion

from meio_jax.explain import explain
from meio_jax.items.marginal import scenario_weights
from meio_jax.items.one_item import item_of_run
from meio_jax.runs.run import config_of_run

# Sums of float32 over tens of scenarios and days.
ROUNDING = 2e-4


def test_json_adds_up_and_agrees_with_the_plan(meio: Command, finished: Finished) -> None:
    called = meio("explain", finished.folder, "--item", "A", "--node", "fc1", "--json", "--scenarios", 6)
    assert called.status == 0, called.err
    found = json.loads(called.out)
    close(sum([*found["terms"].values(), *found["charges"].values()]), found["slope"], tolerance=1e-6)
    close(sum(found["slope_by_bucket"]), found["slope"], tolerance=1e-6)
    targets = pl.read_parquet(finished.folder / "plan" / "targets.parquet").filter(item_id="A", node_id="fc1")
    close(np.asarray(found["targets"]), targets.sort("bucket")["target"].to_numpy(), tolerance=ROUNDING)
    stock = pl.read_parquet(finished.folder / "plan" / "expected_nodes.parquet").filter(item_id="A", node_id="fc1")
    close(found["mean_on_hand"], stock["on_hand"].item(), tolerance=ROUNDING)
    assert {place["node_id"] for place in found["places"]} == {"dc1", "fc1", "fc2"}
    # The priority list of the whole catalog has the same value of the next unit, from the same six scenarios.
    units = pl.read_parquet(finished.folder / "plan" / "unit_values.parquet")
    assert units["next_value"].is_sorted(descending=True)
    worth = units.filter(item_id="A", node_id="fc1").row(0, named=True)
    close(worth["next_value"], found["worth_today"], tolerance=5e-3)
    assert worth["on_hand"] == found["today"]
    assert worth["last_value"] >= worth["next_value"] - 0.02 * abs(worth["next_value"])


@pytest.mark.parametrize("item", ["A", "C"])
def test_the_item_alone_costs_what_it_cost_in_the_catalog(finished: Finished, item: str) -> None:
    with usual_promotion():
        instance = config_of_run(finished.folder).instance.path
        one = item_of_run(finished.folder, instance, config_of_run(finished.folder), item)
        batches = one.scenarios(6)
        costs = batches.costs(one.problem, one.policy)
        terms, _ = batches.reported(one.problem, scenario_weights(one.settings, costs), one.policy)
    expected = pl.read_parquet(finished.folder / "plan" / "expected_items.parquet").filter(item_id=item)
    close(float(terms.cost.sum()), expected["total_cost"].item(), tolerance=ROUNDING)


def test_slopes_are_those_of_small_steps(finished: Finished) -> None:
    with usual_promotion():
        config = config_of_run(finished.folder)
        one = item_of_run(finished.folder, config.instance.path, config, "B")
        found = explain(one, "fc2", 6)
        batches = one.scenarios(6)
        weights = scenario_weights(one.settings, batches.costs(one.problem, one.policy))

        def money(step: float) -> float:
            leaf = one.policy.target
            shifted = type(one.policy)(leaf.at[:, one.instance.ids.nodes.index("fc2")].add(step))
            return float(batches.value(one.problem, weights, shifted)[0].total)

        # Piecewise linear in the level: a step that crosses few kinks is nearly exact; float32 limits it from below.
        close(found.slope, (money(0.02) - money(-0.02)) / 0.04, tolerance=0.08)


def test_words_and_tables(meio: Command, finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    # A path as it is typed: relative to the working directory.
    monkeypatch.chdir(finished.folder.parent)
    called = meio("explain", finished.folder.name, "--item", "B", "--scenarios", 6)
    assert called.status == 0, called.err
    for part in ("A unit more would save", "In whole units", "All sites of B", "holdout scenarios"):
        assert part in called.out, part


def test_an_unknown_item_or_site_ends_with_status_2(meio: Command, finished: Finished) -> None:
    called = meio("explain", finished.folder, "--item", "Z")
    assert called.status == 2
    assert "'Z'" in called.err
    called = meio("explain", finished.folder, "--item", "C", "--node", "fc2", "--scenarios", 6)
    assert called.status == 2
    assert "choose one of" in called.err
    called = meio("explain", finished.folder / "nowhere", "--item", "A")
    assert called.status == 2
    assert "instance.json" in called.err
