"""Workbooks are read like CSV files, cell by cell, and written so that no text is run as a formula."""

from __future__ import annotations

import datetime
import io
import random
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from folders import settings_content, write_raw
from tiny import tiny_frames, tiny_tables

from meio_jax.errors import InputError
from meio_jax.forecast.run import _copy_instance
from meio_jax.runs.resume import table_digests
from meio_jax.tables import read_instance, read_item_block, read_network, scan_item_ids, workbook_size
from meio_jax.tables.overlay import read_item_tables
from meio_jax.tables.write_excel import write_workbook

xlsxwriter = pytest.importorskip("xlsxwriter", reason="needs the extra `excel`")
pytest.importorskip("fastexcel", reason="needs the extra `excel`")


def with_settings(folder: Path, form: str = "mean") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "instance.yaml").write_text(yaml.safe_dump(settings_content(form)), encoding="utf-8")
    return folder


def book_of(folder: Path, frames: dict[str, pl.DataFrame]) -> Path:
    """An instance whose tables are sheets of one workbook."""
    write_workbook(frames.items(), with_settings(folder) / "tables.xlsx")
    return folder


def cells(path: Path, rows: list[list[Any]], sheet: str = "items") -> Path:
    """A workbook as a person makes it: one sheet of cells; a pair is a formula and its saved value."""
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet(sheet)
        for row, values in enumerate(rows):
            for column, value in enumerate(values):
                if isinstance(value, tuple):
                    page.write_formula(row, column, value[0], None, value[1])
                elif value is not None:
                    page.write(row, column, value)
    return path


def test_a_workbook_of_all_tables_is_the_instance(tmp_path: Path) -> None:
    """Dates, booleans, whole and broken numbers and empty cells come back as they were."""
    folder = book_of(tmp_path / "book", tiny_frames())
    found, expected = read_instance(folder), tiny_tables()
    for name, frame in expected.frames().items():
        assert found.frames()[name].equals(frame), name
    assert scan_item_ids(folder).to_list() == ["A", "B", "C"]
    block = read_item_block(folder, ["B"], read_network(folder))
    assert block.forecast.equals(expected.forecast.filter(pl.col("item_id") == "B"))


def test_a_file_a_table_and_dates(tmp_path: Path) -> None:
    frames = tiny_frames("history")
    folder = with_settings(tmp_path / "one", "history")
    for name, frame in frames.items():
        write_workbook([("whatever", frame)], folder / f"{name}.xlsx")
    assert read_instance(folder).forecast.equals(tiny_tables("history").forecast)
    assert "items.xlsx" in read_instance(folder).digests


def test_ids_of_digits_stay_whole(tmp_path: Path) -> None:
    """A cell 4006381333931 is a number in a spreadsheet; as an id it is its digits, without a decimal point."""
    path = cells(
        tmp_path / "on_hand.xlsx", [["item_id", "node_id", "units"], [4006381333931, "n", 2], ["007", "n", 0.5]]
    )
    found = read_item_tables(path)["on_hand"]
    assert found.rows() == [("4006381333931", "n", "2"), ("007", "n", "0.5")]


def test_the_value_of_a_formula_is_read_and_a_failed_one_is_told_by_cell(tmp_path: Path) -> None:
    rows = [["item_id", "node_id", "units"], ["A", "n", ("=1+1", 2)]]
    assert read_item_tables(cells(tmp_path / "on_hand.xlsx", rows))["on_hand"]["units"].to_list() == ["2"]
    cells(tmp_path / "on_hand.xlsx", [*rows, ["B", "n", ("=1/0", "#DIV/0!")]])
    with pytest.raises(InputError, match=r"on_hand\.xlsx, cell C3: found #DIV/0!"):
        read_item_tables(tmp_path / "on_hand.xlsx")


def test_rows_are_numbered_as_the_spreadsheet_does(tmp_path: Path) -> None:
    frames = tiny_frames()
    frames["items"] = frames["items"].with_columns(price=pl.Series([20.0, -1.0, 8.0]))
    with pytest.raises(InputError, match=r"tables\.xlsx, sheet items, row 3 \(item_id=B\), column price: found -1\.0"):
        read_instance(book_of(tmp_path / "book", frames))


