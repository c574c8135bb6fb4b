"""The picture of all gaps by family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from truth_families.results import Result


def draw(results: Sequence[Result], path: Path) -> None:
    """One row of points per family: gap as a share of the tolerance, with its 95 % interval."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    families = list(dict.fromkeys(one.family for one in results))
    figure, axes = plt.subplots(figsize=(8, 0.75 * len(families) + 1.6), layout="constrained")
    for level, family in enumerate(families):
        own = [one for one in results if one.family == family]
        for place, one in enumerate(own):
            height = level + 0.6 * ((place + 0.5) / len(own) - 0.5)
            half = 50 * (one.ci95[1] - one.ci95[0]) / one.size / one.tolerance_pct
            color = "tab:blue" if one.met else "tab:red"
            axes.errorbar(one.gap_pct / one.tolerance_pct, height, xerr=half, fmt="o", ms=3, lw=1, color=color)
    axes.axvline(0, color="black", lw=0.8)
    axes.axvline(1, color="tab:red", lw=0.8, ls="--")
    axes.set_yticks(range(len(families)), [f"{name}" for name in families])
    axes.invert_yaxis()
    axes.set_xlabel("gap to the reference as a share of the tolerance (1: tolerance; below 0: cheaper), 95 % interval")
    path.parent.mkdir(parents=True, exist_ok=True)
    # No date in the file, so that an unchanged result is an unchanged picture.
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
