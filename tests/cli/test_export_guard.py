"""Exports hold no text that a spreadsheet would run, unless asked for as it is."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from small_runs import Command, Finished

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
