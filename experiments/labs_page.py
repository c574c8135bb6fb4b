"""Question: what do the labs say, on one page?

    python experiments/labs_page.py experiments/results/labs_*.json --docs docs/labs.md --plot docs/images/labs.svg

Writes the tables of docs/labs.md from the result files of experiments/labs.py, and the picture of lab 3.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

START, END = "<!-- tables start: written by the experiment -->", "<!-- tables end -->"
METRICS = {
    "total_cost": "total cost",
    "outbound_cost": "outbound cost",
    "fast_promise_share": "fast promises kept",
    "lost_units": "lost sales, units",
    "km_per_unit": "km per unit",
    "stock_units": "stock, units",
    "transfer_units": "transfers, units",
    "total_cost_all_items": "total cost, all items",
    "outbound_cost_all_items": "outbound cost, all items",
    "fast_promise_share_all_items": "fast promises kept, all items",
    "lost_units_all_items": "lost sales, all items",
    "capacity_violation_pct": "largest capacity violation, %",
    "capacity_violation_pct_error": "its standard error, %",
}
DRAWN = ("total_cost", "outbound_cost", "fast_promise_share")


def difference(row: dict) -> str:
    """Difference in percent with its interval, where there is one."""
    if row["difference_pct"] is None or row["metric"].startswith("capacity_violation"):
        return ""
    if row["ci95_low_pct"] is None:
        return f"{row['difference_pct']:+.2f} %"
    return f"{row['difference_pct']:+.2f} % ({row['ci95_low_pct']:+.2f} to {row['ci95_high_pct']:+.2f})"


def table(rows: Sequence[dict]) -> str:
    """A table of one lab in one world."""
    lines = ["| metric | baseline | ours | difference (95 % interval) |", "|---|---|---|---|"]
    found = {row["metric"]: row for row in rows}
    for metric, name in METRICS.items():
        if metric in found:
            row = found[metric]
            digits = 3 if abs(row["baseline"]) < 2 and "violation" not in metric else 1
            figures = f"{row['baseline']:,.{digits}f} | {row['ours']:,.{digits}f}"
            lines.append(f"| {name} | {figures} | {difference(row)} |")
    return "\n".join(lines)


def pages(files: Sequence[Path]) -> str:
    """All tables, a heading for each world of customers."""
    parts = []
    for file in files:
        rows = json.loads(file.read_text(encoding="utf-8"))
        about = json.loads(file.with_suffix(".meta.json").read_text(encoding="utf-8"))
        said = (
            f"{about['date']}, {about['replications']} worlds of the A/B, {about['capacity_replications']} of all items"
        )
        for world in dict.fromkeys(row["instance"] for row in rows):
            parts.append(f"### {world}\n\n[{file.name}](../experiments/results/{file.name}): {said}.")
            for lab in dict.fromkeys(row["lab"] for row in rows):
                mine = [row for row in rows if row["lab"] == lab and row["instance"] == world]
                parts.append(f"**{lab[0].upper() + lab[1:]}**\n\n{table(mine)}")
    return "\n\n".join(parts)


def draw(files: Sequence[Path], path: Path) -> None:
    """Lab 3: what is judged, by world of customers; the A/B by item and worlds where all items follow one plan."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [row for file in files for row in json.loads(file.read_text(encoding="utf-8")) if row["lab"][:5] == "lab 3"]
    worlds = list(dict.fromkeys(row["instance"] for row in rows))
    figure, axes = plt.subplots(1, len(DRAWN), figsize=(11, 0.5 * len(worlds) + 1.8), sharey=True, layout="constrained")
    for axis, metric in zip(axes, DRAWN, strict=True):
        for ending, shift, color, name in (
            ("", -0.12, "tab:blue", "A/B by item"),
            ("_all_items", 0.12, "tab:orange", "all items follow one plan"),
        ):
            for level, world in enumerate(worlds):
                row = next(r for r in rows if r["metric"] == metric + ending and r["instance"] == world)
                low, high, middle = row["ci95_low_pct"], row["ci95_high_pct"], row["difference_pct"]
                spread = [[max(middle - low, 0)], [max(high - middle, 0)]]
                label = name if level == 0 else None
                axis.errorbar(middle, level + shift, xerr=spread, fmt="o", ms=4, color=color, label=label)
        axis.axvline(0, color="black", lw=0.8)
        axis.set_title(METRICS[metric])
        axis.set_xlabel("difference to the baseline, %")
    axes[0].set_yticks(range(len(worlds)), worlds)
    axes[0].invert_yaxis()
    axes[-1].legend(loc="best", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def main(
    files: Annotated[list[Path], typer.Argument(help="result files of experiments/labs.py")],
    docs: Annotated[Path, typer.Option(help="page to write into")],
    plot: Annotated[Path, typer.Option(help="picture to write")],
) -> None:
    """Write tables and picture."""
    files = sorted(file for file in files if not file.name.endswith(".meta.json"))
    text = docs.read_text(encoding="utf-8")
    docs.write_text(f"{text.split(START)[0]}{START}\n\n{pages(files)}\n\n{END}{text.split(END)[1]}", encoding="utf-8")
    draw(files, plot)


if __name__ == "__main__":
    typer.run(main)
