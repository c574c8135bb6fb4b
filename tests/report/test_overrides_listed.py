"""Overrides in the report and in the terminal: the dearest first, those that do not apply last."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from meio_jax.cli.summary import _overrides
from meio_jax.report.sections.overrides import overrides
from meio_jax.runs.data import RunData
from meio_jax.runs.today import read_overrides
from meio_jax.tables import TABLE_NAMES, InstanceSettings, Tables


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [
        ("cheap", "stock", "i1", None, "in force", datetime.date(2026, 4, 30), 4.0, 12.5, "window <b>"),
        ("gone", "order", "i1", "v", "expired", datetime.date(2026, 1, 1), None, None, ""),
        ("dear", "order", "i2", "v", "in force", None, 480.0, 1234.0, "agreed"),
    ]
    names = ["override_id", "kind", "item_id", "vendor_id", "status", "expires", "units", "cost_a_week", "reason"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    more = [pl.lit("dc").alias("node_id"), pl.lit(None, pl.String).alias("from_node")]
    more += [pl.when(pl.col("item_id") == "i2").then(pl.lit("Kettle")).otherwise(pl.lit("")).alias("item_name")]
    (tmp_path / "plan").mkdir()
    frame.with_columns(more).write_parquet(tmp_path / "plan" / "overrides.parquet")
    return tmp_path


def made(run: Path, tables: dict[str, pl.LazyFrame]) -> RunData:
    """A run with these tables; nothing else of it is read."""
    settings = InstanceSettings(
        name="made", start_date=datetime.date(2026, 3, 2), periods=7, wave_ends=[24.0], forecast="mean", currency="EUR"
    )
    empty = dict.fromkeys(TABLE_NAMES, pl.DataFrame())
    return RunData(run, run, {}, {}, "", tables, Tables(settings=settings, **empty), ())


def test_the_terminal_lists_the_dearest_first(run: Path) -> None:
    found = read_overrides(run)
    assert found["override_id"].to_list() == ["dear", "cheap", "gone"]
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(_overrides(found))
    text = console.export_text()
    assert "Overrides: 3, costing 1,246 a week one by one" in text
    dear, cheap, gone = (next(line for line in text.splitlines() if name in line) for name in ("dear", "cheap", "gone"))
    assert "Kettle (i2) at dc" in dear
    assert "1,234" in dear
    assert "window <b>" in cheap
    assert "expired" in gone


def test_the_report_lists_them_with_source_and_day(run: Path) -> None:
    table = read_overrides(run)
    page = str(overrides(made(run, {"plan/overrides": table.lazy()})))
    assert page.index("dear") < page.index("cheap") < page.index("gone")
    assert "EUR a week" in page
    assert "30 Apr 2026" in page
    assert "window &lt;b&gt;" in page


def test_runs_without_overrides_show_nothing(tmp_path: Path) -> None:
    assert read_overrides(tmp_path).is_empty()
    assert overrides(made(tmp_path, {})) is None
