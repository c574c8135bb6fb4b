"""Plans for the labs: earlier runs where they are given, otherwise a solve."""

from __future__ import annotations

from pathlib import Path

import yaml

from meio_jax.config import Config, load_config
from meio_jax.progress import AbstractProgress
from meio_jax.runs.run import run_solve


def solved(instance: Path, run: Path, base: Path, progress: AbstractProgress) -> Path:
    """The run folder of an instance; solved first unless it holds a finished plan of that very instance."""
    plan = run / "plan" / "targets.parquet"
    if plan.exists() and _is_of(run, instance):
        return run
    run.parent.mkdir(parents=True, exist_ok=True)
    run_solve(lab_config(instance, run, base), progress, overwrite=True)
    return run


def lab_config(instance: Path, run: Path, base: Path) -> Config:
    """The settings of `base` for this instance; bounds are not needed here."""
    config = load_config(base)
    return config.model_copy(
        update={
            "instance": config.instance.model_copy(update={"path": instance, "generate": None, "us": None}),
            "run": run,
            "scenarios": config.scenarios.model_copy(update={"clairvoyant": 0}),
        }
    )


def _is_of(run: Path, instance: Path) -> bool:
    config = run / "config.yaml"
    if not config.exists():
        return False
    return Path(yaml.safe_load(config.read_text(encoding="utf-8"))["instance"]["path"]).resolve() == instance.resolve()
