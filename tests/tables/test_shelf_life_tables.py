"""Shelf lives and expiry dates as users write them: what is read, what is refused, what is told."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from tiny import START, tiny_frames, tiny_settings

from meio_jax.errors import InputError
from meio_jax.instance import build_instance
from meio_jax.tables import Tables

KINDS = {"short shelf lives", "lanes too slow for a shelf life", "disposal without a shelf life"}


def tables(lives: Sequence[int | None], expiries: list[dict] | None = None, **columns: list) -> Tables:
    """The tiny instance with a shelf life of A, B and C."""
    made = tiny_frames()
    made["items"] = made["items"].with_columns(
        pl.Series("shelf_life", lives, pl.Int64), *(pl.Series(name, values) for name, values in columns.items())
    )
    if expiries:
        made["expiries"] = pl.DataFrame(expiries)
    return Tables.from_frames(tiny_settings(), **made)


def lot(item: str, node: str, units: float, **when: object) -> dict:
    return {"item_id": item, "node_id": node, "units": units, **when}


def problems(*args: object, **more: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        tables(*args, **more)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_without_a_shelf_life_no_array_is_made() -> None:
    made = build_instance(tables([None] * 3), block_items=3)
    assert made.catalog.block.shelf is None
    assert made.census.lives == ()


def test_a_life_beyond_what_is_simulated_makes_no_array() -> None:
    """Stock of the first day that can be sold on as many days as there are does not expire before the end."""
    made = build_instance(tables([3_000, None, None]), block_items=3)
    assert made.catalog.block.shelf is None


def test_stock_is_as_old_as_it_says() -> None:
    """Of 40 units at dc1, 15 can be sold on the first day alone, 10 until the third; the rest has its 6 days."""
    old = [
        lot("A", "dc1", 15.0, last_date=START),
        lot("A", "dc1", 10.0, last_date=START + datetime.timedelta(days=2)),
    ]
    made = build_instance(tables([6, None, 4], old, waste_cost=[0.5, 0.0, -1.0]), block_items=4)
    shelf, layout = made.catalog.block.shelf, made.layout
    assert shelf is not None
    stale = layout.join(np.asarray(shelf.stale), 3)
    assert stale.shape[0] == 6
    assert stale[:, 0, 0].tolist() == [15, 15, 25, 25, 25, 40]
    assert stale[:, 1, 0].tolist() == [0, 0, 0, 0, 0, 10]
    assert stale[:, 1, 2].tolist() == [0, 0, 0, 30, 30, 30]
    assert (stale[:, :, 1] == 0).all()
    assert layout.join(np.asarray(shelf.waste_cost), 3).tolist() == [0.5, 0, -1]
    # Lanes of dc1 take 2 and 4 days: A, with 6 days, can take both, and C, with 4, the first.
    assert layout.join(np.asarray(shelf.outlive), 3)[0].tolist() == [4, 0, 2]
    open_to_fc2 = layout.join(np.asarray(made.catalog.block.source_share), 3)[-1] > 0
    assert open_to_fc2.tolist() == [True, True, False]


@pytest.mark.parametrize("life", [0, -2])
def test_a_life_is_a_day_at_least(life: int) -> None:
    (told,) = problems([life, None, None])
    assert "shelf_life" in told
    assert str(life) in told


def test_more_old_units_than_there_are_are_refused() -> None:
    rows = [lot("A", "fc1", 8.0, last_period=0), lot("A", "fc1", 3.0, last_period=1)]
    (told,) = problems([5, None, None], rows)
    assert "expiries" in told
    assert "11" in told
    assert "10" in told


def test_expired_stock_and_days_of_items_that_keep_are_refused() -> None:
    gone, keeps = problems([5, None, None], [lot("A", "fc1", 2.0, last_period=-1), lot("B", "fc2", 2.0, last_period=3)])
    gone, keeps = sorted((gone, keeps), key=lambda text: "item_id=B" in text)
    assert "on_hand" in gone
    assert "shelf_life" in keeps


def test_stock_that_is_fresher_than_fresh_is_refused() -> None:
    (told,) = problems([5, None, None], [lot("A", "fc1", 2.0, last_period=5), lot("A", "fc1", 2.0, last_period=4)])
    assert "expiries" in told
    assert "found 5" in told
    assert "shelf_life of 5" in told


def test_disposal_that_earns_more_than_an_offer_costs_is_refused() -> None:
    (told,) = problems([5, None, 4], waste_cost=[-10.2, 0.0, -4.0])
    assert "waste_cost" in told
    assert "10.2" in told


def test_what_is_probably_not_meant_is_told() -> None:
    """dc1 orders once a week, and its slower lane takes four days."""
    found = {one.kind: one.count for one in tables([3, None, 8], waste_cost=[0.0, 2.0, 0.0]).warnings}
    assert {kind: found[kind] for kind in KINDS} == dict.fromkeys(KINDS, 1)
    assert not KINDS & {one.kind for one in tables([20, None, None]).warnings}


def test_a_part_of_a_catalog_has_the_ages_of_the_whole() -> None:
    """Other parts may keep longer: arrays of all parts have one shape."""
    whole = tables([6, None, 3])
    census = build_instance(whole, block_items=3).census
    own = {name: frame.filter(pl.col("item_id") == "C") for name, frame in _of_items(whole)}
    frames = {**whole.frames(), **own, "resources": whole.resources.clear()}
    part = Tables.from_frames(whole.settings, **frames)
    alone = build_instance(part, block_items=3).catalog.block.shelf
    together = build_instance(part, block_items=3, census=census).catalog.block.shelf
    assert (alone.stale.shape[1], together.stale.shape[1]) == (3, 6)  # type: ignore[union-attr]


def _of_items(whole: Tables) -> list[tuple[str, pl.DataFrame]]:
    return [(name, getattr(whole, name)) for name in ("items", "offers", "forecast", "on_hand", "on_order")]
