"""Items with a shelf life that stream past in parts end as in memory, although one part alone has the longest life."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from test_streaming import OPTIONS, SAME, configuration, levels, same_levels, targets_of

from meio_jax.generate import generate_instance
from meio_jax.instance.item_sources import FolderSource
from meio_jax.planner import certify, prepare, search
from meio_jax.planner.streaming import prepare_stream
from meio_jax.tables import read_instance


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third item keeps; the others for four days, in the last part for nine."""
    folder = generate_instance(OPTIONS, tmp_path_factory.mktemp("instance"))
    parts = sorted((folder / "items").glob("*.parquet"))
    for part in parts:
        lives = pl.when(pl.int_range(pl.len()) % 3 > 0).then(9 if part == parts[-1] else 4)
        pl.read_parquet(part).with_columns(shelf_life=lives.cast(pl.Int64), waste_cost=pl.lit(0.5)).write_parquet(part)
    return folder


@pytest.mark.slow
def test_parts_waste_what_the_whole_does(folder: Path, tmp_path: Path) -> None:
    with jax.numpy_dtype_promotion("standard"):
        model = prepare(read_instance(folder), configuration())
        solution = search(model)
        streamed = prepare_stream(FolderSource(folder, 16), configuration(), tmp_path / "scratch")
        found = search(streamed)
        assert len(streamed.store.block_sizes) == 3
        assert model.store.problem.catalog.block.shelf.stale.shape[1] == 9
        same_levels(levels(streamed.instances(), streamed, found), targets_of(model, solution))
        whole, parts = certify(model, solution).certificate, certify(streamed, found).certificate
    assert whole.cost_terms["waste"] > 0
    assert parts.cost_terms.keys() == whole.cost_terms.keys()
    for name, money in whole.cost_terms.items():
        np.testing.assert_allclose(parts.cost_terms[name], money, rtol=SAME, atol=SAME * whole.holdout_cost)
