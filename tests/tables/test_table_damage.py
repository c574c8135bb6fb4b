"""Every kind of damage to an instance is told: the file, the place, what was found and what was expected."""

from __future__ import annotations

import datetime

import polars as pl
import pytest
from folders import add, column, damaged, drop_row, put, rename, settings_content, write_raw
from marks import some_slow
from tiny import START, tiny_frames

from meio_jax.errors import InputError
from meio_jax.tables import read_instance

CELLS = {
    "negative price": (put("items", 1, price=-1.0), "items", "row 2 (item_id=B)", "-1.0", ">= 0"),
    "zero volume": (put("items", 0, volume_m3=0.0), "items", "item_id=A", "volume_m3", "storage counts m3"),
    "nan": (put("items", 0, weight_kg=float("nan")), "items", "item_id=A", "nan", "weight_kg"),
    "infinity": (put("transit", 3, hours=float("inf")), "transit", "row 4", "inf", "hours"),
    "null": (put("items", 2, unit_cost=None), "items", "item_id=C", "nothing", "unit_cost"),
    "null id": (put("items", 2, item_id=None), "items", "row 3", "item_id", "nothing"),
    "not allowed": (put("items", 0, unmet="loose"), "items", "item_id=A", "'loose'", "lost, backorder"),
    "node kind": (put("nodes", 0, kind="hub"), "nodes", "node_id=dc1", "'hub'", "dc, fc, same_day"),
    "share above 1": (put("items", 0, downgrade_share=1.5), "items", "item_id=A", "1.5", "<= 1"),
    "latitude": (put("nodes", 0, latitude=91.0), "nodes", "node_id=dc1", "91", "<= 90"),
    "hour 25": (put("cutoffs", 0, cutoff_hour=25.0), "cutoffs", "node_id=fc1", "25.0", "<= 24"),
    "deliver hour": (put("speeds", 0, deliver_by_hour=0.0), "speeds", "one_day", "0.0", "> 0 and <= 24"),
    "zero lead time": (put("lanes", 0, lead_time=0), "lanes", "from_node=dc1", "0", ">= 1"),
    "pack size 0": (put("offers", 0, pack_size=0), "offers", "vendor_id=v1", "pack_size", ">= 1"),
    "half a pack": (column("offers", "pack_size", [1.0, 1.5, 1.0, 1.0]), "offers", "row 2", "1.5", "whole"),
    "text for number": (
        column("items", "price", ["1", "two", "3"]), "items", "item_id=B", "'two'", "a number >= 0"
    ),
    "bool for number": (column("items", "price", [True] * 3), "items", "header", "Boolean", "a number"),
    "float ids": (column("regions", "region_id", [1.0, 2.0]), "regions", "region_id", "Float64", "text"),
    "missing column": (
        lambda f: f.update(items=f["items"].drop("weight_kg")), "items", "header", "weight_kg", "kg"
    ),
    "unknown column": (
        rename("items", "price", "prise"), "items", "column prise", "nearest: price", "rename"
    ),
    "duplicate": (add("items"), "items", "row 4 (item_id=A)", "same key", "one row per (item_id)"),
    "duplicate pair": (add("on_hand"), "on_hand", "item_id=A, node_id=dc1", "same key", "one row per"),
    "orphan node": (put("transit", 0, node_id="fc9"), "transit", "node_id=fc9", "'fc9'", "table nodes"),
    "orphan region": (put("shares", 0, region_id="north"), "shares", "'north'", "regions", "row 1"),
    "orphan speed": (add("cutoffs", speed_id="warp"), "cutoffs", "'warp'", "table speeds", "row 5"),
    "orphan item": (put("on_order", 1, item_id="Z"), "on_order", "item_id=Z", "'Z'", "table items"),
    "orphan lane end": (put("lanes", 0, to_node="fc9"), "lanes", "to_node=fc9", "'fc9'", "table nodes"),
    "empty table": (lambda f: f.update(nodes=f["nodes"].clear()), "nodes", "no rows", "at least one row", ""),
    "missing table": (
        lambda f: f.pop("speeds"), "speeds", "a table speeds.parquet", "speeds.csv", "add the table"
    ),
}  # fmt: skip

