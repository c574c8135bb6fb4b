"""Warm starts: what is taken over from an earlier run, by item, node, offer and day."""

import dataclasses
import datetime
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from helpers import close
from polars.testing import assert_frame_equal
from small_runs import Command, Finished, config_content, usual_promotion, write_config
from tiny import tiny_frames, tiny_settings, tiny_tables

from meio_jax.config import Config, load_config, make_config
from meio_jax.distributed.sharding import own_part
from meio_jax.errors import InputError
from meio_jax.generate.next_day import NextDay, next_day
from meio_jax.instance import KINDS
from meio_jax.planner import Model, prepare
from meio_jax.planner.steady import steadied
from meio_jax.runs.checkpoint import Restored
from meio_jax.runs.portable import Basis, named_leaves
from meio_jax.runs.run import warm_config
from meio_jax.runs.saved_run import SavedRun, read_saved_run
from meio_jax.runs.warm import (
    bucket_weights,
    day_weights,
    match,
    order_days,
    prices_of,
    source_rows,
    warm_model,
)
from meio_jax.solver.solve import State
from meio_jax.tables import Tables, write_instance

# A float32 number through a product and a quotient by the same scale.
ROUNDING = 1e-6


def axes(start: str, periods: int = 14, bucket: int = 7) -> dict:
    return {"start_date": start, "periods": periods, "bucket_periods": bucket}


