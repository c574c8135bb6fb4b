"""Pages of backtests and curves in whose folders somebody changed something: one line that says what."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from meio_jax.errors import Refusal
from meio_jax.folders import Mark, write_mark
from meio_jax.report import write_report
from meio_jax.report.sections.convergence import _tolerance
from meio_jax.runs.files import read_json

FIGURES = ("service", "achieved", "achieved_low", "achieved_high", "cost", "cost_low", "cost_high", "cost_holding")
ROW: dict[str, Any] = {
    **dict.fromkeys((*FIGURES, "price", "stock_units", "stock_money", "days_of_cover", "seconds"), 0.5),
    "status": "CONVERGED",
}
ARM = dict.fromkeys(
    ("total", "lost", "promises_kept", "fast_promises_kept", "mean_stock", "days_of_cover", "turns_per_year"), 0.5
)
ABOUT: dict[str, Any] = {"name": "shop", "currency": "EUR", "floors": ["all"]}


def curve_folder(folder: Path, about: str, row: dict[str, Any]) -> Path:
    write_mark(folder, Mark("curve", ("curve.json",)))
    (folder / "curve.json").write_text(about)
    pl.DataFrame([row, row]).write_parquet(folder / "curve.parquet")
    return folder


def test_a_curve_that_is_whole_has_a_page(tmp_path: Path) -> None:
    assert write_report(curve_folder(tmp_path, json.dumps(ABOUT), ROW)).is_file()


@pytest.mark.parametrize(
    ("about", "row", "said"),
    [
        ("{}", ROW, "no entry"),
        (json.dumps(ABOUT | {"floors": 3}), ROW, "another kind"),
        (json.dumps(ABOUT | {"floors": [3]}), ROW, "another kind"),
        ("[" * 100_000, ROW, "recursion"),
        (json.dumps(ABOUT), {"a": 1}, "another kind"),
        (json.dumps(ABOUT), ROW | {"cost": "much"}, "another kind"),
    ],
)
def test_a_damaged_curve_is_told_in_one_line(tmp_path: Path, about: str, row: dict[str, Any], said: str) -> None:
    with pytest.raises(Refusal, match=said) as told:
        write_report(curve_folder(tmp_path, about, row))
    assert "\n" not in str(told.value)
    assert "meio curve" in str(told.value)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"total": "much"}, "another kind"),
        ({"total": [1]}, "another kind"),
        ({"total": {"a": 1}}, "another kind"),
        ({}, "no entry 'daily'"),
    ],
)
def test_a_damaged_backtest_is_told_in_one_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """Figures that are all there, so that what is told is the one that is wrong, or what else is missing."""
    (tmp_path / "summary.json").write_text(json.dumps({"arms": {"meio": ARM | change}}))
    with pytest.raises(Refusal, match=f"{said}.*what a finished backtest holds") as told:
        write_report(tmp_path)
    assert "\n" not in str(told.value)


def test_numbers_beyond_floats_are_damage(tmp_path: Path) -> None:
    (tmp_path / "certificate.json").write_text('{"holdout_cost": 1' + "0" * 400 + "}")
    with pytest.raises(Refusal, match="a number of 401 digits"):
        read_json(tmp_path / "certificate.json", "a certificate")
    (tmp_path / "certificate.json").write_text('{"steps": -123456789012345678}')
    assert read_json(tmp_path / "certificate.json", "a certificate") == {"steps": -123456789012345678}


def test_a_configuration_in_a_run_folder_that_grows_has_no_tolerance() -> None:
    assert _tolerance("solve: {violation: 0.25}", "violation") == 0.25
    for text in ("[" * 100_000, "a: &a [1]\nb: *a\nsolve: [1]", "solve: {violation: 0.1, violation: 0.2}"):
        assert _tolerance(text, "violation") is None