CROSS = {
    "cycle": (
        lambda f: [add("lanes", from_node="fc1", to_node="dc1")(f), column("lanes", "use", ["supply"] * 3)(f)],
        "lanes", "fc1", "dc1 -> fc1", "column use",
    ),
    "self lane": (add("lanes", to_node="dc1"), "lanes", "row 3", "dc1 -> dc1", "without a cycle"),
    "lane shares 0": (put("lanes", 1, share=0.0), "lanes", "to_node=fc2", "share > 0", "fc2"),
    "review offset": (put("nodes", 2, review_offset=2), "nodes", "node_id=fc2", "2", "review_period = 2"),
    "shares sum": (put("shares", 0, share=0.2), "shares", "profile=all", "1.075", "sum to 1"),
    "unknown wave": (put("shares", 0, wave=2), "shares", "wave=2", "found 2", "from 0 to 1"),
    "region unreached": (
        drop_row("transit", pl.col("region_id") == "west"), "regions", "region_id=west", "'west'", "transit"
    ),
    "class unserved": (
        drop_row("cutoffs", pl.col("speed_id") == "standard"), "shares", "speed_id=standard", "0.125",
        "no node reaches",
    ),
    "lane lead limit": (put("lanes", 0, lead_time=121), "lanes", "to_node=fc1", "121", "at most 120"),
    "offer lead limit": (put("offers", 0, lead_time_mean=500.0), "offers", "item_id=A", "500", "at most 120"),
    "sample lead limit": (put("lead_times", 2, days=400), "lead_times", "row 3", "400", "at most 120"),
    "empirical unknown": (
        put("offers", 3, lead_time_law="empirical"), "offers", "vendor_id=v2", "'v2'", "lead_times"
    ),
    "offer shares 0": (put("offers", 1, share=0.0), "offers", "node_id=fc1", "share", "share > 0"),
    "offer at cold node": (
        put("offers", 3, node_id="fc2"), "offers", "item_id=C", "'fc2'", "storage class chilled"
    ),
    "unknown profile": (put("items", 0, profile="al"), "items", "item_id=A", "'al'", "table shares"),
    "no supply": (
        lambda f: [drop_row(t, pl.col("item_id") == "C")(f) for t in ("offers", "on_hand")],
        "items", "item_id=C", "an offer at a node that may stock it, or with stock", "on_hand",
    ),
    "class nowhere": (
        lambda f: [put("nodes", 0, storage_classes="ambient")(f), put("items", 2, storage_class="frozen")(f)],
        "items", "item_id=C", "'frozen'", "some node accepts",
    ),
}  # fmt: skip

