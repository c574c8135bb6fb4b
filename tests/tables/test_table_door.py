"""What comes in at the door: files that are not read, CSV of spreadsheets, near-equal ids, digests of what was read."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import polars as pl
import pytest
from folders import column, damaged, put, settings_content, write_raw
from tiny import tiny_frames, tiny_settings, tiny_tables

from meio_jax.errors import InputError, InputWarning, Problem
from meio_jax.instance.item_sources import FolderSource
from meio_jax.runs.resume import table_digests
from meio_jax.tables import (
    FORECASTS,
    TABLE_NAMES,
    Tables,
    read_instance,
    settings,
    sources,
    table_schema,
    write_instance,
)
from meio_jax.tables.clean_texts import LONGEST_TEXT
from meio_jax.tables.quantiles import quantile_columns
from meio_jax.tables.settings import InstanceSettings

TINY = {"promises not met", "sales that do not pay"}
"""Kinds of warnings that the tiny instance has as it is."""


def message(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_instance(folder)
    return str(caught.value)


def warned(tables: Tables, kind: str) -> InputWarning:
    (found,) = [one for one in tables.warnings if one.kind == kind]
    return found


def kinds(tables: Tables) -> set[str]:
    return {one.kind for one in tables.warnings}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "instance", tiny_frames(), settings_content("mean"))


@pytest.mark.parametrize(
    "name",
    ["resources.PARQUET", "resources.CSV", "Resources.parquet", "resources.xls", "resources.csv.gz", "resources.pq"],
)
@pytest.mark.parametrize("table", ["resources", "on_hand"])
def test_a_table_in_a_form_that_is_not_read_is_refused(folder: Path, table: str, name: str) -> None:
    name = name.replace("resources", table).replace("Resources", table.title())
    (folder / f"{table}.parquet").rename(folder / name)
    text = message(folder)
    assert f"{name}: expected" in text
    assert text.startswith("1 problem "), text


def test_a_link_that_leads_nowhere_is_refused(folder: Path) -> None:
    (folder / "resources.parquet").unlink()
    (folder / "resources.parquet").symlink_to(folder / "gone.parquet")
    assert "resources.parquet: expected a file that is there" in message(folder)


@pytest.mark.parametrize("name", ["resources.parquet", "notes.txt"])
def test_a_link_that_leads_to_itself_is_told(folder: Path, name: str) -> None:
    (folder / "resources.parquet").unlink()
    (folder / name).symlink_to(folder / name)
    if name == "notes.txt":
        assert any("notes.txt" in one.example for one in read_instance(folder).warnings if one.kind == "not read")
    else:
        assert "resources.parquet: expected a file that is there" in message(folder)


@pytest.mark.parametrize("name", ["resources.parquet", "Resources", "resources.csv"])
def test_a_folder_with_the_name_of_a_file_is_refused(folder: Path, name: str) -> None:
    content = (folder / "resources.parquet").read_bytes()
    (folder / "resources.parquet").unlink()
    (folder / name).mkdir()
    (folder / name / "part-0.parquet").write_bytes(content)
    assert f"{name}/: expected a file, or a folder resources/" in message(folder)


def test_a_part_that_is_not_read_is_refused(folder: Path) -> None:
    (folder / "resources").mkdir()
    (folder / "resources.parquet").rename(folder / "resources/part-0.parquet")
    shutil.copy(folder / "resources/part-0.parquet", folder / "resources/part-1.PARQUET")
    assert "resources/part-1.PARQUET: expected only parts" in message(folder)


def test_anything_else_that_is_not_read_is_a_warning(folder: Path) -> None:
    for name in ("README.md", ".resources.parquet.swp", ".DS_Store", "notes.txt"):
        (folder / name).write_text("x", encoding="utf-8")
    (folder / "pictures").mkdir()
    found = warned(read_instance(folder), "not read")
    assert found.count == 4
    assert "README.md" in str(found)
    assert ".DS_Store" not in str(found)


def test_what_was_read_is_said(folder: Path) -> None:
    (folder / "resources.parquet").unlink()
    tables = read_instance(folder)
    assert tables.read_from["items"] == "items.parquet"
    assert "resources" not in tables.read_from
    assert kinds(tables) == TINY


def csv(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.parquet").unlink(missing_ok=True)
    (folder / f"{name}.csv").write_text(text, encoding="utf-8")


SPEEDS = "speed_id,promise_days,deliver_by_hour,cost_factor\none_day,1,21,1.5\nstandard,5,21,1\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SPEEDS.replace("1,21,1.5", "1,21"), ["line 2: found 3 cells; expected 4 cells, as in the header"]),
        (SPEEDS + "x,1\ny,2\n", ["line 4: found 2 cells; 1 more such lines"]),
        (SPEEDS.replace("standard", '"a ""b"" c",2'), ["line 3: found 5 cells"]),
        (
            SPEEDS.replace("1.5", '"1,5"'),
            ["line 2", "column cost_factor: found '1,5'; expected a number", "1.5 for 1,5"],
        ),
        (SPEEDS.replace(",", ";").replace("1.5", "1,5"), ["line 1: found cells parted by semicolons", "decimal point"]),
        ("sep=;\n" + SPEEDS.replace(",", ";"), ["line 1: found 'sep=;'", "remove the line"]),
        (SPEEDS.replace("cost_factor", ""), ["line 1: found no name for column 4 of 4"]),
        (SPEEDS.replace("cost_factor", "promise_days"), ["column promise_days: expected every column once"]),
        (SPEEDS.replace("one_day", '"one'), ["quotes"]),
        (SPEEDS.replace("\n", "\r"), ["carriage return"]),
    ],
)
def test_csv_files_of_spreadsheets_are_told_by_line(folder: Path, text: str, told: list[str]) -> None:
    csv(folder, "speeds", text)
    found = message(folder)
    assert all(fragment in found for fragment in ["speeds.csv", *told]), found
    assert found.startswith("1 problem "), found


def test_csv_with_a_mark_and_empty_lines_at_its_end_is_read(folder: Path) -> None:
    csv(folder, "speeds", "\ufeff" + SPEEDS.replace("\n", "\r\n") + ",,,\r\n\r\n")
    assert read_instance(folder).speeds["speed_id"].to_list() == ["one_day", "standard"]


def test_a_column_that_is_wrong_in_every_row_is_one_problem(tmp_path: Path) -> None:
    def damage(frames):
        frames["forecast"] = frames["forecast"].with_columns(pl.col("ds").dt.strftime("%d/%m/%Y"))

    text = message(damaged(tmp_path, damage, "history", "csv"))
    assert text.startswith("1 problem ")
    assert "all 84 rows that are filled, the first of them line 2" in text
    assert "column ds: found '03/02/2025'; expected a date (YYYY-MM-DD)" in text


def test_a_short_column_that_is_wrong_in_every_row_is_one_problem(folder: Path) -> None:
    csv(folder, "speeds", SPEEDS.replace("1.5", "dear").replace(",1\n", ",cheap\n"))
    text = message(folder)
    assert text.startswith("1 problem "), text
    assert "all 2 rows that are filled, the first of them line 2" in text
    assert "column cost_factor: found 'dear'; expected a number" in text


@pytest.mark.parametrize("written", ["v1 ", "\u00a0v1", "v\u200b1", "v1\ufeff"])
def test_blanks_and_invisible_characters_are_taken_off_with_a_warning(written: str) -> None:
    frames = tiny_frames()
    put("offers", 0, vendor_id=written)(frames)
    tables = Tables.from_frames(tiny_settings(), **frames)
    assert tables.offers["vendor_id"].to_list() == ["v1", "v2", "v1", "v2"]
    found = warned(tables, "texts cleaned")
    assert found.count == 1
    assert "row 1 (item_id=A" in found.example


@pytest.mark.parametrize("table", ["items", "offers", "forecast", "on_hand", "on_order"])
def test_ids_in_any_table_are_cleaned(table: str) -> None:
    frames = tiny_frames()
    frames[table] = frames[table].with_columns(pl.col("item_id") + " ")
    tables = Tables.from_frames(tiny_settings(), **frames)
    assert set(tables.frames()[table]["item_id"]) <= {"A", "B", "C"}
    assert warned(tables, "texts cleaned").count == frames[table].height


def test_letters_in_two_parts_are_composed() -> None:
    frames = tiny_frames()
    put("lead_times", 0, vendor_id="Cafe\u0301")(frames)
    put("offers", 0, vendor_id="Caf\u00e9")(frames)
    tables = Tables.from_frames(tiny_settings(), **frames)
    assert tables.lead_times["vendor_id"][0] == tables.offers["vendor_id"][0] == "Caf\u00e9"


@pytest.mark.parametrize("written", ["V1", "v 1", "v\uff11"])
def test_ids_that_are_nearly_equal_are_told_across_tables(written: str) -> None:
    frames = tiny_frames()
    put("lead_times", 0, vendor_id=written)(frames)
    found = warned(Tables.from_frames(tiny_settings(), **frames), "near-equal ids")
    assert found.count == 1
    assert "'v1' (offers)" in found.example
    assert repr(written) in found.example


def test_zeros_that_spreadsheets_take_off_are_told() -> None:
    frames = tiny_frames()
    put("offers", 0, vendor_id="007")(frames)
    put("offers", 1, vendor_id="7")(frames)
    assert "'007'" in warned(Tables.from_frames(tiny_settings(), **frames), "near-equal ids").example
    assert "near-equal ids" not in kinds(tiny_tables())


def test_control_characters_are_refused_and_never_shown(tmp_path: Path) -> None:
    for number, written in enumerate(["A\x1b[31m", "A\nB", "A\x00", "A\x9b1m", "A" * (LONGEST_TEXT + 1)]):
        text = message(damaged(tmp_path / str(number), put("offers", 0, item_id=written), "mean"))
        assert "text of at most 200 characters without control characters" in text
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert "\x00" not in text


def test_a_problem_shows_no_control_characters_wherever_they_are() -> None:
    text = str(Problem("a\x1b[2J.csv", "id=\x07", "c\u202e", "v\x1b", "e", "r"))
    assert text.isprintable()
    assert "\\x1b[2J" in text
    assert str(InputWarning("k", 1, "w", "id\x1b", "r")).isprintable()


@pytest.mark.parametrize("form", ["history", "quantiles"])
@pytest.mark.parametrize("day", [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1900, 1, 1)])
def test_days_of_other_centuries_are_slips(form: str, day: datetime.date, tmp_path: Path) -> None:
    assert f"{day}" in message(damaged(tmp_path, put("forecast", 3, ds=day), form))
    with pytest.raises(ValueError, match="expected a day from 1950"):
        InstanceSettings(**tiny_settings().model_dump() | {"start_date": day})


def test_a_day_that_python_cannot_hold_is_told(tmp_path: Path) -> None:
    far = pl.Series("ds", [10_000_000] * 84, dtype=pl.Int32).cast(pl.Date)
    text = message(damaged(tmp_path, column("forecast", "ds", far), "history"))
    assert "29349" in text


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("items", {"price": 1e39}),
        ("items", {"weight_kg": 1e30}),
        ("forecast", {"mean": 1e30}),
        ("forecast", {"dispersion": 1e30}),
        ("offers", {"lead_time_sd": 1e300}),
        ("offers", {"unit_cost": 1e39}),
        ("offers", {"pack_size": 2**62}),
        ("lanes", {"lead_time_sd": 1e300}),
        ("lanes", {"cost_per_kg": 1e39}),
        ("lead_times", {"weight": 1e300}),
        ("on_hand", {"units": 1e30}),
        ("on_order", {"period_due": 10**9}),
        ("resources", {"capacity": 1e39}),
        ("transit", {"hours": 1e30}),
        ("speeds", {"cost_factor": 1e30}),
        ("nodes", {"holding_factor": 1e30}),
        ("nodes", {"review_period": 10**12}),
    ],
)
def test_numbers_beyond_what_can_be_computed_are_refused(table: str, values: dict, tmp_path: Path) -> None:
    text = message(damaged(tmp_path, put(table, 0, **values), "mean"))
    assert f"{table}.parquet, row 1" in text
    assert next(iter(values)) in text


def test_every_number_of_every_table_has_an_upper_end(tmp_path: Path) -> None:
    tables = [table_schema(name, form) for form in FORECASTS for name in TABLE_NAMES]
    columns = [column for table in tables for column in table.columns] + list(quantile_columns((0.05, 0.95)))
    numbers = [one for one in columns if one.type in ("float", "int") and not one.allowed]
    assert len(numbers) > 100
    assert [one.name for one in numbers if one.le is None and one.lt is None] == []
    text = message(damaged(tmp_path, put("forecast", 0, **{"q0.9": 1e300}), "quantiles"))
    assert "forecast.parquet, row 1" in text


def test_digests_are_those_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    for number, rows in enumerate((None, 2)):
        folder = write_instance(tiny_tables(), tmp_path / str(number), partition_rows=rows)
        tables = read_instance(folder)
        assert tables.digests == table_digests(folder)
        shutil.copy(folder / "nodes.parquet", folder / "kept")
        put("nodes", 0, holding_factor=0.5)(frames := tiny_frames())
        frames["nodes"].write_parquet(folder / "nodes.parquet")
        changed = {name for name, digest in table_digests(folder).items() if digest != tables.digests[name]}
        assert changed == {"nodes.parquet"}


def test_files_that_change_while_they_are_read_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def and_write(path: Path) -> bytes:
        content = read(path)
        if path.name == "offers.parquet":
            tiny_frames()["offers"].head(3).write_parquet(path)
        return content

    monkeypatch.setattr(Path, "read_bytes", and_write)
    assert "found files that changed" in message(folder)


@pytest.mark.parametrize("table", ["items", "offers", "forecast", "on_order"])
def test_a_catalog_that_is_read_in_parts_has_clean_ids(folder: Path, table: str) -> None:
    """A part finds its rows by id: a row of `A ` would be met in none of them."""
    FolderSource(folder, 2)
    frames = tiny_frames()
    put(table, 0, item_id="A ")(frames)
    frames[table].write_parquet(folder / f"{table}.parquet")
    with pytest.raises(InputError, match=rf"{table}.parquet, column item_id: found 'A '; expected ids without blanks"):
        FolderSource(folder, 2)


def test_a_catalog_that_is_read_in_parts_is_told_of_uneven_rows(folder: Path) -> None:
    csv(folder, "on_hand", "item_id,node_id,units\nA,fc1,2\nB,fc1\n")
    with pytest.raises(InputError, match=r"on_hand.csv, line 3: found 2 cells"):
        FolderSource(folder, 2)


def test_a_catalog_that_changes_between_its_parts_is_told(folder: Path) -> None:
    source = FolderSource(folder, 2)
    assert source.tables(0).items.height == 2
    tiny_frames()["offers"].head(3).write_parquet(folder / "offers.parquet")
    with pytest.raises(InputError, match="files that changed"):
        source.tables(1)


def test_what_is_refused_is_not_read_again_for_every_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of thousands of brackets take a while to be refused, and so may a damaged workbook."""
    read: list[str] = []
    parse, sheets = settings.parse_yaml, sources.sheets_of
    monkeypatch.setattr(settings, "parse_yaml", lambda text, label: read.append(label) or parse(text, label))
    monkeypatch.setattr(sources, "sheets_of", lambda content, label: read.append(label) or sheets(content, label))
    (folder / "instance.yaml").write_text("name: " + "[" * 300, encoding="utf-8")
    (folder / "tables.xlsx").write_bytes(b"no workbook")
    for _ in range(2):
        with pytest.raises(InputError, match="more than 40 levels"):
            read_instance(folder)
    # Once to find tables, and once for each reading.
    assert 2 <= read.count("instance.yaml") <= 3
    assert read.count("tables.xlsx") == 1
