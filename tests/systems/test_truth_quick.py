"""The truth experiment itself, one row with little effort: a planner that is off by a few percent is noticed."""

from pathlib import Path

import pytest
from truth_families import dual_sourcing, zipkin_lost_sales
from truth_families.results import Family, Result
from truth_families.rows import read_rows

TRUTH = Path(__file__).parents[1] / "data" / "truth"
# An eighth of the scenarios and half of the steps; the experiment's own tolerances are 0.3 % and 0.5 %.
QUICK_PCT = 1.0


@pytest.mark.slow
@pytest.mark.parametrize("family", [zipkin_lost_sales, dual_sourcing], ids=lambda family: family.NAME)
def test_a_row_is_close_to_its_reference(family: Family) -> None:
    found: list[Result] = []
    family.run(read_rows(TRUTH / f"{family.NAME}.csv")[:1], quick=True, report=found.append)
    assert found
    for one in found:
        assert -QUICK_PCT < one.gap_pct < QUICK_PCT, one