RESOURCES = {
    "no node": (
        put("resources", 0, node_id=None),
        "resource_id=storage",
        "node_id",
        "kind storage needs node_id",
    ),
    "no lane end": (
        put("resources", 4, to_node=None),
        "resource_id=lane",
        "to_node",
        "needs node_id and to_node",
    ),
    "no such lane": (
        put("resources", 4, node_id="fc2"),
        "resource_id=lane",
        "to_node",
        "a lane from fc2 to fc1",
    ),
    "no vendor": (put("resources", 5, vendor_id=None), "resource_id=vendor", "vendor_id", "needs vendor_id"),
    "unknown vendor": (put("resources", 5, vendor_id="v9"), "resource_id=vendor", "'v9'", "table offers"),
    "foreign scope": (
        put("resources", 1, speed_id="one_day"),
        "resource_id=inbound",
        "speed_id",
        "an empty cell",
    ),
    "measure of storage": (put("resources", 0, measure="kg"), "resource_id=storage", "'kg'", "units, m3 or pallets"),
    "no measure": (
        put("resources", 1, measure=None),
        "resource_id=inbound",
        "measure",
        "kg, pallets, hours or lines",
    ),
    "spend in units": (
        put("resources", 6, measure="units"),
        "resource_id=spend",
        "'units'",
        "money for kind spend",
    ),
    "service in m3": (
        put("resources", 7, measure="m3"),
        "resource_id=service",
        "'m3'",
        "units for kind service",
    ),
    "service above 1": (put("resources", 7, capacity=95.0), "resource_id=service", "95.0", "in [0, 1]"),
    "bucket": (put("resources", 3, bucket=2), "resource_id=outbound, bucket=2", "found 2", "from 0 to 1"),
    "mixed buckets": (put("resources", 3, bucket=None), "resource_id=outbound", "bucket", "not both"),
    "two scopes": (put("resources", 3, node_id="fc1"), "resource_id=outbound", "'fc1'", "the same value"),
    "region group": (
        put("resources", 7, region_group="sea"),
        "resource_id=service",
        "'sea'",
        "table regions",
    ),
    "storage class": (
        put("resources", 0, storage_class="hot"),
        "resource_id=storage",
        "'hot'",
        "items or nodes",
    ),
    "resource twice": (
        put("resources", 3, bucket=0),
        "resource_id=outbound, bucket=0",
        "same key",
        "one row per",
    ),
    "kind": (put("resources", 0, kind="dock"), "resource_id=storage", "'dock'", "storage, inbound"),
}


def unsorted_and_crossed(frames):
    levels = frames["forecast"].select("q0.9", "ds", "q0.1", "unique_id", "q0.5")
    frames["forecast"] = levels.with_columns(pl.lit(3.0).alias("q0.1"))


DAY = datetime.timedelta(days=1)
FORECASTS = {
    "mean period missing": (
        "mean", drop_row("forecast", (pl.col("item_id") == "B") & (pl.col("period") == 5)), "item_id=B",
        "1 of 14 periods missing, the first of them 5 (2025-03-08)", "every period",
    ),
    "unknown item": ("mean", put("forecast", 0, item_id="Q"), "item_id=Q", "'Q'", "table items"),
    "unknown law": ("mean", put("forecast", 3, law="cauchy"), "period=3", "'cauchy'", "negative_binomial"),
    "negative dispersion": ("mean", put("forecast", 3, dispersion=-0.1), "period=3", "-0.1", ">= 0"),
    "path period missing": (
        "paths", drop_row("forecast", (pl.col("path") == 1) & (pl.col("period") > 11)), "item_id=A, path=1",
        "2 of 14 periods missing", "every period",
    ),
    "negative path": ("paths", put("forecast", 0, path=-1), "path=-1", "found -1", ">= 0"),
    "quantiles cross": (
        "quantiles", column("forecast", "q0.5", [9.0] + [2.0] * 41), "unique_id=A", "5.0", "q0.5"
    ),
    "quantiles cross unsorted": (
        "quantiles", unsorted_and_crossed,
        "row 1", "found 2.0", "at least 3.0, the value of q0.1",
    ),
    "quantile day": (
        "quantiles", put("forecast", 0, ds=START - DAY), "ds=2025-03-02", "2025-03-02", "from 2025-03-03"
    ),
    "quantile gap": (
        "quantiles", drop_row("forecast", pl.col("ds") == START), "unique_id=A", "(2025-03-03)", "every"
    ),
    "one quantile": (
        "quantiles", lambda f: f.update(forecast=f["forecast"].drop("q0.1", "q0.9")),
        "header", "q0.5", "two or more",
    ),
    "no date": ("quantiles", column("forecast", "ds", ["soon"] * 42), "row 1", "'soon'", "YYYY-MM-DD"),
    "history in future": (
        "history", put("forecast", 0, ds=START), "ds=2025-03-03", "2025-03-03", "before 2025-03-03"
    ),
    "history before all": (
        "history", put("forecast", 0, ds=START - 7306 * DAY), "item_id=A", "2005-03-02", "7305 days before the start"
    ),
    "paths of one item only": (
        "paths", drop_row("forecast", (pl.col("item_id") == "B") & (pl.col("path") == 1)),
        "item_id=B", "1 paths", "2 paths, numbered from 0 to 1",
    ),
    "two laws": ("mean", put("forecast", 3, law="fixed"), "item_id=A, period=3", "'fixed'", "the same law"),
    "wrong form": ("history", lambda f: f.update(tiny_frames("mean")), "header", "period", "a known column"),
}  # fmt: skip


