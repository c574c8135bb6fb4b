"""The table of docs/validation.md, from the results of the experiment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

START, END = "<!-- table starts: written by the experiment -->", "<!-- table ends -->"
HEAD = "| family | instance | reference | ours | ± 95 % | gap % | tolerance % |"


def table(rows: Sequence[dict]) -> str:
    """A line for each row of the results file."""
    lines = [HEAD, "|---|---|---|---|---|---|---|"]
    for row in rows:
        half = (row["ci95"][1] - row["ci95"][0]) / 2
        figures = f"{row['reference']:.4f} | {row['ours']:.4f} | {half:.4f} | {row['gap_pct']:+.3f}"
        met = "" if row["gap_pct"] <= row["tolerance_pct"] else " **missed**"
        lines.append(f"| {row['family']} | {row['instance']} | {figures}{met} | {row['tolerance_pct']:g} |")
    return "\n".join(lines)


def write(results: Path, page: Path) -> None:
    """Write the table of a results file, and how it was made, between the marks of a page."""
    rows = json.loads(results.read_text(encoding="utf-8"))
    about = json.loads(results.with_suffix(".meta.json").read_text(encoding="utf-8"))
    said = (
        f"`{about['command']}`, {about['date'][:10]}, {about['device']}: {about['seconds'] / 60:.0f} minutes, "
        f"commit {about['commit'][:7]}."
    )
    text = page.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    page.write_text(f"{before}{START}\n\n{said}\n\n{table(rows)}\n\n{END}{after}", encoding="utf-8")
