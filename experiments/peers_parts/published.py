"""Published results of the suite: Barati and Hu (2026), arXiv 2605.11355, as released with the paper's code.

Mean profit over the ten seeds, by scenario. `Oracle` knows the demand (with goodwill: a heuristic that knows it).
Agents whose name ends with -I, and the learned ones, know the mean of demand; MSSP is blind. EchelonApprox-I is
an echelon base-stock policy, MSSP a rolling stochastic programme.
"""

from __future__ import annotations

import csv
from pathlib import Path

from peers_parts.demand import DEMANDS
from peers_parts.networks import NETWORKS
from peers_parts.world import Setting

SEEDS = (42, 123, 456, 789, 1011, 2022, 3033, 4044, 5055, 6066)
ORACLE = "Oracle"
_FOLDER = Path(__file__).parent


def scenarios() -> dict[str, Setting]:
    """The 22 scenarios by name, in the order of the table."""
    with (_FOLDER / "published.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {
        row["scenario"]: Setting(
            NETWORKS[row["network"]], DEMANDS[row["demand"]], row["unmet"] == "owed", row["goodwill"] == "yes"
        )
        for row in rows
    }


def published() -> dict[str, dict[str, float]]:
    """Mean profit by scenario and agent."""
    with (_FOLDER / "published.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    known = ("scenario", "network", "demand", "goodwill", "unmet")
    return {row["scenario"]: {k: float(v) for k, v in row.items() if k not in known} for row in rows}
