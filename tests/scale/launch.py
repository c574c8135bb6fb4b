"""Runs of `meio` in processes of their own: several that share a solve, each with devices of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from meio_jax.generate import GenerateOptions, generate_instance

OPTIONS = GenerateOptions(
    items=44, nodes_per_tier=(1, 2, 1), regions=3, periods=14, waves=1, speeds=2, vendors=4, partition_items=11
)
STEPS = 50


def instance_in(folder: Path) -> Path:
    """The instance of these runs, in four parts.

    All is bought by the piece: whether an order is of one pack more may hang on the last bit of a sum of prices.
    """
    instance = generate_instance(OPTIONS, folder / "instance")
    for part in instance.glob("offers/*.parquet"):
        offers = pl.read_parquet(part)
        singly = {name: pl.lit(value, offers.schema[name]) for name, value in (("pack_size", 1), ("min_order", 0))}
        offers.with_columns(**singly).write_parquet(part)
    return instance


def config_in(folder: Path, name: str, devices: int, **sections: dict) -> Path:
    """A configuration of `STEPS` steps that writes to the folder `name`; `sections` change its settings."""
    content = {
        "instance": {"path": str(folder / "instance")},
        "run": str(folder / name),
        "scenarios": {"train": 16, "per_step": 4, "holdout": 8, "clairvoyant": 0},
        "solve": {
            "max_steps": STEPS,
            "min_steps": STEPS,
            "block_items": 4,
            "devices": devices,
            "feasibility_steps": 0,
            # Several processes do not estimate it, so that there is nothing to compare.
            "slack_items": 0,
        },
        "checkpoint": {"every": 10},
    }
    for section, changes in sections.items():
        content[section] = {**content.get(section, {}), **changes}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int
    text: str


def start(words: list[object], processes: int = 1) -> list[subprocess.Popen]:
    """Start `meio WORDS` as so many processes that share the work."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    started = []
    for index in range(processes):
        environment = dict(os.environ)
        if processes > 1:
            environment |= {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": str(processes),
                "JAX_PROCESS_ID": str(index),
            }
        program = [sys.executable, "-c", "from meio_jax.cli import main; main()", *map(str, words)]
        started.append(
            subprocess.Popen(
                program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
            )
        )
    return started


def finish(started: list[subprocess.Popen], seconds: float = 300) -> list[Ended]:
    """Wait for all of them; those that do not end are killed."""
    try:
        texts = [process.communicate(timeout=seconds)[0] for process in started]
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
    return [Ended(process.returncode, text) for process, text in zip(started, texts, strict=True)]
