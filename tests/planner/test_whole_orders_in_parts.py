"""Rules of vendors bind the items of all parts of a catalog: in parts orders are those of all items at once."""

from __future__ import annotations

from pathlib import Path

import jax
import polars as pl
import pytest
from lived import policy_of
from test_whole_orders import built

from meio_jax.config import make_config
from meio_jax.config.settings import Config
from meio_jax.errors import InputError
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.instance.vendor_rhythm import key_of, merged_loads
from meio_jax.plans.bound_orders import ORDER_LINES, with_decided
from meio_jax.plans.tables import decision_frames, part_decision_frames
from meio_jax.plans.vendor_orders import whole_order_frame, whole_orders
from meio_jax.plans.whole_order import PLACED, POSTPONED, TOO_SMALL
from meio_jax.progress import Silent
from meio_jax.runs.run import run_solve
from meio_jax.runs.today import vendor_orders_text

PRICES = [{"item_id": "C", "vendor_id": "v", "from_units": 120, "unit_cost": 0.5}]
OPTIONS = GenerateOptions(
    items=30, nodes_per_tier=(1, 1, 0), regions=2, periods=14, waves=1, speeds=1, vendors=2, partition_items=10, seed=3
)


@pytest.mark.parametrize(
    ("stock", "rules"),
    [
        ({"A": 5.0, "B": 70.0, "C": 70.0}, {"min_order_value": 400.0}),
        ({"A": 55.0, "B": 55.0, "C": 55.0}, {"min_order_value": 400.0}),
        ({"A": 60.0, "B": 60.0, "C": 0.0}, {"truck_volume": 100.0, "truck_fill": 1.0}),
    ],
)
def test_orders_put_together_from_parts_are_those_of_all_items(stock: dict[str, float], rules: dict) -> None:
    one = built(stock, rules, price_breaks=PRICES)
    whole = dict(decision_frames(one, policy_of(one, 60.0)))
    apart = dict(part_decision_frames(one, policy_of(one, 60.0), None))
    lines = apart[ORDER_LINES]
    decided, orders = whole_orders(one, pl.concat([lines[2:], lines[:1], lines[1:2]]), one.census.rhythms)
    assert whole_order_frame(orders).equals(whole["plan/vendor_orders"])
    found = []
    for own in (lines[:1], lines[1:2], lines[2:]):
        before = apart["plan/orders"].filter(pl.col("item_id").is_in(own["item_id"].implode()))
        found.append(with_decided(before, own, decided))
    assert pl.concat(found).sort("item_id").equals(whole["plan/orders"])
    assert (whole["plan/orders"]["cost"] == whole["plan/orders"]["units"] * whole["plan/orders"]["unit_cost"]).all()


def test_what_passes_is_summed_over_parts() -> None:
    key, other = key_of("v", "a"), key_of("v", "b")
    parts = [{key: [1.0, 2.0, 3.0, 4.0, 5.0]}, {}, {key: [1.0] * 5, other: [2.0] * 5}]
    assert merged_loads(parts) == {key: [2.0, 3.0, 4.0, 5.0, 6.0], other: [2.0] * 5}


def configuration(instance: Path, run: Path, **stream: object) -> Config:
    return make_config(
        instance={"path": instance},
        run=run,
        scenarios={"train": 4, "per_step": 4, "holdout": 4, "clairvoyant": 0},
        solve={"max_steps": 2, "min_steps": 2, "block_items": 5, "devices": 1, "probe": False, "slack_items": 0},
        stream=stream,
    )


def with_vendors(folder: Path, **rules: float) -> Path:
    generate_instance(OPTIONS, folder)
    offers = pl.concat([pl.read_parquet(path) for path in sorted((folder / "offers").glob("*.parquet"))])
    vendors = offers.select("vendor_id").unique().sort("vendor_id").with_columns(**rules)
    vendors.write_csv(folder / "vendors.csv")
    return folder


def table(run: Path, name: str) -> pl.DataFrame:
    parts = sorted((run / name).glob("*.parquet"))
    return pl.concat(map(pl.read_parquet, parts)) if parts else pl.read_parquet(run / f"{name}.parquet")


@pytest.mark.slow
def test_a_streamed_catalog_keeps_the_rules_of_its_vendors(tmp_path: Path) -> None:
    instance = with_vendors(tmp_path / "instance", min_order_value=6.0, order_cost=3.0)
    with jax.numpy_dtype_promotion("standard"):
        run_solve(configuration(instance, tmp_path / "memory"), Silent())
        run_solve(configuration(instance, tmp_path / "parts", above_items=5, part_items=10), Silent())
    assert len(list((tmp_path / "parts" / "plan" / "orders").glob("*.parquet"))) == 3
    assert not (tmp_path / "parts" / "plan" / ".lines").exists()
    for name in ("plan/orders", "plan/vendor_orders"):
        ours, theirs = (table(tmp_path / run, name) for run in ("memory", "parts"))
        assert ours.equals(theirs), name
    whole, orders = (table(tmp_path / "parts", f"plan/{name}") for name in ("vendor_orders", "orders"))
    values = orders.group_by("vendor_id", "node_id").agg(pl.col("units", "cost").sum())
    placed = whole.filter(pl.col("units") > 0).join(values, on=["vendor_id", "node_id"])
    assert placed.height == whole.filter(pl.col("units") > 0).height == values.height > 0
    assert (placed["value"] >= 6).all()
    assert (placed["units"] == placed["units_right"]).all()


@pytest.mark.slow
def test_a_least_order_that_no_horizon_fills_is_refused_in_parts_as_well(tmp_path: Path) -> None:
    instance = with_vendors(tmp_path / "instance", min_order_value=1e12)
    with jax.numpy_dtype_promotion("standard"), pytest.raises(InputError, match="fills up within the horizon"):
        run_solve(configuration(instance, tmp_path / "parts", above_items=5, part_items=10), Silent())


def test_orders_that_planners_fixed_below_a_least_order_are_named() -> None:
    rows = [("v", "a", PLACED, 10), ("v", "b", POSTPONED, 0), ("w", "a", TOO_SMALL, 5), ("w", "b", TOO_SMALL, 0)]
    found = vendor_orders_text(pl.DataFrame(rows, schema=["vendor_id", "node_id", "status", "units"], orient="row"))
    assert "1 placed, 1 postponed, 2 too small" in found
    assert "w at a (plan/vendor_orders)" in found
    assert "w at b" not in found
    assert vendor_orders_text(None) == ""
