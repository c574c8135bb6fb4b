"""A backtest as a person reads it in a terminal, and its progress."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from meio_jax.cli.console import escape

SHARES = ("promises_kept", "fast_promises_kept")
_SHOWN = ("total", "outbound", "holding", "transfer", "lost_sale", "backorder", "lost_units", *SHARES)
_CUSTOMERS = {
    "recorded": "recorded sales",
    "history": "the last days of the history",
    "sampled": "customers sampled by the forecast",
}


class DayLines:
    """A line that is redrawn on a terminal, a line a day elsewhere: day, cost so far of every arm, time left.

    Args:
        console: Where to write.
        quiet: Write nothing.
    """

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console, self._quiet = console, quiet
        self._sums: dict[int, float] = {}
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._fresh = 0
        self._spent = 0.0

    def update(self, day: int, days: int, spent: float, steps: list[Any]) -> None:
        """Called after every day; see `live`."""
        for number, step in enumerate(steps):
            cost = sum(value for name, value in step.day.cost.items() if name != "terminal")
            self._sums[number] = self._sums.get(number, 0.0) + cost
        self._fresh += spent > self._spent
        self._spent = spent
        if self._quiet:
            return
        left = spent / self._fresh * (days - day - 1) if self._fresh else 0.0
        figures = f"{steps[0].how} {steps[0].seconds:.1f} s, cost so far {self._sums[0]:,.0f}"
        if len(steps) > 1:
            figures += f" (baselines from {min(cost for at, cost in self._sums.items() if at):,.0f})"
        if not sys.stderr.isatty():
            self._console.print(f"day {day + 1} of {days}: {figures}; about {left:.0f} s left")
            return
        if self._bar is None:
            columns = (TextColumn("[bold]backtest"), BarColumn(bar_width=24), TextColumn("{task.fields[text]}"))
            self._bar = Progress(*columns, console=self._console)
            self._bar.start()
            self._task = self._bar.add_task("backtest", total=days, text="")
        assert self._task is not None  # made with the bar
        text = f"day {day + 1} of {days}  {figures}  about {left:.0f} s left"
        self._bar.update(self._task, completed=day + 1, text=text)

    def close(self) -> None:
        """Called once at the end."""
        if self._bar is not None:
            self._bar.stop()


def backtest_text(summary: dict[str, Any], folder: str) -> RenderableType:
    """Arms, differences with their intervals, capacities, and what the plans took."""
    parts: list[RenderableType] = [_headline(summary, folder), _arms(summary)]
    parts += [_difference(name, rows, summary) for name, rows in summary["differences"].items()]
    parts.append(_capacity(summary))
    return Group(*parts)


def _headline(summary: dict[str, Any], folder: str) -> str:
    ours = summary["arms"][summary["ours"]]
    every = summary["every"]
    plans = "a plan every day" if every == 1 else f"a plan every {every} days, its levels and prices between"
    text = (
        f"{summary['days']} days from {summary['start_date']}, {summary['items']} items, "
        f"{_CUSTOMERS[summary['customers']]}; {plans}: {ours['seconds']:,.0f} s, "
        f"{ours['seconds_of_longest_day']:,.1f} s on the longest day. Tables are in {escape(folder)}/results."
    )
    for name, arm in summary["arms"].items():
        if arm.get("nervousness_quantities") is not None:
            text += f"\n{escape(name)}: {_nervous(arm)}"
        # Backtests of earlier versions do not say it.
        if arm.get("docks", {}).get("worst"):
            text += f"\n{escape(name)}: {delays(arm['docks'], str(summary.get('period', 'day')))}"
        if arm.get("outbound_docks", {}).get("worst"):
            found = delays(
                arm["outbound_docks"], str(summary.get("period", "day")), "what customers are promised waits"
            )
            text += f"\n{escape(name)}: {found}"
    return text


def delays(docks: dict[str, Any], period: str, what: str = "goods wait outside") -> str:
    """How long goods wait before full docks, in words."""
    worst, delay = docks["worst"], docks["mean_delay_days"]
    mean = "" if delay is None else f", {delay:.2f} {period}s for a unit on average"
    return (
        f"{what} for {docks['waiting_unit_days']:,.0f} unit-{period}s{mean}; most on {period} "
        f"{worst['day']} at {escape(str(worst['node_id']))}: {worst['waiting_units']:,.0f} units."
    )


def _nervous(arm: dict[str, Any]) -> str:
    """What plans change of those before them, in words."""
    orders = arm["nervousness_orders"]
    text = f"from one plan to the next {arm['nervousness_quantities']:.1%} of the units planned to be ordered change"
    if orders is not None:
        text += f", and {orders:.1%} of the planned orders appear or vanish"
    return f"{text} (same item, node and due date; days near today weigh more)."


def _arms(summary: dict[str, Any]) -> Table:
    table = Table(title="Every plan, all items", title_justify="left")
    names = ("cost", "lost units", "promises kept", "fast promises kept", "mean stock", "days of cover", "turns a year")
    table.add_column("plan")
    for name in names:
        table.add_column(name, justify="right")
    for name, arm in summary["arms"].items():
        figures = [f"{arm['total']:,.0f}", f"{arm['lost']:,.0f}"]
        figures += [f"{arm['promises_kept']:.2%}", f"{arm['fast_promises_kept']:.2%}", f"{arm['mean_stock']:,.0f}"]
        figures += [_number(arm[key]) for key in ("days_of_cover", "turns_per_year")]
        table.add_row(escape(name), *figures)
    return table


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.1f}"


def _difference(name: str, rows: list[dict[str, Any]], summary: dict[str, Any]) -> Table:
    table = Table(title=f"{summary['ours']} against {escape(name)}, paired by item", title_justify="left")
    table.add_column("metric")
    for column in (summary["ours"], name, "difference", "95 % interval"):
        table.add_column(escape(column), justify="right")
    for row in rows:
        if row["metric"] not in _SHOWN or (row["ours"] == 0 and row["baseline"] == 0):
            continue
        share = row["metric"] in SHARES
        figures = [f"{row[side]:.2%}" if share else f"{row[side]:,.0f}" for side in ("ours", "baseline")]
        unit = "points" if share else "%"
        change = "" if row["difference"] is None else f"{row['difference']:+.2f} {unit}"
        interval = "" if row["low"] is None else f"{row['low']:+.2f} .. {row['high']:+.2f}"
        table.add_row(escape(row["metric"].replace("_", " ")), *figures, change, interval)
    return table


def _capacity(summary: dict[str, Any]) -> Table:
    table = Table(
        title="Largest violation of each kind of capacity (mean of a bucket; worst day)", title_justify="left"
    )
    table.add_column("kind")
    for name in summary["arms"]:
        table.add_column(escape(name), justify="right")
    kinds = dict.fromkeys(kind for arm in summary["arms"].values() for kind in arm["violation"])
    for kind in kinds:
        cells = []
        for arm in summary["arms"].values():
            found = arm["violation"].get(kind)
            cells.append("" if found is None else f"{_share(found['mean'])}; {_share(found['worst_day'])}")
        table.add_row(escape(kind), *cells)
    return table


def _share(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.2%}"
