"""How a result table was made: command, date, machine, versions."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def about(seconds: float) -> dict[str, object]:
    """Circumstances of a measurement; paths of the machine are left out of the command."""
    words = [Path(sys.argv[0]).name, *(Path(word).name if word.startswith("/") else word for word in sys.argv[1:])]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "command": "python experiments/" + " ".join(words),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seconds": seconds,
        "cores": cores,
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("jax", "numba", "numpy", "polars")},
    }
