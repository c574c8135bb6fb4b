"""When a forecast should not be used as it is: what its own calibration and history say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meio_jax.forecast.judge import Calibration
from meio_jax.forecast.model import Fitted, Shared
from meio_jax.forecast.panel import Panel

_BIAS, _WORSE = 0.10, 1.05
_COVERED = {"day_coverage_80": "a {period}", "horizon_coverage_80": "the sum of all held-out {period}s"}
_LEAST_COVERED, _MOST_COVERED = 0.65, 0.95
_ENOUGH_ITEMS = 20
_FEW_YEARS = 1.75
_STOPPED = 0.5
_SHORT_YEARS = 0.25
_STALE_DAYS = 28
_DAYS = {"day": 1, "week": 7, "month": 30}


@dataclass
class Counts:
    """What is counted while items are forecast: all, those that seem to have stopped, those known for under 13 weeks,
    those that never sold, and periods since the last sale of any item."""

    items: int = 0
    stopped: int = 0
    short: int = 0
    never: int = 0
    stale: int | None = None

    def add(self, panel: Panel, found: Fitted) -> None:
        """Count the items of a block."""
        known = panel.known.sum(1)
        never = ~(panel.units > 0).any(1)
        self.items += len(panel.names)
        self.stopped += int(((found.alive < _STOPPED) & ~never).sum())
        self.short += int(((known < _SHORT_YEARS * panel.calendar.year) & ~never).sum())
        self.never += int(never.sum())
        sold = np.flatnonzero((panel.units > 0).any(0))
        if sold.size:
            back = panel.calendar.past - 1 - int(sold[-1])
            self.stale = back if self.stale is None else min(self.stale, back)


def advice(counts: Counts, shared: Shared, found: Calibration | None, period: str) -> list[str]:
    """Sentences that say what is doubtful about a forecast and what to do; empty where nothing is."""
    return [*_of_history(counts, shared, period), *(_of_calibration(found, period) if found is not None else [])]


def _of_history(counts: Counts, shared: Shared, period: str) -> list[str]:
    said = []
    if counts.stale is not None and counts.stale * _DAYS[period] > _STALE_DAYS:
        said.append(
            f"No item sold in the last {counts.stale} {period}s before the horizon: give the missing sales, or let the "
            "horizon begin where they end."
        )
    years = shared.season.years
    if years == 0:
        said.append(
            "The history is shorter than nine months: no season of the year is foretold. Do not use it across a "
            "season; give more history, or forecasts of your own."
        )
    elif years < _FEW_YEARS:
        said.append(
            f"The history covers {years:.1f} years: peaks seen once are expected again at 60 % only. Two years or more "
            "tell a season from a chance."
        )
    if counts.stopped:
        said.append(
            f"{counts.stopped:,} of {counts.items:,} items have sold nothing for longer than chance explains and are "
            "foretold at less than half their old rate, since most such items stop: give those that come back (a "
            "season, an empty shelf) a forecast of your own, or mark the days without stock in the column available."
        )
    if counts.short:
        said.append(
            f"{counts.short:,} of {counts.items:,} items are known for less than 13 weeks: their rate is a guess from "
            "few sales, without a trend of launch. Give them the history of a like item, or a forecast of your own."
        )
    if counts.never:
        said.append(f"{counts.never:,} of {counts.items:,} items never sold: they are foretold no demand.")
    return said


def _of_calibration(found: Calibration, period: str) -> list[str]:
    if not found.rows or found.row()["items"] < _ENOUGH_ITEMS:
        return [
            f"Only {found.items} items could be judged on held-out {period}s: the calibration says little about this "
            "forecast."
        ]
    said, row = [], found.row()
    if row["sold"] > 0:
        bias = row["foretold"] / row["sold"] - 1
        if abs(bias) > _BIAS:
            said.append(
                f"Do not use it for total volume: on the held-out {period}s it was {bias:+.0%} off in all. Look for "
                "what changed then (assortment, prices, events); give it (--events, --prices), or a forecast of your "
                "own."
            )
    for name, span in (("day_pinball", f"{period}s"), ("horizon_pinball", f"sums of {found.holdout} {period}s")):
        if row[f"baseline_{name}"] > 0 and row[name] > _WORSE * row[f"baseline_{name}"]:
            said.append(
                f"Do not use it for {span}: its loss was {row[name] / row[f'baseline_{name}'] - 1:+.1%} against a "
                "plain bootstrap of the past. Plan on the past sales themselves (form history), or a forecast of your "
                "own."
            )
    for name, span in _COVERED.items():
        if not _LEAST_COVERED <= row[name] <= _MOST_COVERED:
            way = "too narrow: plans would hold too little" if row[name] < 0.8 else "too wide: plans would hold more"
            said.append(
                f"Its intervals are {way}: the truth of {span.format(period=period)} lay in the central 80 % in "
                f"{row[name]:.0%} of cases."
            )
    return said
