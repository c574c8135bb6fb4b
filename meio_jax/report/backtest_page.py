"""The page of a backtest: what every plan came to, day by day."""

from __future__ import annotations

import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.folders import read_mark
from meio_jax.report.charts import Axes, Series, line_chart
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import number, share, whole
from meio_jax.report.parts import Column, card, cards, cell, empty, name_cell, section, table
from meio_jax.report.shell import framed, made_of, theme
from meio_jax.runs.backtests import ANEW, KIND, SUMMARY, read_results, read_summary
from meio_jax.tables import write_text

_PARTS = {
    "overview": "Overview",
    "days": "Days",
    "differences": "Differences",
    "capacity": "Capacity",
    "prices": "Prices",
    "plans": "Plans",
}
_DEAREST = 6


def is_backtest(folder: Path) -> bool:
    """Whether a folder holds a backtest."""
    mark = read_mark(folder)
    return (mark is not None and mark.kind == KIND) or (folder / SUMMARY).is_file()


def write_backtest_report(folder: Path, out: Path | None = None) -> Path:
    """Write the page of a finished backtest; returns the file.

    Raises:
        InputError: If something in the folder is damaged or missing.
    """
    summary, results = read_summary(folder), read_results(folder)
    with made_of(folder, "what a finished backtest holds", ANEW):
        page = render_backtest(folder.resolve().name, summary, results)
    return write_text(page, out or folder / "report.html")


def render_backtest(name: str, summary: dict[str, Any], results: dict[str, pl.DataFrame]) -> str:
    """The whole page as text."""
    sections = [
        _overview(summary),
        _days(results["daily"]),
        _differences(summary),
        _capacity(summary),
        _prices(results["prices"]),
        _plans(results["solves"], results["nervousness"]),
    ]
    line = f"{name} · {summary['days']} days from {summary['start_date']} · {summary['items']} items"
    aside = tag("div", theme(), class_="aside")
    head = tag(
        "header", tag("div", tag("h1", "Backtest"), tag("p", line, class_="subtitle")), aside, class_="page-head"
    )
    made = datetime.datetime.now().strftime("%d %b %Y %H:%M")
    foot = f"meio-jax {metadata.version('meio-jax')} · written {made}"
    return framed(f"{name} – backtest", head, _PARTS, sections, foot)


def _overview(summary: dict[str, Any]) -> Markup:
    columns = [Column("plan")] + [
        Column(name, figures=True)
        for name in (
            "cost",
            "lost units",
            "promises kept",
            "fast promises kept",
            "mean stock",
            "days of cover",
            "turns",
        )
    ]
    rows = []
    for name, arm in summary["arms"].items():
        figures = [(arm["total"], number), (arm["lost"], whole), (arm["promises_kept"], _percent)]
        figures += [(arm["fast_promises_kept"], _percent), (arm["mean_stock"], whole)]
        figures += [(arm["days_of_cover"], number), (arm["turns_per_year"], number)]
        rows.append([name_cell(name), *(cell(show(value), figure=True, sort=value) for value, show in figures)])
    lead = (
        "Every plan lived the same days with the same customers, vendors and lanes. Cost counts what was used: stock "
        "left at the end is credited, stock of the start charged, at replacement cost."
    )
    return section("overview", "Overview", table(columns, rows, label="Every plan"), lead=lead)


def _percent(value: float) -> str:
    return share(value, 2)


def _days(daily: pl.DataFrame) -> Markup:
    charts = [
        _by_arm(daily, "total", "Cost of the day"),
        _by_arm(daily, "stock", "Stock at the end of the day, units"),
        _by_arm(daily, "lost", "Units lost on the day"),
        _by_arm(daily, "on_order", "Units under way"),
    ]
    if daily["waiting_unit_days"].sum() > 0:
        charts.append(_by_arm(daily, "waiting_unit_days", "Units that wait outside of full docks and halls"))
    # Backtests of earlier versions do not have it.
    if "held_unit_days" in daily.columns and daily["held_unit_days"].sum() > 0:
        charts.append(_by_arm(daily, "held_unit_days", "Units that are promised and wait for full outbound docks"))
    return section("days", "Days", cards(*charts))


