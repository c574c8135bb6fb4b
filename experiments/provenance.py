"""Where figures were measured: device, cores, library versions and commit, for the JSON files of experiments."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

_LIBRARIES = ("jax", "jaxlib", "numpy", "optax", "equinox", "orbax-checkpoint", "polars")


def provenance() -> dict[str, Any]:
    """Device name, cores, versions, and the commit of the working tree (with `+` where files differ from it)."""
    home = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=home, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "device": jax.devices()[0].device_kind,
        "processor": _processor(),
        "cores": cores,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        "commit": git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else ""),
    }


def command_given() -> str:
    """The command that started this process, from the folder of the repository."""
    return " ".join(["python", f"experiments/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def write_rows(out: Path, rows: list[dict], seconds: float, **more: object) -> None:
    """Write rows as JSON, with the command, the time, where they were measured, and `more` beside them."""
    about = {"command": command_given(), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    content = {**about, "seconds": round(seconds, 1), "environment": provenance(), **more, "rows": rows}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    """Name of the processor, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
