"""Calling the command in this process, and runs of the tiny instance that finish in seconds."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest
import yaml

from meio_jax.cli import main
from meio_jax.planner import Plan

# The cost of the tiny instance is near zero, and so no gap would be small; without the gap the best plan has prices.
# Commands in processes of their own run the programs of one device that this process runs.
SOLVE = {
    "max_steps": 6,
    "min_steps": 2,
    "check_every": 2,
    "feasibility_steps": 0,
    "violation": 1e-9,
    "gap": 1e6,
    "devices": 1,
}


def usual_promotion():
    """Promotion as users have it: the optimiser library raises floats to integer powers, which strict forbids."""
    return jax.numpy_dtype_promotion("standard")


def config_content(instance: Path, run: Path, **changes: object) -> dict:
    """A configuration of a few steps; `changes` replace whole sections."""
    content = {
        "instance": {"path": str(instance)},
        "run": str(run),
        "scenarios": {"train": 6, "per_step": 3, "holdout": 6, "clairvoyant": 0},
        "solve": SOLVE,
        "checkpoint": {"every": 2},
    }
    return {**content, **changes}


def write_config(path: Path, content: dict) -> Path:
    """Write a configuration file."""
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Called:
    """What a call of the command left: exit status and text."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Finished:
    """A finished run: its folder, its configuration file and the plan as an object."""

    folder: Path
    config: Path
    plan: Plan


class Command:
    """The command `meio`, called through its entry point."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = monkeypatch, capsys

    def __call__(self, *words: object) -> Called:
        self._patch.setattr(sys, "argv", ["meio", *map(str, words)])
        status = 0
        try:
            with usual_promotion():
                main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        text = self._capture.readouterr()
        return Called(status, text.out, text.err)