HEADERS = {
    "an empty first row": ([[None], ["item_id"], ["A"]], "row 1: found an empty row"),
    "a column without a name": ([["item_id", None, "units"], ["A", "n", 1]], "no name for column B"),
    "a name twice": ([["item_id", "units", "units"], ["A", 1, 2]], "column units: expected every column once"),
    "nothing": ([], "an empty sheet"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_sheet_needs_a_header(tmp_path: Path, case: str) -> None:
    rows, message = HEADERS[case]
    with pytest.raises(InputError, match=message):
        read_item_tables(cells(tmp_path / "on_hand.xlsx", rows))


def test_empty_rows_and_columns_at_the_end_are_left_out(tmp_path: Path) -> None:
    rows = [["item_id", "units", None], ["A", 1, None], [None, None, " "[:0]]]
    assert read_item_tables(cells(tmp_path / "on_hand.xlsx", rows))["on_hand"].rows() == [("A", "1")]


def test_no_workbook_no_sheet_and_two_forms_are_told(tmp_path: Path) -> None:
    folder = book_of(tmp_path / "book", tiny_frames())
    (folder / "items.csv").write_text("item_id\nA\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"items.csv and sheet items of tables.xlsx: .*in one form only"):
        read_instance(folder)
    (folder / "items.csv").unlink()
    frames = tiny_frames()
    frames["Itemz"] = frames.pop("items")
    with pytest.raises(InputError, match=r"sheet Itemz.*rename the sheet to items") as told:
        read_instance(book_of(tmp_path / "book", frames))
    assert told.value.count == 1, "the table is there under another name: it is not told missing as well"
    write_workbook([("a", frames["lanes"]), ("b", frames["lanes"])], tmp_path / "lanes.xlsx")
    (folder / "tables.xlsx").write_bytes(b"PK no workbook")
    with pytest.raises(InputError, match="expected an Excel workbook") as told:
        read_instance(folder)
    assert told.value.count == 1


def test_notes_in_a_workbook_are_a_warning(tmp_path: Path) -> None:
    frames = tiny_frames()
    frames["What we agreed"] = pl.DataFrame({"a": ["b"]})
    warnings = read_instance(book_of(tmp_path / "book", frames)).warnings
    assert any(one.kind == "not read" and "What we agreed" in one.example for one in warnings)


def test_each_sheet_has_a_digest_of_its_own(tmp_path: Path) -> None:
    """A new forecast in the workbook leaves the network what it was."""
    frames = tiny_frames()
    before = table_digests(book_of(tmp_path / "book", frames))
    assert dict(read_instance(tmp_path / "book").digests) == before
    frames["forecast"] = frames["forecast"].with_columns(pl.col("mean") * 2)
    after = table_digests(book_of(tmp_path / "book", frames))
    assert {name for name in before if before[name] != after[name]} == {"forecast.sheet"}


def test_a_forecast_folder_takes_the_other_sheets_along(tmp_path: Path) -> None:
    _copy_instance(book_of(tmp_path / "book", tiny_frames()), out := tmp_path / "out")
    assert {path.name for path in out.iterdir()} == {f"{name}.parquet" for name in tiny_frames() if name != "forecast"}


def test_without_the_library_the_way_to_install_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cells(tmp_path / "on_hand.xlsx", [["item_id"], ["A"]])
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(InputError, match=r'on_hand\.xlsx.*pip install "meio-jax\[excel\]"'):
        read_item_tables(path)
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(InputError, match=r'pip install "meio-jax\[excel\]"'):
        write_workbook([], tmp_path / "a.xlsx")
    assert not (tmp_path / "a.xlsx").exists()


DANGEROUS = ['=HYPERLINK("http://x","y")', "+1", "-1", "@SUM(A1)", "http://x", "{=1}", "＝1"]


def test_texts_are_written_as_texts(tmp_path: Path) -> None:
    """No cell holds a formula or a link, and every text comes back unchanged."""
    frame = pl.DataFrame({"item_id": DANGEROUS, "units": [-1.0, float("nan"), float("inf"), 0.1, 1e12, None, 3.0]})
    path = write_workbook([("on_hand", frame)], tmp_path / "on_hand.xlsx")
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as inside:
        sheet = inside.read("xl/worksheets/sheet1.xml").decode()
        styles = inside.read("xl/styles.xml").decode()
    assert "<f>" not in sheet
    assert "<hyperlink" not in sheet
    assert 'quotePrefix="1"' in styles
    assert read_item_tables(path)["on_hand"]["item_id"].to_list() == DANGEROUS
    assert read_item_tables(path)["on_hand"]["units"].to_list() == ["-1", None, None, "0.1", "1000000000000", None, "3"]


def test_a_table_longer_than_a_sheet_goes_on_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meio_jax.tables.write_excel.SHEET_ROWS", 2)
    day = datetime.date(2026, 3, 1)
    frame = pl.DataFrame({"day": [day] * 5, "n": range(5), "yes": [True, False, True, None, True]})
    path = write_workbook([("a name that is longer than sheets allow", frame)], tmp_path / "a.xlsx")
    book = __import__("fastexcel").read_excel(path)
    assert book.sheet_names == [
        "a name that is longer than shee",
        "a name that is longer than  (2)"[:31],
        "a name that is longer than  (3)"[:31],
    ]
    back = pl.concat(book.load_sheet(name).to_polars() for name in book.sheet_names)
    assert back["n"].to_list() == list(range(5))
    assert back["day"].cast(pl.Date).to_list() == [day] * 5
    assert back["yes"].to_list() == [True, False, True, None, True]


def edited(book: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """A workbook of which one part of the archive is another."""
    content = io.BytesIO()
    with zipfile.ZipFile(book) as old, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    book.write_bytes(content.getvalue())
    return book


@pytest.mark.parametrize("where", ["XFD1048576", "A9999999999999", "ZZZZZZZZ2"])
@pytest.mark.parametrize("form", ['<c r="{}">', "<c s='0' r = '{}'>", '<x:c\n r="{}">'])
def test_a_cell_far_off_is_told_before_room_is_made_for_it(tmp_path: Path, where: str, form: str) -> None:
    """The library makes room for the rectangle up to it, which ends the process."""
    folder = with_settings(tmp_path / "far")
    cells(folder / "items.xlsx", [["item_id"], ["A"]])
    far = f"<row>{form.format(where)}<v>1</v></c></row></sheetData>".encode()
    edited(folder / "items.xlsx", "xl/worksheets/sheet1.xml", lambda text: text.replace(b"</sheetData>", far))
    with pytest.raises(InputError, match=r"items.xlsx: found cells out to column .*clear cells far from the table"):
        read_instance(folder)


def test_a_workbook_that_unpacks_to_too_much_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_size, "MOST_BYTES", 2**20)
    folder = with_settings(tmp_path / "bomb")
    cells(folder / "items.xlsx", [["item_id"], ["A"]])
    edited(folder / "items.xlsx", "xl/styles.xml", lambda text: text + b" " * 2**20)
    assert (folder / "items.xlsx").stat().st_size < 20_000
    with pytest.raises(InputError, match=r"items.xlsx: found more than .* when unpacked"):
        read_instance(folder)


@pytest.mark.parametrize("name", ["resources.xlsx", "tables.xlsx"])
def test_a_workbook_without_sheets_is_no_absent_table(tmp_path: Path, name: str) -> None:
    frames, content = tiny_frames(), settings_content("mean")
    folder = write_raw(tmp_path / "bare", {key: frames[key] for key in frames if key != "resources"}, content)
    cells(folder / name, [["resource_id"]], "resources")
    nothing = lambda text: re.sub(rb"<sheets>.*</sheets>", b"<sheets></sheets>", text)
    edited(folder / name, "xl/workbook.xml", nothing)
    with pytest.raises(InputError, match=f"{name}: found a workbook without sheets"):
        read_instance(folder)


@pytest.mark.parametrize("seed", range(12))
def test_damage_to_a_workbook_is_an_input_error(tmp_path: Path, seed: int) -> None:
    """A few bytes of the sheet's XML are others: it is read, or told; the library does not end the process."""
    dice = random.Random(seed)
    folder = with_settings(tmp_path / "damaged")
    cells(folder / "items.xlsx", [["item_id", "price"], ["A", 1.5], ["B", "x"]])

    def damaged(text: bytes) -> bytes:
        content = bytearray(text)
        for _ in range(dice.choice((1, 3, 10))):
            content[dice.randrange(len(content))] = dice.randrange(256)
        return bytes(content)

    edited(folder / "items.xlsx", "xl/worksheets/sheet1.xml", damaged)
    with pytest.raises(InputError):
        read_instance(folder)