def test_buckets_take_from_those_that_share_their_days() -> None:
    before = axes("2025-03-03")
    same, known = bucket_weights(before, before)
    np.testing.assert_array_equal(same, np.eye(2))
    assert known.all()
    day_later, _ = bucket_weights(axes("2025-03-04"), before)
    np.testing.assert_allclose(day_later, [[6 / 7, 1 / 7], [0, 1]])
    week_later, known = bucket_weights(axes("2025-03-10"), before)
    np.testing.assert_array_equal(week_later, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(known, [True, False])
    shorter, _ = bucket_weights(axes("2025-03-03", bucket=2), before)
    np.testing.assert_array_equal(shorter.argmax(1), [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(shorter[3], [0.5, 0.5])


def test_a_node_that_orders_once_a_week_takes_from_the_bucket_of_that_day() -> None:
    """A day later the review of a week is that of the week after, as it was counted the day before."""
    before = axes("2025-03-03", periods=21)
    review = np.arange(21) % 7 == 6
    later = axes("2025-03-04", periods=21)
    weekly, daily, never = day_weights(later, before, np.stack([review, np.ones(21), np.zeros(21)], axis=1))
    # The last review lies beyond the earlier horizon: there all days count.
    np.testing.assert_array_equal(weekly, [[0, 1, 0], [0, 0, 1], [0, 0, 1]])
    plain, _ = bucket_weights(later, before)
    np.testing.assert_allclose(daily, plain, rtol=1e-12)
    np.testing.assert_array_equal(never, plain)


def config(finished: Finished, **changes: object) -> Config:
    return load_config(finished.config).model_copy(update=changes)


def warm(tables: Tables, finished: Finished, **changes: object) -> tuple[Model, State, str]:
    earlier = read_saved_run(finished.folder, tables.items["item_id"].to_list())
    with usual_promotion():
        return warm_model(tables, config(finished, **changes), earlier)


def levels(model: Model, state: State) -> dict[tuple[str, str], np.ndarray]:
    """Targets in units by item and node, over buckets."""
    instance = model.instance
    policy = model.problem.policy(state.items.raw)
    table = instance.layout.join(own_part(policy.target), len(instance.items))
    return {
        (item, node): table[:, n, i]
        for n, node in enumerate(instance.ids.nodes)
        for i, item in enumerate(instance.items)
    }


def final_levels(finished: Finished) -> dict[tuple[str, str], np.ndarray]:
    """What the run kept as its best, from its own tables."""
    frame = pl.read_parquet(finished.folder / "plan/targets.parquet").sort("bucket")
    return {key: one["target"].to_numpy() for key, one in frame.group_by(["item_id", "node_id"])}


def test_the_same_instance_takes_over_everything(finished: Finished) -> None:
    model, state, report = warm(tiny_tables(), finished)
    ours, theirs = levels(model, state), final_levels(finished)
    for key, value in theirs.items():
        close(ours[key], value, tolerance=ROUNDING, of=float(np.abs(value).max()), what=str(key))
    solution = finished.plan.solution
    close(state.shared.dual.price, solution.state.shared.dual.price, tolerance=0.0)
    close(state.shared.list_prices, solution.list_prices, tolerance=0.0)
    join = model.instance.layout.join
    before, after = (named_leaves(one.items.optimiser) for one in (solution.state, state))
    moments = [name for name in before if ".mu." in name or ".nu." in name or name.split(".")[-2:] == ["0", "count"]]
    assert len(moments) >= 2
    for name in moments:
        ours, theirs = (np.asarray(one[name]) for one in (after, before))
        if ours.ndim:
            ours, theirs = join(ours, 3), join(theirs, 3)
        close(ours, theirs, tolerance=ROUNDING, of=float(np.abs(theirs).max()), what=name)
    assert int(state.shared.step) == 0
    assert "3 of 3 items matched, 0 new, 0 dropped" in report
    assert "2 of 2 buckets" in report


def test_items_and_nodes_are_found_by_name(finished: Finished) -> None:
    """Rows of items and nodes in another order, an item gone, an item new."""
    frames = tiny_frames()
    frames["nodes"] = frames["nodes"].reverse()
    for name in ("items", "offers", "on_hand", "on_order", "forecast"):
        rename = pl.col("item_id").replace({"B": "new"})
        frames[name] = frames[name].with_columns(rename).reverse()
    tables = Tables.from_frames(tiny_settings(), **frames)
    model, state, report = warm(tables, finished)
    assert "2 of 3 items matched, 1 new, 1 dropped" in report
    ours, theirs = levels(model, state), final_levels(finished)
    for (item, node), value in theirs.items():
        if item != "B":
            close(ours[item, node], value, tolerance=ROUNDING, of=float(np.abs(value).max()), what=f"{item} {node}")
    with usual_promotion():
        first = model.problem.policy(model.problem.first).target
    started = model.instance.layout.join(np.asarray(first), 3)
    at = model.instance.items.index("new")
    node = model.instance.ids.nodes.index("fc1")
    close(ours["new", "fc1"], started[:, node, at], tolerance=ROUNDING)
    moments = named_leaves(state.items.optimiser)
    mu = model.instance.layout.join(np.asarray(next(v for k, v in moments.items() if ".mu." in k)), 3)
    assert not mu[:, :, at].any()
    assert mu.any()


def test_prices_follow_their_capacity_and_their_days(finished: Finished) -> None:
    earlier = read_saved_run(finished.folder)
    names = earlier.axes["resources"]
    later = {**earlier.axes, "start_date": "2025-03-10", "resources": [*reversed(names), "another"]}
    found = prices_of(earlier, later, earlier.prices)
    before = np.asarray(finished.plan.solution.prices)
    np.testing.assert_allclose(found[0, :-1], before[1, ::-1], rtol=1e-6)
    assert not found[:, -1].any()


def test_vendors_are_priced_by_the_days_of_orders(finished: Finished) -> None:
    instance = finished.plan.model.instance
    tables, days = instance.tables, order_days(instance)
    buying = tables.nodes.filter(pl.col("node_id").is_in(tables.offers["node_id"].unique().implode()))
    reviews = [
        sum((day % period) == offset for period, offset in buying.select("review_period", "review_offset").iter_rows())
        for day in range(tables.settings.periods)
    ]
    ordered = np.isin(instance.kinds, [KINDS.index("vendor"), KINDS.index("spend")])
    assert ordered.any()
    assert not ordered.all()
    np.testing.assert_array_equal(days[:, ordered], np.repeat(np.asarray(reviews, float)[:, None], ordered.sum(), 1))
    assert (days[:, ~ordered] == 1).all()


def sources(vendors: list[str], vendor: list[list[int]], items: list[str]) -> Basis:
    """Two offers at node n, one lane; `vendor [offers, items]` says whose the offers are (-1: none)."""
    rows = [["offer", "n", 0], ["offer", "n", 1], ["lane", "m", "n"]]
    return Basis(items, {**axes("2025-03-03"), "nodes": ["m", "n"], "vendors": vendors, "sources": rows,
                         "resources": []}, {"vendor": np.asarray(vendor)})  # fmt: skip


def test_offers_are_matched_by_vendor() -> None:
    """An offer keeps its row of parameters when another vendor becomes cheaper, and a new vendor has none."""
    old = sources(["x", "y"], [[0, 0, 1], [1, -1, 0]], ["A", "B", "C"])
    new = sources(["w", "x", "y"], [[2, 0, 1], [1, 1, -1]], ["A", "B", "C"])
    earlier = SavedRun(Path("run"), Restored(1, {}, old, np.ones(3, bool), []))
    rows = source_rows(new, earlier, match(new, earlier))
    np.testing.assert_array_equal(rows, [[1, -1, 1], [0, 0, -1], [2, 2, 2]])


def test_another_policy_takes_over_prices_only(finished: Finished) -> None:
    policy = finished.plan.model.config.policy.model_copy(update={"name": "echelon"})
    model, state, report = warm(tiny_tables(), finished, policy=policy)
    assert "the policy was base_stock" in report
    close(state.items.raw.target, model.problem.first.target, tolerance=0.0)
    close(state.shared.dual.price, finished.plan.solution.state.shared.dual.price, tolerance=0.0)


@pytest.mark.slow
def test_the_command_says_what_was_matched(meio: Command, finished: Finished, tmp_path: Path) -> None:
    tables = next_day(tiny_tables(), NextDay(new=1 / 3, gone=1 / 3, node="fc1"))
    instance = write_instance(tables, tmp_path / "instance")
    content = config_content(instance, tmp_path / "run", warm={"max_steps": 2, "min_steps": 1})
    called = meio("solve", write_config(tmp_path / "config.yaml", content), "--warm-start", finished.folder)
    assert "2 of 3 items matched, 1 new, 1 dropped" in called.err
    assert pl.read_parquet(tmp_path / "run/metrics.parquet").height == 2
    kept = pl.read_parquet(tmp_path / "run/plan/targets.parquet")
    # Without its last checkpoint, and without any: what was taken over is not lost.
    for left in ("0", None):
        for step in (tmp_path / "run/checkpoints/1-of-1").glob("[0-9]*"):
            if step.name != left:
                shutil.rmtree(step)
        assert "warm start from" in meio("resume", tmp_path / "run").err or left
        assert_frame_equal(pl.read_parquet(tmp_path / "run/plan/targets.parquet"), kept, check_exact=True)
    called = meio("solve", tmp_path / "config.yaml", "--overwrite", "--warm-start", tmp_path / "nothing")
    assert called.status == 2
    assert "no checkpoint" in called.err


def test_the_next_day_of_items_that_expire_is_refused() -> None:
    """Their ages would have to be moved as well."""
    tables = tiny_tables()
    lives = tables.items.with_columns(shelf_life=pl.lit(5, pl.Int64))
    with pytest.raises(InputError, match="shelf_life"):
        next_day(tables.replace(items=lives))


def test_the_next_day_is_the_day_after(tmp_path: Path) -> None:
    before = tiny_tables()
    after = next_day(before, NextDay(new=1 / 3, gone=1 / 3, node="fc1", capacity=0.9))
    assert after.settings.start_date == before.settings.start_date + datetime.timedelta(days=1)
    kept = set(before.items["item_id"]) & set(after.items["item_id"])
    assert len(kept) == 2
    assert after.items.height == 3
    cut = after.resources.filter(pl.col("resource_id") == "storage")["capacity"][0]
    assert cut == pytest.approx(0.9 * 5.0)
    outbound = after.resources.filter(pl.col("resource_id") == "outbound").sort("bucket")["capacity"].to_list()
    assert outbound == pytest.approx([(6 * 90 + 99) / 7, 99])


def test_a_day_is_lived_by_the_plan() -> None:
    """Arrivals, orders, transfers and sales of the first day, counted by hand."""
    before = tiny_tables()
    day = datetime.timedelta(days=1)
    start = before.settings.start_date
    orders = pl.DataFrame(
        {"item_id": ["B", "B"], "node_id": ["dc1", "dc1"], "units": [6, 60],
         "order_date": [start, start + day], "due_date": [start + 5 * day, start + 13 * day]}
    )  # fmt: skip
    transfers = pl.DataFrame(
        {"item_id": ["A"], "from_node": ["dc1"], "to_node": ["fc1"], "units": [7],
         "ship_date": [start], "due_date": [start + 2 * day]}
    )  # fmt: skip
    expected = pl.DataFrame({"item_id": ["C"], "node_id": ["fc1"], "units": [14 * 1e6]})
    plan = {"orders": orders, "transfers": transfers, "expected": expected}
    after = next_day(before, NextDay(new=0.0, gone=0.0, capacity=1.0), plan)
    stock = {(item, node): units for item, node, units in after.on_hand.select("item_id", "node_id", "units").rows()}
    # C has sold out; A sent 7 of its 40 to fc1.
    assert stock == {("A", "dc1"): 33.0, ("A", "fc1"): 10.0, ("B", "fc2"): 12.0}
    coming = after.on_order.sort("item_id", "node_id", "period_due").select("item_id", "node_id", "period_due", "units")
    assert coming.rows() == [("A", "dc1", 1, 24.0), ("A", "fc1", 1, 7.0), ("B", "dc1", 4, 18.0)]
    assert after.nodes["review_offset"].to_list() == [6, 0, 0]


@pytest.mark.slow
def test_a_search_may_stop_when_its_plan_is_confirmed(meio: Command, finished: Finished, tmp_path: Path) -> None:
    """With tolerances that every plan meets it stops at its first check, and its certificate is of that plan."""
    instance = finished.plan.model.config.instance.path
    solve = {"violation": 2.0, "gap": 1e6, "feasibility_steps": 0}
    content = config_content(instance, tmp_path / "run", solve=solve, warm={"min_steps": 2, "check_every": 2})
    file = write_config(tmp_path / "config.yaml", content)
    called = meio("solve", file, "--warm-start", finished.folder)
    assert called.status == 0, called.err
    assert pl.read_parquet(tmp_path / "run/metrics.parquet").height == 2
    kept = {name: pl.read_parquet(tmp_path / f"run/{name}.parquet") for name in ("plan/targets", "prices")}
    # Continued after its end it says the same again: what was confirmed is in its last checkpoint.
    assert meio("resume", tmp_path / "run").status == 0
    for name, frame in kept.items():
        assert_frame_equal(pl.read_parquet(tmp_path / f"run/{name}.parquet"), frame, check_exact=True)
    certificate = json.loads((tmp_path / "run/certificate.json").read_text(encoding="utf-8"))
    usage = pl.read_parquet(tmp_path / "run/prices.parquet")
    assert certificate["result"] == "CONVERGED"
    assert certificate["largest_violation"] == pytest.approx(usage["violation"].max(), rel=1e-5)


def test_settings_of_a_warm_start_are_applied_once() -> None:
    once = warm_config(make_config(warm={"price_gain": 3.0, "damping": 0.7}))
    assert once.solve.price_gain == 3.0
    assert once.fulfilment.damping == 0.7
    assert prepare(tiny_tables(), once).method.gain == 3.0
    assert warm_config(once) == once


def test_a_run_without_a_state_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        read_saved_run(tmp_path)


def test_levels_that_hardly_change_are_held(finished: Finished) -> None:
    """Of what a solve changed, all is put back within a hold of anything, nothing at 0, small changes in between."""
    model, state, _ = warm(tiny_tables(), finished)
    solution = finished.plan.solution
    best = solution.state.items.plan(solution.improved)
    raw = jax.tree.map(lambda leaf: leaf * jnp.asarray([1.02, 1.5], leaf.dtype)[:, None, None], best)
    before = dataclasses.replace(state.items, raw=raw)
    assert state.items.raw.target.shape == raw.target.shape
    plan = lambda found: found.state.items.plan(found.improved).target
    close(plan(steadied(model.store, solution, before, 10.0)), raw.target, tolerance=0.0)
    assert steadied(model.store, solution, before, 0.0) is solution
    held = plan(steadied(model.store, solution, before, 0.1))
    close(held[:, 0], raw.target[:, 0], tolerance=0.0)
    close(held[:, 1], best.target[:, 1], tolerance=0.0)
