"""Horizons of one day, two days, and a day less or more than a bucket: right, and compiled within a limit of time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from one_node import demand, instance, item, offer, settings

from meio_jax.instance import build_instance
from meio_jax.planner import plan
from meio_jax.tables import Tables

# Days of the horizon, days per bucket, and how it ends. Shapes that the loops of the simulation are dissolved for.
HORIZONS = [
    (1, 1, "continue"),
    (1, 1, "liquidate"),
    (1, 7, "continue"),
    (2, 1, "liquidate"),
    (2, 7, "continue"),
    (6, 7, "liquidate"),
    (8, 7, "continue"),
]
MOST_SECONDS = 600
"""For all of them, on a busy machine: they take some 80 s of one core. Compiling a single day took ten minutes."""

PROGRAM = """
import json, sys
sys.path[:0] = {paths!r}
from test_short_horizons import solved
for horizon in {horizons!r}:
    print(json.dumps(solved(*horizon)), flush=True)
"""


def tables_of(days: int, bucket: int, terminal: str) -> Tables:
    """Ten a day are wanted and five are there; what is ordered in the first morning is there in the second."""
    return instance(
        [item("A")],
        [offer("A", 1)],
        demand("A", 10.0, days=days),
        days=days,
        on_hand=[{"item_id": "A", "node_id": "site", "units": 5.0}],
        settings={"terminal": terminal, "bucket_periods": bucket},
    )


def solved(days: int, bucket: int, terminal: str) -> dict[str, float]:
    """Figures of the plan."""
    frames = (found := plan(tables_of(days, bucket, terminal), settings(max_steps=40, min_steps=40))).frames()
    row = frames["plan/expected_items"].row(0, named=True)
    return {
        "cost": found.certificate.holdout_cost,
        "demand": row["demand"],
        "lost": row["lost"],
        "ordered": float(frames["plan/orders"]["units"].sum()),
        "buckets": float(frames["plan/targets"].height),
    }


@pytest.fixture(scope="module")
def answers() -> list[dict[str, float]]:
    """All horizons in one process that may take so long and no longer."""
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), str(here.parent / "tables")]
    code = PROGRAM.format(paths=paths, horizons=HORIZONS)
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=MOST_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(HORIZONS)), ids=[str(one) for one in HORIZONS])
def test_short_horizons(answers: list[dict[str, float]], number: int) -> None:
    """Five are lost on the first day, at 100 each; from the second day on, what is ordered meets the demand."""
    days, bucket, _ = HORIZONS[number]
    found = answers[number]
    assert found["cost"] == pytest.approx(500.0, rel=1e-6)
    assert found["demand"] == pytest.approx(10.0 * days)
    assert found["lost"] == pytest.approx(5.0)
    assert found["buckets"] == -(-days // bucket)
    if days > 1:
        assert found["ordered"] == 10


@pytest.mark.parametrize("horizon", HORIZONS, ids=str)
def test_no_horizon_is_simulated_as_a_single_period(horizon: tuple[int, int, str]) -> None:
    """The loop over periods runs at least twice. The solves above do not see it under the compiler of the tests, which
    optimises little: it takes no longer over a loop that runs once.
    """
    network = build_instance(tables_of(*horizon), block_items=1, bands=1).network
    assert network.simulated_buckets * network.bucket_periods >= 2
