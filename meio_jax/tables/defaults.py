"""Tables that may be left out, and what takes their place: one promise, one region, an even split of demand.

An instance is complete with `items`, `nodes`, `offers` and `forecast`. What was taken in place of the others is told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from meio_jax.tables.findings import Source, View
from meio_jax.tables.lane_use import supply_pairs
from meio_jax.tables.schema import table_schema
from meio_jax.tables.settings import LONGEST, InstanceSettings

ABOUT_CUSTOMERS = ("regions", "speeds", "transit", "cutoffs", "shares")
"""Tables that may be left out."""
EVERYWHERE, STANDARD, ALL = "everywhere", "standard", "all"
"""Ids that are made: of the only region, the only speed, and the split of demand of items without another."""

# A named id among several in a sentence.
_NAMED = 3


def with_defaults(
    views: Mapping[str, View], absent: list[str], settings: InstanceSettings
) -> tuple[dict[str, View], dict[str, str]]:
    """Views with those that take the place of absent tables, and what they say by their names, in words.

    Args:
        views: Tables that are sound.
        absent: Names of tables that are not there, of those that have a `without` in the schema.
        settings: Of the instance.
    """
    found, told = dict(views), {}
    makers = {
        "regions": _regions,
        "transit": _transit,
        "speeds": _speeds,
        "cutoffs": _cutoffs,
        "shares": _shares,
    }
    for name, maker in makers.items():
        if name in absent and (made := maker(found, settings)) is not None:
            frame, sentence = made
            table = table_schema(name, settings.forecast)
            found[name] = View(table, Source(name), _completed(frame, name, settings.forecast))
            told[name] = sentence
    return found, told


def _completed(frame: pl.DataFrame, name: str, form: str) -> pl.DataFrame:
    """The frame with all columns of its table, those that it lacks at their defaults."""
    columns = table_schema(name, form).columns
    own = [
        pl.col(column.name).cast(column.dtype)
        if column.name in frame.columns
        else pl.lit(column.default, dtype=column.dtype).alias(column.name)
        for column in columns
    ]
    return frame.select(own)


_Made = tuple[pl.DataFrame, str] | None


def _regions(views: Mapping[str, View], settings: InstanceSettings) -> _Made:
    """The regions that other tables name; else one."""
    del settings
    for name in ("transit", "shares"):
        if name in views and views[name].frame.height:
            ids = views[name].frame["region_id"].unique(maintain_order=True)
            return pl.DataFrame({"region_id": ids}), f"the {len(ids)} that the table {name} names"
    return pl.DataFrame({"region_id": [EVERYWHERE]}), f"one region, {EVERYWHERE}"


def _transit(views: Mapping[str, View], settings: InstanceSettings) -> _Made:
    """A region with the id of a node is served by that node, any other by all nodes that supply no other."""
    del settings
    if not {"nodes", "lanes", "regions"} <= views.keys():
        return None
    nodes, regions = views["nodes"].frame["node_id"].to_list(), views["regions"].frame["region_id"].to_list()
    # Lanes of transshipment make no node one that supplies others.
    shipping = {start for start, _ in supply_pairs(views["lanes"].frame, views["nodes"].frame)}
    last = [node for node in nodes if node not in shipping] or nodes
    pairs = [(node, region) for region in regions for node in ([region] if region in nodes else last)]
    frame = pl.DataFrame(pairs, schema=["node_id", "region_id"], orient="row")
    frame = frame.with_columns(hours=pl.lit(0.0), cost_per_unit=pl.lit(0.0))
    return frame, f"{_who_serves(regions, nodes, last)}, at once, at no cost"


def _who_serves(regions: list[str], nodes: list[str], last: list[str]) -> str:
    """By which nodes regions are served, in words."""
    others = [region for region in regions if region not in nodes]
    every = f"by {last[0]}" if len(last) == 1 else f"by each of {len(last)} nodes ({_some(last)})"
    if not others:
        return "each region by the node of the same id"
    if len(others) == len(regions):
        return f"every region {every}"
    return f"regions with the id of a node by that node, {_some(others)} {every}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def speeds_named(views: Mapping[str, View]) -> list[str]:
    """The speeds that `cutoffs` and `shares` name, sorted."""
    tables = [views[name].frame for name in ("cutoffs", "shares") if name in views]
    return sorted({speed for table in tables for speed in table["speed_id"].drop_nulls().to_list()})


def _speeds(views: Mapping[str, View], settings: InstanceSettings) -> _Made:
    """One promise, which every connection keeps; none where other tables name several."""
    del settings
    named = speeds_named(views) or [STANDARD]
    if "transit" not in views or len(named) > 1:
        return None
    longest = max(views["transit"].frame["hours"].drop_nulls().to_list(), default=0.0)
    days = min(math.ceil(longest / 24) + 1, LONGEST)
    frame = pl.DataFrame({"speed_id": named, "promise_days": [days], "deliver_by_hour": [24.0]})
    return frame, f"one promise, {named[0]}, of {days} day{'s' if days > 1 else ''}, which every connection keeps"


def _cutoffs(views: Mapping[str, View], settings: InstanceSettings) -> _Made:
    """Nodes that ship to customers keep every promise that transit allows, for orders until midnight."""
    del settings
    if not {"transit", "speeds"} <= views.keys():
        return None
    nodes = views["transit"].frame.select("node_id").unique(maintain_order=True)
    frame = nodes.join(views["speeds"].frame.select("speed_id"), how="cross", maintain_order="left")
    return frame.with_columns(cutoff_hour=pl.lit(24.0)), "orders until midnight leave on the same day"


def _shares(views: Mapping[str, View], settings: InstanceSettings) -> _Made:
    """One split for all items: by population (evenly where none is given), at the slowest speed, by hours of a wave."""
    if not {"regions", "speeds"} <= views.keys():
        return None
    regions, speeds = views["regions"].frame, views["speeds"].frame.sort("promise_days", "deliver_by_hour")
    persons = regions["population"].fill_null(0).to_list()
    weight = persons if sum(persons) > 0 else [1.0] * len(persons)
    slowest = speeds["speed_id"].to_list()[-1]
    starts = (0.0, *settings.wave_ends)
    rows = [
        (ALL, region, slowest, wave, own / sum(weight) * (end - start) / 24)
        for region, own in zip(regions["region_id"].to_list(), weight, strict=True)
        for wave, (start, end) in enumerate(zip(starts, settings.wave_ends, strict=False))
    ]
    frame = pl.DataFrame(rows, schema=["profile", "region_id", "speed_id", "wave", "share"], orient="row")
    if len(rows) == 1:
        return frame, "all demand in one class"
    split = "population" if sum(persons) > 0 else "equal parts"
    return frame, f"demand of every item by {split} of the regions and length of the waves, at speed {slowest}"
