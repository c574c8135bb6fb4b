"""The calibration of a forecast as a person reads it in a terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from meio_jax.forecast.judge import BASELINE_BLOCK, Calibration
from meio_jax.forecast.run import CALIBRATION_FILE, Forecasted

_COVERED = {
    "{period} 80%": "day_coverage_80",
    "sum 50%": "horizon_coverage_50",
    "sum 80%": "horizon_coverage_80",
    "sum 95%": "horizon_coverage_95",
}


def _table(found: Calibration) -> Table:
    title = f"Calibration on the last {found.holdout} {found.period}s of the history, held out"
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("demand")
    covered = [heading.format(period=found.period) for heading in _COVERED]
    for heading in ("items", "bias", *covered, f"{found.period} loss", "sum loss"):
        table.add_column(heading, justify="right")
    for row in found.rows:
        if row["class"] == "all":
            table.add_section()
        bias = f"{row['foretold'] / row['sold'] - 1:+.0%}" if row["sold"] > 0 else ""
        cells = [row["class"], f"{row['items']:,}", bias, *(f"{row[name]:.0%}" for name in _COVERED.values())]
        for name in ("day_pinball", "horizon_pinball"):
            base = row[f"baseline_{name}"]
            cells.append(f"{row[name] / base - 1:+.1%}" if base > 0 else "")
        table.add_row(*cells)
    return table


def forecast_text(found: Forecasted) -> RenderableType:
    """What was written, how well the paths fit, and when they should not be used."""
    head = (
        f"Wrote {found.paths} paths of {found.periods} {found.period}s from {found.start} on for {found.items:,} items "
        f"to {found.folder}."
    )
    parts: list[RenderableType] = [escape(head)]
    one = found.calibration
    if one is not None and one.rows:
        parts += ["", _table(one)]
        parts.append(
            f"[dim]Columns with % count how often the truth lay in that central interval, of a {one.period} or of the "
            f"sum of all {one.holdout} {one.period}s. Loss: pinball loss against that of a bootstrap in blocks of "
            f"{BASELINE_BLOCK[one.period]} {one.period}s.[/dim]"
        )
    if one is not None and one.too_short:
        parts.append(f"{one.too_short:,} items have too short a history to hold {one.period}s out.")
    if found.advice:
        parts += ["", "[bold]When not to use it[/bold]", *(escape(f"* {sentence}") for sentence in found.advice)]
    if one is not None:
        parts += ["", escape(f"All figures: {found.folder / CALIBRATION_FILE}")]
    return Group(*parts)