def _by_arm(table: pl.DataFrame, column: str, title: str) -> Markup:
    """A line per plan over the days."""
    lines = [
        Series(str(arm), rows["day"].to_list(), rows[column].to_list(), at + 1)
        for at, ((arm,), rows) in enumerate(table.group_by(["arm"], maintain_order=True))
    ]
    return tag("div", line_chart(lines, Axes("day", title), label=f"{title}, by day"), class_="card")


def _differences(summary: dict[str, Any]) -> Markup:
    ours = summary["ours"]
    columns = [Column("metric")] + [
        Column(name, figures=True) for name in (ours, "baseline", "difference", "from", "to (95 %)")
    ]
    found = []
    for other, rows in summary["differences"].items():
        lines = []
        for row in rows:
            if row["ours"] == 0 and row["baseline"] == 0:
                continue
            kept = row["metric"].endswith("promises_kept")
            show = _percent if kept else number
            figures = [cell(show(row[side]), figure=True, sort=row[side]) for side in ("ours", "baseline")]
            figures += [_change(row[key], kept) for key in ("difference", "low", "high")]
            lines.append([name_cell(row["metric"].replace("_", " ")), *figures])
        found.append(card(f"{ours} against {other}", table(columns, lines, label=f"{ours} against {other}"), wide=True))
    lead = "Paired by item; intervals of 95 % from items drawn anew. Shares differ by percentage points."
    return section(
        "differences", "Differences", cards(*found) if found else empty("No baseline was asked for."), lead=lead
    )


def _change(value: float | None, points: bool) -> Markup:
    if value is None:
        return cell("–", figure=True)
    return cell(f"{value:+.2f} {'points' if points else '%'}", figure=True, sort=value)


def _capacity(summary: dict[str, Any]) -> Markup:
    kinds = dict.fromkeys(kind for arm in summary["arms"].values() for kind in arm["violation"])
    if not kinds:
        return section("capacity", "Capacity", empty("The instance has no capacities."))
    columns = [Column("kind")]
    for name in summary["arms"]:
        columns += [Column(f"{name}, mean", figures=True), Column(f"{name}, worst day", figures=True)]
    rows = []
    for kind in kinds:
        row = [name_cell(kind)]
        for arm in summary["arms"].values():
            found = arm["violation"].get(kind, {"mean": None, "worst_day": None})
            for key in ("mean", "worst_day"):
                value = found[key]
                row.append(cell("∞" if value is None else _percent(value), figure=True, sort=value))
        rows.append(row)
    lead = "Largest violation of each kind: of the mean of a bucket, and of its worst day."
    return section("capacity", "Capacity", table(columns, rows, label="Violations"), lead=lead)


def _prices(prices: pl.DataFrame) -> Markup:
    """The dearest capacities over the days."""
    if not prices.height or float(prices["price"].max()) <= 0:  # type: ignore[arg-type]
        return section("prices", "Prices", empty("No capacity had a price."))
    mean = prices.group_by("resource_id").agg(pl.col("price").mean()).sort("price", descending=True).head(_DEAREST)
    lines = []
    for at, name in enumerate(mean["resource_id"].to_list()):
        rows = prices.filter(pl.col("resource_id") == name).sort("day")
        lines.append(Series(name, rows["day"].to_list(), rows["price"].to_list(), at + 1))
    chart = line_chart(lines, Axes("day", "Price of the bucket in force"), label="Prices by day")
    return section("prices", "Prices", cards(tag("div", chart, class_="card")))


def _by_arm_share(table: pl.DataFrame, column: str, title: str) -> Markup:
    """A line per planner over the days of new plans, as shares."""
    lines = [
        Series(str(arm), rows["day"].to_list(), rows[column].to_list(), at + 1)
        for at, ((arm,), rows) in enumerate(table.group_by(["arm"], maintain_order=True))
    ]
    return tag("div", line_chart(lines, Axes("day", title, share), label=f"{title}, by day"), class_="card")


def _plans(solves: pl.DataFrame, nervous: pl.DataFrame) -> Markup:
    charts = [_by_arm(solves, "seconds", "Seconds of the day's decision")]
    if nervous.height:
        charts.append(_by_arm_share(nervous, "quantities", "Units planned to be ordered that changed"))
        charts.append(_by_arm_share(nervous, "orders", "Planned orders that appeared or vanished"))
    return section("plans", "Plans", cards(*charts))
