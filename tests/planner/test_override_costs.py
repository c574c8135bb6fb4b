"""What overrides cost a week, by hand, beside levels that are given."""

from __future__ import annotations

import datetime

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from one_node import START, demand, instance, item, offer

from meio_jax.config import make_config
from meio_jax.instance import build_instance
from meio_jax.planner.model import settings_of
from meio_jax.planner.override_costs import Pricing
from meio_jax.policy.base_stock import BaseStock
from meio_jax.progress import Silent
from meio_jax.solver.refine import Surroundings

DAYS = 28


@pytest.fixture(scope="module")
def pricing() -> Pricing:
    """Demand of ten a day, fixed; lead time two; holding costs 1 a unit and day. The best level is 20."""
    names = ("DEAR", "BULK", "SHELF", "IDLE")
    offers = [offer(name, 2) for name in names if name != "DEAR"]
    offers += [
        offer("DEAR", 2, vendor=vendor, unit_cost=cost, share=share)
        for vendor, cost, share in (("v", 1.0, 1.0), ("w", 3.0, 0.0))
    ]
    site = {"node_id": "site"}
    rows = [
        {"override_id": "no v", "kind": "exclude", "item_id": "DEAR", "vendor_id": "v", "reason": "insolvent", **site},
        {"override_id": "bulk", "kind": "order", "item_id": "BULK", "vendor_id": "v", "units": 110, "period": 0} | site,
        {"override_id": "shelf", "kind": "stock", "item_id": "SHELF", "min_units": 20.0, **site},
        {"override_id": "idle", "kind": "stock", "item_id": "IDLE", "max_units": 1000.0, **site},
        {"override_id": "old", "kind": "stock", "item_id": "IDLE", "max_units": 1.0, **site,
         "expires": START - datetime.timedelta(days=1)},
    ]  # fmt: skip
    tables = instance(
        [item(name) for name in names],
        offers,
        [row for name in names for row in demand(name, 10.0, days=DAYS)],
        days=DAYS,
        settings={"stationary_targets": True},
        overrides=rows,
    )
    made = build_instance(tables, block_items=4, dtype=np.float32)
    config = make_config(scenarios={"train": 16, "per_step": 16, "holdout": 8, "clairvoyant": 0})
    free = jnp.zeros_like(made.resources.capacity)
    around = Surroundings(
        network=made.network,
        resources=made.resources,
        profiles=made.catalog.profiles,
        prices=free,
        list_prices=free,
        settings=settings_of(config, made),
        stationary=True,
    )
    levels = np.full((1, made.network.nodes, len(names)), 20.0)
    policy = BaseStock(jnp.asarray(made.layout.cut(levels), jnp.float32))
    return Pricing(config, made, policy, BaseStock, around, Silent())


@pytest.fixture(scope="module")
def table(pricing: Pricing) -> pl.DataFrame:
    return pricing.frame()


def test_however_few_items_are_priced_they_have_the_same_programs(pricing: Pricing) -> None:
    """Searches of two items and of one were compiled apart, which took minutes."""
    overrides = pricing.instance.tables.overrides
    one, some = (
        jax.tree.map(jnp.shape, pricing._instance(names, overrides.head(rows)).catalog.per_block())
        for names, rows in ((["IDLE"], 0), (["DEAR", "BULK", "SHELF"], 5))
    )
    assert jax.tree.structure(one) == jax.tree.structure(some)
    assert jax.tree.leaves(one) == jax.tree.leaves(some)


@pytest.mark.parametrize(
    ("name", "cost", "units"),
    [
        # Ten a day on 26 of 28 days, at 3 and not at 1 each.
        ("no v", 2 * 260 / 4, None),
        # 90 units more than the 20 that the level asks for lie there for two evenings, then 80, 70 ... to 10.
        ("bulk", (90 + 90 + 80 + 70 + 60 + 50 + 40 + 30 + 20 + 10) / 4, 110),
        # 20 units more on every evening from day 2 on.
        ("shelf", 20 * 26 / 4, 20 * 26 / 28),
        ("idle", 0, 0),
    ],
)
def test_an_override_costs_what_follows_by_hand(
    table: pl.DataFrame, name: str, cost: float, units: float | None
) -> None:
    row = table.filter(override_id=name).row(0, named=True)
    assert row["status"] == "in force"
    assert row["cost_a_week"] == pytest.approx(cost, rel=0.02, abs=0.5)
    if units is not None:
        assert row["units"] == pytest.approx(units, rel=0.02, abs=0.1)


def test_what_would_be_bought_of_an_excluded_vendor_is_told(table: pl.DataFrame) -> None:
    """20 at first, and ten for each of the 26 evenings of sales: what is on the way at the end included."""
    row = table.filter(override_id="no v").row(0, named=True)
    assert row["units"] == pytest.approx(280, abs=10)
    assert row["reason"] == "insolvent"


def test_rows_that_do_not_apply_are_listed_without_a_cost(table: pl.DataFrame) -> None:
    row = table.filter(override_id="old").row(0, named=True)
    assert (row["status"], row["cost_a_week"], row["units"]) == ("expired", None, None)
