"""Generated instances are valid, equal for equal seeds, and independent of how the work is cut up."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from meio_jax.generate import RESOURCE_KINDS, GenerateOptions, generate_instance
from meio_jax.generate.build import ITEM_TABLES
from meio_jax.tables import Tables, read_instance

TINY = {"items": 30, "nodes_per_tier": (2, 3, 2), "regions": 6}
CASES = {
    "local": {**TINY, "shape": "local", "forecast": "paths", "paths": 3},
    "national": {**TINY, "shape": "national", "forecast": "quantiles"},
    "global": {**TINY, "shape": "global", "forecast": "history", "history_days": 28},
    "one node, one speed, one wave": {
        "items": 5, "nodes_per_tier": (1, 0, 0), "regions": 1, "speeds": 1, "waves": 1
    },
    "no DC": {"items": 5, "nodes_per_tier": (0, 2, 1), "regions": 3},
    "same-day sites only": {"items": 5, "nodes_per_tier": (0, 0, 3), "regions": 4},
    "no FC": {"items": 5, "nodes_per_tier": (1, 0, 2), "regions": 4},
    "five speeds, four waves": {**TINY, "speeds": 5, "waves": 4},
    "one day": {**TINY, "periods": 1},
    "short last bucket": {**TINY, "periods": 10, "bucket_periods": 4},
    "more regions than metros": {"items": 3, "nodes_per_tier": (3, 6, 4), "regions": 150},
    "more sites than metros, a world of them": {
        "items": 2, "shape": "global", "nodes_per_tier": (2, 240, 3), "regions": 5
    },
}  # fmt: skip


def make(folder: Path, **options: object) -> Tables:
    return read_instance(generate_instance(GenerateOptions(**options), folder))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CASES)
def test_passes_validation(tmp_path: Path, name: str) -> None:
    tables = make(tmp_path, **CASES[name])
    options = GenerateOptions(**CASES[name])  # type: ignore[arg-type]
    assert tables.items.height == options.items
    assert tables.nodes.height == sum(options.nodes_per_tier)
    assert tables.regions.height == options.regions
    assert tables.speeds.height == options.speeds
    assert len(tables.settings.wave_ends) == options.waves


def test_every_kind_of_resource_and_of_vendor_is_there(tmp_path: Path) -> None:
    tables = make(tmp_path, items=400)
    assert set(tables.resources["kind"]) == set(RESOURCE_KINDS)
    assert set(tables.offers["lead_time_law"]) == {"fixed", "gamma", "empirical"}
    several = tables.offers.group_by("item_id", "node_id").agg(
        pl.len(), pl.col("lead_time_mean").n_unique().alias("leads")
    )
    assert several.filter((pl.col("len") == 2) & (pl.col("leads") == 2)).height > 0
    kinds = dict(tables.nodes.select("node_id", "kind").iter_rows())
    assert {kinds[node] for node in tables.offers["node_id"]} == {"dc", "fc"}
    assert set(tables.items["unmet"]) == {"lost", "backorder"}
    assert set(tables.items["storage_class"]) == {"ambient", "chilled"}


def test_demand_has_a_long_tail(tmp_path: Path) -> None:
    tables = make(tmp_path, items=1000)
    rate = tables.forecast.group_by("item_id").agg(pl.col("mean").mean())["mean"].to_numpy()
    assert np.median(rate) < 0.5
    top = np.sort(rate)[::-1]
    assert top[:200].sum() > 0.6 * rate.sum()


def test_stock_is_whole_and_fits(tmp_path: Path) -> None:
    tables = make(tmp_path, items=300)
    units = tables.on_hand["units"]
    assert (units == units.round()).all()
    volume = (
        tables.on_hand.join(tables.items, on="item_id")
        .group_by("node_id")
        .agg((pl.col("units") * pl.col("volume_m3")).sum().alias("start"))
    )
    rooms = tables.resources.filter((pl.col("kind") == "storage") & pl.col("storage_class").is_null())
    joined = rooms.join(volume, on="node_id")
    assert joined.height == tables.nodes.height
    assert (joined["start"] < joined["capacity"]).all()


def test_all_demand_can_be_served_as_promised(tmp_path: Path) -> None:
    tables = make(tmp_path, **TINY)
    ends = tables.settings.wave_ends
    reach = tables.transit.join(tables.cutoffs, on="node_id").join(tables.speeds, on="speed_id")
    for row in tables.shares.filter(pl.col("profile").str.starts_with("taste")).iter_rows(named=True):
        near = reach.filter((pl.col("region_id") == row["region_id"]) & (pl.col("speed_id") == row["speed_id"]))
        late = pl.when(ends[row["wave"]] <= pl.col("cutoff_hour")).then(0.0).otherwise(24.0)
        arrival = pl.col("cutoff_hour") + late + pl.col("hours")
        due = 24.0 * pl.col("promise_days") + pl.col("deliver_by_hour")
        assert near.filter(arrival <= due).height > 0, row


def test_borders_cost_time(tmp_path: Path) -> None:
    tables = make(tmp_path, shape="global", items=5, nodes_per_tier=(2, 12, 2), regions=20)
    country = dict(tables.nodes.select("node_id", "country").iter_rows())
    inside, across = [], []
    for start, end, days in tables.lanes.select("from_node", "to_node", "lead_time").iter_rows():
        (inside if country[start] == country[end] else across).append(days)
    assert across
    assert min(across) >= 6
    assert max(inside) <= 8


def test_the_seed_decides(tmp_path: Path) -> None:
    first, again, other = (make(tmp_path / str(k), **TINY, seed=seed) for k, seed in enumerate((3, 3, 4)))
    for name, frame in first.frames().items():
        assert_frame_equal(frame, again.frames()[name])
    assert not first.items.equals(other.items)


@pytest.mark.parametrize("form", ["mean", "paths", "quantiles", "history"])
def test_parts_do_not_change_an_item(tmp_path: Path, form: str) -> None:
    common = {"items": 1100, "forecast": form, "periods": 4, "history_days": 14, "paths": 2, "regions": 3,
              "nodes_per_tier": (1, 1, 1)}  # fmt: skip
    whole = make(tmp_path / "whole", **common)
    cut = make(tmp_path / "cut", **common, partition_items=270)
    assert (tmp_path / "cut" / "items").is_dir()
    for name in ITEM_TABLES:
        assert_frame_equal(whole.frames()[name], cut.frames()[name])
    assert_frame_equal(whole.resources, cut.resources, rel_tol=1e-5)


def test_more_items_leave_the_first_ones_as_they_are(tmp_path: Path) -> None:
    few = make(tmp_path / "few", items=20, vendors=5)
    many = make(tmp_path / "many", items=50, vendors=5)
    for name in ITEM_TABLES:
        key = "unique_id" if "unique_id" in few.frames()[name].columns else "item_id"
        kept = many.frames()[name].filter(pl.col(key).is_in(few.items["item_id"].to_list()))
        assert_frame_equal(few.frames()[name], kept)


def test_an_older_instance_is_replaced(tmp_path: Path) -> None:
    make(tmp_path, **{**TINY, "partition_items": 10})
    options = GenerateOptions(items=5, nodes_per_tier=(1, 0, 0), regions=1, resources=())
    tables = read_instance(generate_instance(options, tmp_path, overwrite=True))
    assert tables.items.height == 5
    assert tables.lanes.height == 0
    assert tables.resources.height == 0


def test_progress_counts_items(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    options = GenerateOptions(items=25, partition_items=10, nodes_per_tier=(1, 0, 0), regions=1)
    generate_instance(options, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(10, 25), (20, 25), (25, 25)]


@pytest.mark.parametrize("bad", [{"items": 0}, {"nodes_per_tier": (0, 0, 0)}, {"shape": "lunar"}, {"color": 1}])
def test_bad_options_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError):
        GenerateOptions(**bad)
