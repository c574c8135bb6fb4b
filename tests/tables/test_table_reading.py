"""An instance reads the same from Parquet, CSV, parts and frames, whole or a block of items at a time."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import polars as pl
import pytest
from folders import put, settings_content, write_raw
from tiny import LEVELS, tiny_frames, tiny_settings, tiny_tables

from meio_jax.errors import SHOWN, InputError
from meio_jax.tables import (
    FORECASTS,
    ITEM_TABLES,
    TABLE_NAMES,
    Tables,
    quantile_levels,
    read_instance,
    read_item_block,
    read_network,
    read_settings,
    scan_item_ids,
    table_schema,
    write_instance,
    write_table,
)
from meio_jax.tables.findings import Findings
from meio_jax.tables.matching import read_matching
from meio_jax.tables.sources import find_files

FORMS = tuple(FORECASTS)


def assert_same(left: Tables, right: Tables) -> None:
    assert left.settings == right.settings
    for name, frame in left.frames().items():
        other = right.frames()[name]
        assert frame.schema == other.schema, name
        assert frame.equals(other), name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("suffix", "rows"), [("parquet", None), ("parquet", 2), ("csv", None)])
def test_round_trip(form, suffix, rows, tmp_path):
    tables = tiny_tables(form)
    write_instance(tables, tmp_path, format=suffix, partition_rows=rows)
    assert (tmp_path / "forecast").is_dir() == (rows is not None)
    assert_same(read_instance(tmp_path), tables)


def test_columns_are_those_of_the_schema():
    for form in FORMS:
        for name, frame in tiny_tables(form).frames().items():
            declared = {column.name: column.dtype for column in table_schema(name, form).columns}
            own = {key: dtype for key, dtype in frame.schema.items() if key not in LEVELS}
            assert list(own.items()) == list(declared.items())


def test_optional_tables_and_columns_may_be_absent(tmp_path):
    frames = tiny_frames()
    for name in ("resources", "on_order", "on_hand"):
        del frames[name]
    frames["items"] = frames["items"].drop("unmet", "storage_class", "backorder_cost")
    frames["offers"] = frames["offers"].with_columns(pl.lit(None).alias("pack_size"), lead_time_law=pl.lit("fixed"))
    tables = read_instance(write_raw(tmp_path, frames, settings_content("mean"), "csv"))
    assert tables.resources.height == tables.on_hand.height == 0
    assert tables.resources.columns == list(table_schema("resources", "mean").column_names)
    assert tables.items["unmet"].to_list() == ["lost"] * 3
    assert tables.items["storage_class"].to_list() == ["ambient"] * 3
    assert tables.offers["pack_size"].to_list() == [1] * 4


def test_measures_that_the_kind_implies_are_filled():
    measures = dict(tiny_tables().resources.select("kind", "measure").iter_rows())
    assert measures["spend"] == "money"
    assert measures["service"] == "units"


def test_ids_stay_text(tmp_path):
    frames = tiny_frames()
    ids = {"A": "007", "B": "1e3", "C": "NaN"}
    for name in frames.keys() & set(ITEM_TABLES):
        frames[name] = frames[name].with_columns(pl.col("item_id").replace(ids))
    tables = read_instance(write_raw(tmp_path, frames, settings_content("mean"), "csv"))
    assert tables.items["item_id"].to_list() == ["007", "1e3", "NaN"]


def test_whole_numbers_as_ids_are_cast():
    frames = tiny_frames()
    for name in frames.keys() & set(ITEM_TABLES):
        frames[name] = frames[name].with_columns(pl.col("item_id").replace_strict({"A": 1, "B": 2, "C": 3}))
    tables = Tables.from_frames(tiny_settings(), **frames)
    assert tables.forecast["item_id"].unique(maintain_order=True).to_list() == ["1", "2", "3"]


def test_quantile_columns_of_forecasting_libraries(tmp_path):
    frames = tiny_frames("quantiles")
    expected = frames["forecast"]
    names = {"q0.9": "TFT-hi-80", "q0.1": "TFT-lo-80.0", "q0.5": "TFT-median"}
    written = expected.rename(names).select("TFT-hi-80", "unique_id", "TFT-median", "ds", "TFT-lo-80.0")
    frames["forecast"] = written.with_columns(pl.col("ds").cast(pl.Datetime("ns")), TFT=pl.lit(2.5))
    tables = Tables.from_frames(tiny_settings("quantiles"), **frames)
    assert tables.forecast.equals(expected)
    assert quantile_levels(tables.forecast) == (0.1, 0.5, 0.9)


def test_quantiles_of_two_models_are_refused():
    frames = tiny_frames("quantiles")
    frames["forecast"] = frames["forecast"].rename({"q0.1": "A-lo-80", "q0.9": "B-hi-80"})
    with pytest.raises(InputError, match=r"A, B.*quantiles of one model"):
        Tables.from_frames(tiny_settings("quantiles"), **frames)


def test_hive_folders_group_parts(tmp_path):
    folder = write_raw(tmp_path, tiny_frames(), settings_content("mean"))
    whole = pl.read_parquet(folder / "forecast.parquet")
    (folder / "forecast.parquet").unlink()
    for number, part in enumerate(whole.partition_by("item_id", maintain_order=True)):
        write_table(part.drop("item_id"), folder / f"forecast/item_id={part['item_id'][0]}/block={number}/p.parquet")
    (folder / "forecast/_SUCCESS").touch()
    assert_same(read_instance(folder), tiny_tables())


def test_a_problem_in_a_part_names_the_part(tmp_path):
    write_instance(tiny_tables(), tmp_path, partition_rows=14)
    path = tmp_path / "forecast/part-00001.parquet"
    write_table(pl.read_parquet(path).with_columns(item_id=pl.lit("A")), path)
    with pytest.raises(InputError, match=r"forecast/part-00001.parquet, row 1 \(item_id=A, period=0\)"):
        read_instance(tmp_path)


@pytest.mark.parametrize(("suffix", "rows"), [("parquet", None), ("parquet", 14), ("csv", None)])
def test_blocks_of_items_cover_the_whole(suffix, rows, tmp_path):
    tables = tiny_tables()
    write_instance(tables, tmp_path, format=suffix, partition_rows=rows)
    assert scan_item_ids(tmp_path).to_list() == ["A", "B", "C"]
    network = read_network(tmp_path)
    assert network.items.height == network.forecast.height == 0
    blocks = [read_item_block(tmp_path, ids, network) for ids in (["B", "A"], ["C"])]
    for name in TABLE_NAMES:
        if name in ITEM_TABLES:
            assert pl.concat([block.frames()[name] for block in blocks]).equals(tables.frames()[name])
        else:
            assert blocks[0].frames()[name].equals(tables.frames()[name])
    assert_same(read_item_block(tmp_path, ["C"]), blocks[1])


def test_items_are_found_by_the_ids_that_the_whole_instance_has(tmp_path):
    folder = write_raw(tmp_path / "tiny", tiny_frames("mean"), settings_content("mean"))
    for name, column, raw in (("items", "item_id", " B\u200b"), ("on_hand", "item_id", "B ")):
        path = folder / f"{name}.parquet"
        pl.read_parquet(path).with_columns(pl.col(column).replace("B", raw)).write_parquet(path)
    whole, block = read_instance(folder), read_item_block(folder, ["B"])
    for name in ("items", "on_hand", "forecast"):
        own = {"items": whole.items, "on_hand": whole.on_hand, "forecast": whole.forecast}[name]
        column = "unique_id" if "unique_id" in own.columns else "item_id"
        assert own.filter(pl.col(column) == "B").height > 0, name
        assert block.frames()[name].equals(own.filter(pl.col(column) == "B")), name


def test_blocks_are_checked(tmp_path):
    frames = tiny_frames()
    put("offers", 2, node_id="fc9")(frames)
    folder = write_raw(tmp_path, frames, settings_content("mean"))
    assert read_item_block(folder, ["A"]).offers.height == 2
    assert read_item_block(folder, []).items.height == 0
    with pytest.raises(InputError, match=r"offers.parquet, item_id=B.*'fc9'.*table nodes"):
        read_item_block(folder, ["B"])
    with pytest.raises(InputError, match=r"'Z'.*an item of the catalog"):
        read_item_block(folder, ["A", "Z"])


def test_all_problems_are_told_and_twenty_are_listed(tmp_path):
    frames = tiny_frames()
    frames["forecast"] = frames["forecast"].with_columns(mean=pl.lit(-1.0))
    put("forecast", 41, mean=1.0)(frames)
    put("nodes", 0, kind="hub")(frames)
    content = settings_content("mean") | {"perods": 3}
    with pytest.raises(InputError) as caught:
        read_instance(write_raw(tmp_path, frames, content))
    assert caught.value.count >= 2  # the form of the forecast is not known: its cells are left unread
    with pytest.raises(InputError) as caught:
        Tables.from_frames(tiny_settings(), **frames)
    error = caught.value
    assert error.count == 42
    lines = str(error).splitlines()
    assert lines[0] == "42 problems in the input:"
    assert len(lines) == SHOWN + 2
    assert lines[-1] == "  ... and 22 more"
    assert any(problem.file == "nodes" and problem.value == "hub" for problem in error.problems)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_many_bad_rows_are_counted_not_built():
    frames = tiny_frames("paths")
    frames["forecast"] = frames["forecast"].with_columns(units=pl.lit(-1.0))
    put("forecast", 83, units=1.0)(frames)
    with pytest.raises(InputError) as caught:
        Tables.from_frames(tiny_settings("paths"), **frames)
    assert caught.value.count == 83
    assert len(caught.value.problems) == 50


def test_unknown_frame_is_refused():
    with pytest.raises(InputError, match="did you mean lanes"):
        Tables.from_frames(tiny_settings(), **tiny_frames(), lane=pl.DataFrame({"a": [1]}))


def test_rewriting_in_another_form_leaves_one_form(tmp_path):
    tables = tiny_tables()
    for suffix, rows in (("csv", None), ("parquet", 2), ("parquet", None)):
        write_instance(tables, tmp_path, format=suffix, partition_rows=rows, overwrite=True)
        assert_same(read_instance(tmp_path), tables)
    hidden = {path.name for path in tmp_path.iterdir() if path.name.startswith(".")}
    assert hidden == {".meio.json", ".meio.lock"}, "the marker and the lock alone"


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    write_table(pl.DataFrame({"a": [1]}), path)

    def fail(self, file, **_):
        Path(file).write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    with pytest.raises(OSError, match=r"No space left|disk full"):
        write_table(pl.DataFrame({"a": [2]}), path)
    assert pl.read_parquet(path)["a"].to_list() == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.parquet"]


def test_settings_derive_sizes(tmp_path):
    write_instance(tiny_tables(), tmp_path)
    settings = read_settings(tmp_path)
    assert (settings.buckets, settings.waves) == (2, 2)
    assert str(settings.end_date) == "2025-03-17"
    with pytest.raises(ValueError, match="frozen"):
        settings.periods = 3


def test_consecutive_items_are_found_whose_ids_have_blanks_around_them_in_another_file(tmp_path: Path) -> None:
    """A part of a catalog reads its own files, and rows of its items that stand elsewhere because of a blank."""
    ids = [f"I{number:03d}" for number in range(40)]
    (tmp_path / "on_hand").mkdir()
    for part in range(4):
        own = ids[10 * part : 10 * (part + 1)]
        if part == 3:
            own = [" I004", "\u200bI005", *own, "I009 "]
        pl.DataFrame({"item_id": own, "node_id": "N", "units": 1.0}).write_parquet(
            tmp_path / "on_hand" / f"part-{part}.parquet"
        )
    findings = Findings()
    files = find_files(tmp_path, "on_hand", findings)
    assert files is not None
    wanted = pl.Series("item_id", ids[:10])
    parts = read_matching(files, "item_id", wanted, findings, consecutive=True)
    assert parts is not None
    assert not findings.problems
    found = [part.frame["item_id"].to_list() for part in parts]
    assert found == [ids[:10], [], [], [" I004", "\u200bI005", "I009 "]]
