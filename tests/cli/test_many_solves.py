"""Solves of equal shapes share their compiled programs; of others, programs are let go before a process holds too many.

The experiment `experiments/many_solves.py` makes two hundred.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from small_runs import SOLVE, Finished, config_content, usual_promotion, write_config

from meio_jax.config import load_config
from meio_jax.distributed import compile_cache
from meio_jax.distributed.compile_cache import drop_programs, drop_programs_if_many
from meio_jax.planner import model as planner_model
from meio_jax.progress import Silent
from meio_jax.runs.run import run_solve
from meio_jax.whatif import whatif_run

MAPS = Path("/proc/self/maps")
# Of one solve that shares nothing there are some 4,500.
FLAT = 60

pytestmark = pytest.mark.skipif(not MAPS.exists(), reason="memory maps are listed by Linux")


def held() -> int:
    """Memory maps of this process."""
    gc.collect()
    return len(MAPS.read_text(encoding="utf-8").splitlines())


@pytest.mark.slow
def test_solving_again_and_again_holds_no_more(tiny_folder: Path, finished: Finished, tmp_path: Path) -> None:
    content = config_content(tiny_folder, tmp_path / "run", solve={**SOLVE, "max_steps": 2, "slack_items": 0})
    config = load_config(write_config(tmp_path / "config.yaml", content))
    counts = []
    # From a process without programs, as if nothing had been solved before.
    drop_programs()
    with usual_promotion():
        for _ in range(4):
            run_solve(config, Silent(), overwrite=True)
            whatif_run(config.run, "storage", "+10%", resolve=True, steps=2)
            counts.append(held())
    assert counts[-1] - counts[1] < FLAT, counts


def test_programs_are_let_go_before_there_are_too_many(
    tiny_folder: Path, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of which this process holds more than half: every solve begins without programs, through Python too."""
    limit = tmp_path / "max_map_count"
    limit.write_text(str(held()))
    monkeypatch.setattr(compile_cache, "_LIMIT_OF_MAPS", limit)
    before, dropped = held(), []
    monkeypatch.setattr(planner_model, "drop_programs_if_many", lambda: dropped.append(drop_programs_if_many()))
    planner_model.prepare(finished.plan.model.instance.tables, finished.plan.model.config)
    assert dropped == [True]
    assert held() < before
