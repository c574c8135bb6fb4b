"""Costs of orders, prices by quantity and rules of vendors as users write them: what is read, refused and told."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from tiny import tiny_frames, tiny_settings

from meio_jax.errors import InputError
from meio_jax.instance import build_instance
from meio_jax.instance.census import Census
from meio_jax.instance.vendor_rhythm import Rhythm
from meio_jax.tables import Tables
from meio_jax.tables.breaks import offer_breaks
from meio_jax.tables.vendor_rules import vendor_rules


def tables(**more: list[dict[str, Any]]) -> Tables:
    """The tiny instance with further tables."""
    frames = tiny_frames()
    given = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in more.items()}
    return Tables.from_frames(tiny_settings(), **{**frames, **given})


def offers() -> list[dict[str, Any]]:
    return tables().offers.to_dicts()


def problems(**more: list[dict[str, Any]]) -> list[str]:
    with pytest.raises(InputError) as caught:
        tables(**more)
    return [str(problem) for problem in caught.value.problems]


def price(least: int, cost: float, **more: Any) -> dict[str, Any]:
    first = offers()[0]
    return {
        "item_id": first["item_id"],
        "vendor_id": first["vendor_id"],
        "from_units": least,
        "unit_cost": cost,
        **more,
    }


def test_rows_that_name_a_node_count_in_place_of_those_that_do_not() -> None:
    first = offers()[0]
    rows = [price(10, 0.9), price(50, 0.8), price(20, 0.7, node_id=first["node_id"])]
    found = offer_breaks(tables(price_breaks=rows).price_breaks, tables().offers)
    own = found.filter(pl.col("node_id") == first["node_id"])
    assert own.select("from_units", "unit_cost", "rank").rows() == [(20, 0.7, 0)]
    everywhere = found.filter(pl.col("node_id") != first["node_id"])
    assert set(everywhere["from_units"].to_list()) <= {10, 50}
    general = {"vendor_id": first["vendor_id"], "order_cost": 5.0}
    named = {**general, "node_id": first["node_id"], "order_cost": 9.0}
    rules = vendor_rules(tables(vendors=[general, named]).vendors, tables().offers)
    costs = dict(rules.select("node_id", "order_cost").iter_rows())
    assert costs.pop(first["node_id"]) == 9
    assert set(costs.values()) <= {5}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(10, 1e6)], "unit_cost of the offer"),
        ([(10, 0.5), (20, 0.6)], "smaller quantity"),
        ([(10, 0.5), (10, 0.4)], "from_units"),
        ([(0, 0.5)], "from_units"),
        ([(10, -1.0)], "unit_cost"),
    ],
)
def test_prices_fall_with_the_quantity(rows: list[tuple[int, float]], said: str) -> None:
    told = problems(price_breaks=[price(*row) for row in rows])
    assert said in told[0]


def test_a_price_without_an_offer_is_refused() -> None:
    (told,) = problems(price_breaks=[{**price(10, 0.5), "vendor_id": "nobody"}])
    assert "nobody" in told
    assert "offer" in told


def test_an_item_that_nobody_knows_is_told_once() -> None:
    (told,) = problems(price_breaks=[{**price(10, 0.5), "item_id": "nothing"}])
    assert "nothing" in told


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"truck_fill": 0.5}, "size of a truck"),
        ({"truck_cost": 5.0}, "size of a truck"),
        ({"min_order_value": 1e9}, "within the horizon"),
        ({"min_order_weight": -1.0}, "min_order_weight"),
        ({"truck_volume": 0.0}, "truck_volume"),
    ],
)
def test_rules_that_no_order_can_keep_are_refused(rules: dict[str, float], said: str) -> None:
    told = problems(vendors=[{"vendor_id": offers()[0]["vendor_id"], **rules}])
    assert said in told[0]


def test_a_vendor_without_offers_is_told() -> None:
    found = tables(vendors=[{"vendor_id": "nobody", "order_cost": 5.0}])
    assert "vendors without offers" in {one.kind for one in found.warnings}


def test_a_rule_for_a_node_that_the_vendor_does_not_supply_is_told() -> None:
    known = {(one["vendor_id"], one["node_id"]) for one in offers()}
    vendor = offers()[0]["vendor_id"]
    idle = next(node for node in tables().nodes["node_id"] if (vendor, node) not in known)
    found = tables(vendors=[{"vendor_id": vendor, "node_id": idle, "order_cost": 5.0}])
    assert "vendors without offers" in {one.kind for one in found.warnings}


def test_trucks_in_which_nothing_takes_room_are_told() -> None:
    """Of capacities that count kg and m3, items without size are an error of their own: units are counted."""
    counted = tables().resources.filter(pl.col("measure").is_in(["m3", "kg"]).not_()).to_dicts()
    flat = [{**one, "weight_kg": 0.0} for one in tables().items.to_dicts()]
    rule = {"vendor_id": offers()[0]["vendor_id"], "truck_weight": 10.0, "truck_cost": 5.0}
    kinds = lambda **more: {one.kind for one in tables(vendors=[rule], resources=counted, **more).warnings}
    assert "trucks that nothing fills" in kinds(items=flat)
    assert "trucks that nothing fills" not in kinds()


def test_a_node_with_a_row_of_its_own_does_not_count_for_the_others() -> None:
    """One node needs an item of little demand only: a row for it mends the rule for all nodes."""
    frames, first = tables(), offers()[0]
    nodes = frames.nodes["node_id"].to_list()
    other = next(node for node in nodes if node != first["node_id"])
    small = {**first, "item_id": frames.items["item_id"][1], "node_id": other}
    forecast = frames.forecast.with_columns(
        mean=pl.when(pl.col("item_id") == small["item_id"]).then(0.001).otherwise(100.0)
    ).to_dicts()
    both = {"offers": [{**first, "unit_cost": 10.0}, {**small, "unit_cost": 10.0}], "forecast": forecast}
    general = {"vendor_id": first["vendor_id"], "min_order_value": 500.0}
    named = {**general, "node_id": other, "min_order_value": 0.0}
    about = lambda vendors: [line for line in _problems_or_none(vendors=vendors, **both) if "min_order_value" in line]
    assert about([general])
    assert not about([general, named])


def _problems_or_none(**more: list[dict[str, Any]]) -> list[str]:
    try:
        tables(**more)
    except InputError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_the_census_keeps_the_rhythm() -> None:
    vendor = offers()[0]["vendor_id"]
    made = build_instance(tables(vendors=[{"vendor_id": vendor, "order_cost": 3.0}]), block_items=4)
    assert made.census.rhythms
    assert made.catalog.block.ordering is not None
    again = Census.from_dict(made.census.as_dict())
    assert again == made.census
    assert all(isinstance(one, Rhythm) for one in again.rhythms)
    assert float(np.asarray(made.catalog.block.ordering.share).max()) > 0


def test_the_rhythm_of_several_processes_is_that_of_what_all_of_them_order() -> None:
    """Twice the items make twice the order: its cost is spread over twice the units, or there are more orders."""
    given = tables(vendors=[{"vendor_id": offers()[0]["vendor_id"], "order_cost": 3.0}])
    alone = build_instance(given, block_items=4).census.rhythms
    both = build_instance(given, block_items=4, gather=lambda own: [own, own]).census.rhythms
    assert [(one.vendor, one.node) for one in both] == [(one.vendor, one.node) for one in alone]
    for ours, theirs in zip(both, alone, strict=True):
        assert ours.every <= theirs.every
        assert ours.unit_cost * ours.every == pytest.approx(theirs.unit_cost * theirs.every / 2)
