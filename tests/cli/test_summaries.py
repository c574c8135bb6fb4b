"""Summaries hide nothing: kinds whose figures are infinite or no numbers, and costs whose net is near zero."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_runs import Command, Finished

from meio_jax.certify.certificate import worst_by_kind
from meio_jax.instance import KINDS
from meio_jax.report.sections.overview import _above_bound


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_kind_that_is_violated_without_limit_is_named(finished: Finished, value: float) -> None:
    """Every kind that the instance has is told, whatever its figures are."""
    model, holdout = finished.plan.model, finished.plan.holdout
    resources, ids = model.instance.resources, model.instance.ids
    there = np.asarray(model.instance.kinds)
    names = tuple(KINDS)
    relative = np.full(np.asarray(resources.present).shape, value)
    found = worst_by_kind(resources, holdout, relative, there, names, ids.resources)
    assert {row.kind for row in found} == {names[kind] for kind in there}
    assert all(not np.isfinite(row.relative) for row in found)


def test_infinite_violations_are_shown(meio: Command, finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    content = json.loads((run / "certificate.json").read_text())
    content["violations"] = [{**row, "relative": None} for row in content["violations"]]
    (run / "certificate.json").write_text(json.dumps({**content, "largest_violation": None}))
    called = meio("show", run)
    assert called.status == 0
    assert called.out.count("infinite") > len(content["violations"])
    assert "0.00%" not in called.out.split("largest violation")[1].splitlines()[0]


def test_a_plan_is_compared_with_its_bound_in_gross_cost() -> None:
    """Bought for 1000, 990 of it left, 20 of holding: the net cost is 30, the bound 5; of 30 gross that is 83 %."""
    terms = {"purchase": 1000.0, "terminal": -990.0, "holding": 20.0}
    assert "costs more by 83.3 % of gross cost" in _above_bound(30.0, 5.0, terms)
    # A net cost that is negative, or a bound of nothing, is no ratio of 6 or of minus 2.
    assert _above_bound(-2.0, -5.0, terms).endswith("costs more by 10.0 % of gross cost")
    assert _above_bound(30.0, 0.0, terms).endswith("costs more by 100.0 % of gross cost")
    assert _above_bound(None, 5.0, terms) == "no policy can cost less"
    assert _above_bound(30.0, None, terms) == "not computed"


@pytest.mark.parametrize("result", ["INFEASIBLE", "NUMERICAL_FAILURE"])
def test_the_report_of_a_run_without_a_plan_says_nothing_of_prices(
    meio: Command, finished: Finished, tmp_path: Path, result: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    content = json.loads((run / "certificate.json").read_text())
    (run / "certificate.json").write_text(json.dumps({**content, "result": result}))
    assert meio("report", run).status == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Prices say nothing here" in page
    assert "No capacity has a price" not in page
