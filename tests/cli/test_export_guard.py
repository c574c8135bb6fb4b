"""Exports hold no text that a spreadsheet would run, unless asked for as it is."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from small_runs import Command, Finished

from meio_jax.runs.purchase_orders import file_name
from meio_jax.tables import guard_cells

RUN_BY_SPREADSHEETS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
PLAIN = ["A", "007", "a=b", "1-1", " =1", "'=1", ""]


@pytest.mark.parametrize("text", RUN_BY_SPREADSHEETS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert guard_cells(pl.DataFrame({"id": [text]}))["id"][0] == "'" + text


def test_other_texts_and_numbers_stay() -> None:
    frame = pl.DataFrame({"id": PLAIN, "number": [-1.0] * len(PLAIN)})
    assert guard_cells(frame).equals(frame)


def test_the_export_of_a_run_is_guarded(meio: Command, finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    ids = pl.read_parquet(run / "plan/expected.parquet").with_columns(item_id=pl.lit('=HYPERLINK("x")'))
    ids.write_parquet(run / "plan/expected.parquet")
    assert meio("export", run).status == 0
    assert pl.read_csv(run / "export/plan/expected.csv")["item_id"].unique().to_list() == ['\'=HYPERLINK("x")']
    assert meio("export", run, "--no-guard").status == 0
    assert pl.read_csv(run / "export/plan/expected.csv")["item_id"].unique().to_list() == ['=HYPERLINK("x")']


def named_run(finished: Finished, home: Path, vendor: str) -> Path:
    """A finished run whose orders have names, and go to one more vendor."""
    run = home / "run"
    shutil.copytree(finished.folder, run)
    orders = pl.read_parquet(run / "plan/orders.parquet").with_columns(
        item_name=pl.lit("=Kettle"), node_name=pl.lit("Hub"), vendor_name=pl.lit("Acme")
    )
    other = orders.head(1).with_columns(vendor_id=pl.lit(vendor), units=pl.lit(7, orders.schema["units"]))
    pl.concat([orders, other]).write_parquet(run / "plan/orders.parquet")
    return run


def test_a_workbook_of_the_plan_and_an_order_for_each_vendor(meio: Command, finished: Finished, tmp_path: Path) -> None:
    excel = pytest.importorskip("fastexcel", reason="needs the extra `excel`")
    pytest.importorskip("xlsxwriter", reason="needs the extra `excel`")
    run = named_run(finished, tmp_path, "../../Évil=1")
    orders = pl.read_parquet(run / "plan/orders.parquet")
    called = meio("export", run, "--format", "xlsx")
    assert called.status == 0, called.err
    book = excel.read_excel(run / "export/plan.xlsx")
    tables = [path.stem for path in (*run.glob("plan/*.parquet"), *run.glob("*.parquet"))]
    assert sorted(book.sheet_names) == sorted(tables)
    assert book.load_sheet("targets").to_polars().height == pl.read_parquet(run / "plan/targets.parquet").height
    files = sorted((run / "export/orders").iterdir())
    assert len(files) == orders["vendor_id"].n_unique() >= 2
    assert all(path.resolve().parent == (run / "export/orders").resolve() for path in files)
    units = 0
    for path in files:
        order = excel.read_excel(path)
        lines, summary = (order.load_sheet(name).to_polars() for name in ("order", "summary"))
        own = orders.filter(pl.col("vendor_id") == summary["vendor_id"][0])
        assert lines["units"].sum() == summary["units"].sum() == own["units"].sum()
        assert lines["item_name"].to_list() == ["=Kettle"] * own.height
        assert sorted(lines["due_date"].cast(pl.Date)) == sorted(own["due_date"])
        assert summary["vendor_name"][0] == "Acme"
        units += own["units"].sum()
    assert units == orders["units"].sum()


def test_files_of_vendors_stay_apart_and_in_their_folder() -> None:
    names = ["acme", "Acme", "ACME", "a/b", "a_b", "..", "", "con", "x" * 300, "日本"]
    files = [file_name(name) for name in names]
    assert len({name.lower() for name in files}) == len(names)
    assert files[0] == "acme"
    assert all(name and "/" not in name and not name.startswith(".") and len(name) < 100 for name in files)
    assert "con" not in files