def message(folder) -> str:
    with pytest.raises(InputError) as caught:
        read_instance(folder)
    return str(caught.value)


@pytest.mark.parametrize("name", CELLS | CROSS)
def test_damaged_tables_are_named(name, tmp_path):
    damage, file, *fragments = (CELLS | CROSS)[name]
    text = message(damaged(tmp_path, damage, "mean"))
    assert all(fragment in text for fragment in [f"{file}.parquet", *fragments]), text


@pytest.mark.parametrize("name", RESOURCES)
def test_damaged_resources_are_named(name, tmp_path):
    damage, *fragments = RESOURCES[name]
    text = message(damaged(tmp_path, damage, "mean"))
    assert all(fragment in text for fragment in ["resources.parquet, row", *fragments]), text


@pytest.mark.parametrize("name", FORECASTS)
def test_damaged_forecasts_are_named(name, tmp_path):
    form, damage, *fragments = FORECASTS[name]
    text = message(damaged(tmp_path, damage, form))
    assert all(fragment in text for fragment in ["forecast.parquet", *fragments]), text


SETTINGS = {
    "unknown key": ({"perods": 14}, "key perods", "did you mean periods?"),
    "no date": ({"start_date": None}, "key start_date", "a date (YYYY-MM-DD)"),
    "no days": ({"periods": 0}, "key periods", "found 0", "greater than or equal to 1"),
    "text for number": ({"periods": "56"}, "key periods", "'56'", "integer"),
    "true for number": ({"periods": True}, "key periods", "True", "integer"),
    "waves unsorted": ({"wave_ends": [20, 12, 24]}, "key wave_ends", "ascending"),
    "waves end early": ({"wave_ends": [12, 20]}, "key wave_ends", "[12, 20]", "24"),
    "no list": ({"wave_ends": 24}, "key wave_ends", "a list of hours"),
    "form": ({"forecast": "median"}, "key forecast", "'median'", "'paths', 'quantiles', 'mean' or 'history'"),
    "date": ({"start_date": "3/3/2025"}, "key start_date", "'3/3/2025'", "date"),
    "nan": ({"terminal_credit": float("nan")}, "key terminal_credit", "nan", "finite"),
    "warm-up": ({"warmup_periods": 14}, "warmup_periods (14) less than periods (14)"),
    "correlation": ({"autocorrelation": 1.0}, "key autocorrelation", "less than 1"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_damaged_settings_are_named(name, tmp_path):
    changes, *fragments = SETTINGS[name]
    text = message(write_raw(tmp_path, tiny_frames(), settings_content("mean") | changes))
    assert all(fragment in text for fragment in ["instance.yaml", *fragments]), text
    assert text.startswith("1 problem "), text


def test_missing_keys_are_named(tmp_path):
    text = message(write_raw(tmp_path, tiny_frames(), {"name": "a", "forecast": "mean"}))
    for key in ("start_date", "periods"):
        assert f"instance.yaml, key {key}: found nothing" in text


def _write(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def _truncate(folder):
    path = folder / "offers.parquet"
    path.write_bytes(path.read_bytes()[:-40])


def _as_csv(name: str, edit):
    def damage(folder):
        text = pl.read_parquet(folder / f"{name}.parquet").write_csv()
        (folder / f"{name}.parquet").unlink()
        (folder / f"{name}.csv").write_bytes(edit(text.encode()))

    return damage


FILES = {
    "truncated": (_truncate, "offers.parquet", "a whole Parquet file"),
    "not parquet": (
        _write("items.parquet", b"item_id,price\nA,1\n"),
        "items.parquet",
        "a whole Parquet file",
    ),
    "empty parquet": (_write("nodes.parquet", b""), "nodes.parquet", "an empty file"),
    "empty csv": (_as_csv("nodes", lambda b: b""), "nodes.csv", "an empty file"),
    "latin-1": (_as_csv("nodes", lambda b: b.replace(b"dc1", b"d\xe9p")), "nodes.csv", "line 2", "UTF-8"),
    "binary csv": (_as_csv("nodes", lambda b: b"\x00\xff\x01" * 50), "nodes.csv", "line 1", "UTF-8"),
    "semicolons": (_as_csv("speeds", lambda b: b.replace(b",", b";")), "speeds.csv", "parted by commas"),
    "ragged": (
        _as_csv("speeds", lambda b: b + b"a,1,2,3,4,5,6\n"),
        "speeds.csv, line 4",
        "7 cells",
        "4 cells",
    ),
    "csv cell": (
        _as_csv("speeds", lambda b: b.replace(b",5,", b",five,")),
        "speeds.csv, line 3",
        "'five'",
        "whole",
    ),
    "both": (_write("items.csv", b"item_id\nA\n"), "items.parquet and items.csv", "in one form only"),
    "stray": (_write("on_hands.csv", b"item_id\nA\n"), "on_hands.csv", "did you mean on_hand.csv?"),
    "no settings": (lambda f: (f / "instance.yaml").unlink(), "instance.yaml", "a file instance.yaml"),
    "bad yaml": (_write("instance.yaml", b"name: [1,\nperiods: 3"), "instance.yaml", "line 2", "plain YAML"),
    "unsafe tag": (
        _write("instance.yaml", b"!!python/object/apply:os.system ['true']"),
        "instance.yaml",
        "tag",
    ),
    "yaml list": (_write("instance.yaml", b"- 1\n- 2\n"), "instance.yaml", "a mapping"),
    "empty yaml": (_write("instance.yaml", b""), "instance.yaml", "an empty file", "a mapping"),
    "latin yaml": (_write("instance.yaml", b"name: caf\xe9\n"), "instance.yaml", "UTF-8"),
    "key twice": (_write("instance.yaml", b"name: a\nname: b\n"), "instance.yaml", "line 2", "given twice"),
    "folder of nothing": (
        lambda f: [(f / "nodes.parquet").unlink(), (f / "nodes").mkdir()],
        "nodes/",
        "the parts",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_named(name, tmp_path):
    damage, *fragments = FILES[name]
    folder = write_raw(tmp_path, tiny_frames(), settings_content("mean"))
    damage(folder)
    text = message(folder)
    assert all(fragment in text for fragment in fragments), text
    assert text.startswith("1 problem "), text


@pytest.mark.parametrize("cuts", some_slow([5, 25], quick=[5]))
def test_damage_at_every_length_is_an_input_error(tmp_path, cuts):
    folder = write_raw(tmp_path, tiny_frames(), settings_content("mean"))
    path = folder / "offers.parquet"
    whole = path.read_bytes()
    for length in range(1, len(whole), max(1, len(whole) // cuts)):
        path.write_bytes(whole[:length])
        assert "offers.parquet" in message(folder)


def test_no_folder():
    assert "nowhere" in message("nowhere")


def test_a_forecast_beyond_the_horizon_says_how_business_goes_on(tmp_path):
    """Rows after the last period serve the tail; where everything ends with the horizon they are an error."""
    frames = tiny_frames()
    row = frames["forecast"].filter(item_id="A", period=13).with_columns(period=pl.lit(14, pl.Int64))
    frames["forecast"] = pl.concat([frames["forecast"], row])
    assert read_instance(write_raw(tmp_path / "on", frames, settings_content("mean"))).forecast.height > 0
    text = message(write_raw(tmp_path / "end", frames, settings_content("mean") | {"terminal": "liquidate"}))
    for part in ("item_id=A, period=14", "found 14", "from 0 to 13"):
        assert part in text
