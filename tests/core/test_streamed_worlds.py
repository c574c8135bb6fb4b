"""Capacities held in a share of scenarios, and risk of the total: parts and devices give what one of them gives."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest

from meio_jax.config import Config, make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.instance.item_sources import FolderSource
from meio_jax.planner import certify, prepare, search
from meio_jax.planner.streaming import prepare_stream
from meio_jax.tables import read_instance

OPTIONS = GenerateOptions(
    items=44, nodes_per_tier=(0, 2, 0), regions=2, periods=14, waves=1, speeds=1, vendors=2, partition_items=16,
    tightness=0.4, resources=("storage",), shape="local",
)  # fmt: skip
# Two orders of the same float32 sums; some steps of the search pass differences on.
SAME = 2e-5


def configuration(devices: int = 1) -> Config:
    return make_config(
        scenarios={"train": 64, "per_step": 16, "holdout": 32, "clairvoyant": 0, "unit_values": 0},
        solve={"max_steps": 4, "min_steps": 4, "block_items": 6, "probe": False, "slack_items": 0, "devices": devices}
        | {"feasibility_steps": 0, "confirm": False},
        risk={"measure": "cvar", "level": 0.75, "weight": 0.5},
    )


@pytest.fixture(scope="module", autouse=True)
def _promotion_as_users_have_it():
    """The optimiser library needs it."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = generate_instance(OPTIONS, tmp_path_factory.mktemp("instance"))
    (path,) = made.glob("resources*")
    pl.read_parquet(path).with_columns(held_in=pl.lit(0.9)).write_parquet(path)
    settings = made / "instance.yaml"
    settings.write_text(settings.read_text(encoding="utf-8") + "world_factor_cv: 0.4\n", encoding="utf-8")
    return made


@pytest.mark.slow
def test_parts_and_devices_give_the_plan_of_the_whole(folder: Path, tmp_path: Path) -> None:
    tables = read_instance(folder)
    whole = prepare(tables, configuration())
    expected = search(whole)
    judged = certify(whole, expected).certificate
    assert judged.held
    assert judged.total_risk is not None
    assert judged.slack is None
    assert float(np.max(expected.prices)) > 0
    streamed = prepare_stream(FolderSource(folder, 16), configuration(), tmp_path / "scratch")
    assert len(streamed.store.block_sizes) == 3
    models = [streamed]
    if len(jax.devices()) > 1:
        models.append(prepare(tables, configuration(devices=2)))
    for model in models:
        found = search(model)
        cost = [step.cost for step in expected.history]
        np.testing.assert_allclose([step.cost for step in found.history], cost, rtol=SAME)
        most = float(np.max(expected.prices))
        np.testing.assert_allclose(np.asarray(found.prices), np.asarray(expected.prices), rtol=SAME, atol=SAME * most)
        ours = certify(model, found).certificate
        assert ours.total_risk.risk == pytest.approx(judged.total_risk.risk, rel=1e-3)
        assert [one.kept for one in ours.held] == pytest.approx([one.kept for one in judged.held], abs=0.04)
        assert [one.use for one in ours.held] == pytest.approx([one.use for one in judged.held], rel=0.02)
