"""A part of a catalog is built as the whole would be: what the items share is counted over all of them."""

import json
from dataclasses import replace

import jax
import numpy as np
import polars as pl
import pytest
from tiny import ITEMS, tiny_tables

from meio_jax.instance import Instance, build_instance
from meio_jax.instance.blocks import lay_out
from meio_jax.instance.build import groups_of, most_blocks
from meio_jax.instance.census import Census, census_of, count_items, merge, merge_groups, widened
from meio_jax.runs.portable import named_leaves
from meio_jax.tables import Tables


def part(tables: Tables, items: list[str]) -> Tables:
    column = {"forecast": "unique_id" if tables.settings.forecast == "quantiles" else "item_id"}
    names = ("items", "offers", "forecast", "on_hand", "on_order")
    frames = {
        name: frame.filter(pl.col(column.get(name, "item_id")).is_in(items))
        for name, frame in tables.frames().items()
        if name in names
    }
    return tables.replace(**frames)


def of_item(instance: Instance, item: str) -> dict[str, np.ndarray]:
    """Everything that the arrays say of one item, by name."""
    at = instance.layout.item == instance.items.index(item)
    block, column = np.argwhere(at & (instance.layout.live > 0))[0]
    found = {}
    catalog = instance.catalog
    for name, leaf in named_leaves(
        (catalog.block, catalog.demand, catalog.leads, catalog.keys, catalog.profile)
    ).items():
        one = np.asarray(leaf)[block]
        # Keys are two words per item; all else that belongs to items has them on its last axis.
        if name == "3":
            found[name] = one[column]
        elif one.ndim and one.shape[-1] == instance.layout.item.shape[1] and "group" not in name:
            found[name] = one[..., column]
        else:
            found[name] = one
    return found


@pytest.mark.parametrize("form", ["mean", "paths", "quantiles", "history"])
def test_an_item_alone_is_built_as_in_its_catalog(form: str) -> None:
    tables = tiny_tables(form)
    whole = build_instance(tables, block_items=2, bands=2)
    known = Census.from_dict(json.loads(json.dumps(whole.census.as_dict())))
    assert known == whole.census
    for item in ITEMS:
        alone = build_instance(part(tables, [item]), block_items=2, bands=2, census=known)
        assert jax.tree.structure(alone.network) == jax.tree.structure(whole.network)
        ours, theirs = of_item(alone, item), of_item(whole, item)
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            np.testing.assert_array_equal(value, theirs[name], err_msg=f"{item}: {name}")


def test_parts_count_what_the_whole_counts() -> None:
    """Three parts with an item each, whose counts are merged, in one step or in two."""
    tables = tiny_tables()
    whole = build_instance(tables, block_items=2, bands=2).census
    parts = [part(tables, [item]) for item in ITEMS]
    counts = [count_items(one) for one in parts]
    found = census_of(merge(counts), 2)
    assert found.as_dict() == census_of(merge([merge(counts[:2]), counts[2]]), 2).as_dict()
    groups = [groups_of(one, found) for one in parts]
    assert replace(found, groups=merge_groups(groups)).as_dict() == whole.as_dict()
    assert most_blocks(groups, 2) == 1


def test_a_census_is_widened_by_what_is_new_only() -> None:
    """An item that is heavier than any, of a class and vendor not seen, with a longer lead time and a later arrival."""
    tables = tiny_tables()
    known = build_instance(tables, block_items=2, bands=2).census
    assert widened(known, part(tables, ["A", "C"])) is known
    of_c = part(tables, ["C"])
    row = {"item_id": "N", "weight_kg": 80.0, "storage_class": "", "unmet": "backorder"}
    new = of_c.replace(
        items=of_c.items.with_columns(**{name: pl.lit(value) for name, value in row.items()}),
        offers=of_c.offers.with_columns(item_id=pl.lit("N"), vendor_id=pl.lit("a"), lead_time_mean=pl.lit(30.0)),
        forecast=of_c.forecast.with_columns(item_id=pl.lit("N")),
        on_hand=of_c.on_hand.clear(),
        on_order=tables.on_order.head(1).with_columns(item_id=pl.lit("N"), period_due=pl.lit(13, pl.Int64)),
    )
    wide = widened(known, new)
    assert wide.vendors == (*known.vendors, "a")
    assert wide.classes == (*known.classes, "")
    assert wide.longest_lead > known.longest_lead
    assert wide.last_due["dc1"] == 13
    assert wide.groups == known.groups
    instance = build_instance(new, block_items=2, bands=2, census=wide)
    number = int(instance.layout.group[0])
    assert number not in known.groups
    assert instance.census.groups[number].weight == 80.0
    assert instance.network.vendor_limit >= 30
    # What was there before is built as before, but for the longer pipelines.
    ours = of_item(build_instance(part(tables, ["A"]), block_items=2, bands=2, census=wide), "A")
    theirs = of_item(build_instance(tables, block_items=2, bands=2), "A")
    for name, value in theirs.items():
        if "pipeline" not in name and "cumulative" not in name:
            np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_blocks_hold_one_group_each() -> None:
    group = np.asarray([4, 1, 4, 4, 1])
    layout = lay_out(group, 2, 5)
    assert layout.blocks == 5
    for rows, number in zip(layout.item, layout.group, strict=True):
        assert set(group[rows]) == {number}
    np.testing.assert_array_equal(layout.join(layout.cut(np.arange(5)), 5), np.arange(5))
    assert layout.live.sum() == 5
