"""Instances without offers or without lanes: searched, judged, written and shown like others."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from one_node import demand, instance, item

from meio_jax.config import make_config
from meio_jax.progress import Silent
from meio_jax.report import write_report
from meio_jax.runs.run import run_solve
from meio_jax.tables import write_instance

DAYS = 5


@pytest.mark.slow
def test_stock_is_sold_where_nothing_can_be_ordered_or_moved(tmp_path: Path) -> None:
    """25 are there and 10 a day are wanted: 15 and 5 lie over night, and 25 of 50 are lost at 100 each."""
    stock = [{"item_id": "A", "node_id": "site", "units": 25.0}]
    room = [
        {"resource_id": "hall", "kind": "storage", "measure": "units", "node_id": "site", "bucket": 0, "capacity": 40.0}
    ]
    tables = instance([item("A")], [], demand("A", 10.0, days=DAYS), days=DAYS, on_hand=stock, resources=room)
    assert tables.offers.height == tables.lanes.height == 0
    config = make_config(
        instance={"path": write_instance(tables, tmp_path / "instance")},
        run=tmp_path / "run",
        scenarios={"train": 8, "per_step": 4, "holdout": 8, "clairvoyant": 2, "unit_values": 4},
        solve={
            "max_steps": 4,
            "min_steps": 4,
            "check_every": 2,
            "feasibility_steps": 2,
            "slack_items": 1,
            "devices": 1,
        },
        checkpoint={"every": 2},
    )
    found = run_solve(config, Silent())
    assert found.certificate.holdout_cost == pytest.approx(25 * 100 + 15 + 5)
    row = found.frames()["plan/expected_items"].row(0, named=True)
    assert row["lost"] == pytest.approx(25.0)
    assert pl.read_parquet(tmp_path / "run/plan/orders.parquet").height == 0
    assert write_report(tmp_path / "run").read_text(encoding="utf-8").endswith("</html>")
