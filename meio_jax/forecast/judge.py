"""Calibration of sample paths on periods that were held out: coverage and pinball loss, against a plain bootstrap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from meio_jax.forecast.bootstrap import block_paths
from meio_jax.forecast.classes import CLASSES
from meio_jax.forecast.model import Shared, fit
from meio_jax.forecast.panel import Panel
from meio_jax.forecast.paths import draw, generator
from meio_jax.tables.periods import PeriodLength

COVERED = (0.5, 0.8, 0.9, 0.95)
"""Central intervals whose coverage is counted."""

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantiles whose pinball loss is averaged."""

JUDGED_PATHS = 200
"""Paths that an item is judged on: more change no figure that is shown."""

BASELINE_BLOCK: dict[PeriodLength, int] = {"day": 7, "week": 4, "month": 3}
"""Periods of the blocks of the baseline."""

SPANS = ("day", "horizon")
"""What is judged: every period by itself (`day`, whatever its length), and the sum over all."""


@dataclass(frozen=True)
class Judged:
    """One item on its held-out periods.

    `loss [spans]` is the mean pinball loss over levels (of periods, summed over them) and `place [spans]` lists where
    in the distribution of the paths the truth fell (0 to 1; ties are split at random). The last two are of the
    baseline.
    """

    kind: str
    sold: float
    foretold: float
    loss: np.ndarray
    place: list[np.ndarray]
    base_loss: np.ndarray
    base_place: list[np.ndarray]


def pinball(paths: np.ndarray, truth: np.ndarray) -> float:
    """Pinball loss of the quantiles of some paths, mean over levels and summed over periods (Koenker and Bassett 1978).

    Args:
        paths: `[paths, periods]`.
        truth: `[periods]`.
    """
    levels = np.asarray(LEVELS)[:, None]
    error = truth - np.quantile(paths, LEVELS, axis=0, method="inverted_cdf")
    return float(np.maximum(levels * error, (levels - 1) * error).mean(0).sum())


def places(paths: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the truth falls among the paths, `[periods]`: uniform on (0, 1) if the paths are calibrated.

    A whole number that many paths share is put anywhere among them (randomised probability integral transform, Czado,
    Gneiting and Held 2009): otherwise intervals of slow movers, most of which end at zero, cover too much.
    """
    below, at_most = (paths < truth).mean(0), (paths <= truth).mean(0)
    return below + rng.random(truth.shape) * (at_most - below)


def judge_block(panel: Panel, shared: Shared, held_out: int, seed: int) -> list[Judged | None]:
    """Forecast the last periods of some items from those before; None where too few are known before.

    Periods of the truth in which an item was out of stock are left out.

    Args:
        panel: Sales of the items, the held-out periods among them.
        shared: What the catalog shared before these periods.
        held_out: How many periods.
        seed: Master seed.
    """
    before = panel.cut(held_out)
    found = fit(before, shared)
    length = panel.calendar.length

    def one(item: int) -> Judged | None:
        known = panel.known[item, -held_out:]
        past = panel.units[item, :-held_out][before.known[item]]
        if past.size < held_out or not known.any():
            return None
        rng = generator(seed, panel.names[item], "calibration")
        truth = panel.units[item, -held_out:][known]
        ours = draw(found, item, JUDGED_PATHS, rng)[:, known]
        cycle = panel.calendar.cycle
        plain = block_paths(past, held_out, JUDGED_PATHS, rng, BASELINE_BLOCK[length], cycle)[:, known]
        total = truth.sum(keepdims=True)

        def both(paths: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
            pairs = [(paths, truth), (paths.sum(1, keepdims=True), total)]
            return np.asarray([pinball(*pair) for pair in pairs]), [places(*pair, rng) for pair in pairs]

        foretold = float(found.rate[item][known].sum())
        return Judged(found.kind[item], float(total[0]), foretold, *both(ours), *both(plain))

    return [one(item) for item in range(len(panel.names))]


@dataclass(frozen=True)
class Calibration:
    """What the held-out periods say, for every class of demand and for all.

    Rows: `class`, `items`, `sold` and `foretold` (units on the held-out periods, of all items); for each span (`day`: a
    period; `horizon`: all) and of the baseline (`baseline_...`) the share of truths within each central interval
    (`day_coverage_80` ...) and the pinball loss in units per item (`day_pinball`).
    """

    holdout: int
    paths: int
    items: int
    too_short: int
    rows: list[dict[str, Any]]
    period: PeriodLength = "day"

    def row(self, kind: str = "all") -> dict[str, Any]:
        """The figures of a class."""
        return next(row for row in self.rows if row["class"] == kind)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        about = {"holdout": self.holdout, "paths": self.paths, "items": self.items, "too_short": self.too_short}
        baseline = f"bootstrap in blocks of {BASELINE_BLOCK[self.period]} {self.period}s"
        return {**about, "period": self.period, "baseline": baseline, "rows": self.rows}


def _figures(judged: list[Judged]) -> Iterator[tuple[str, float]]:
    for number, span in enumerate(SPANS):
        for prefix, loss, place in (
            ("", [one.loss for one in judged], [one.place for one in judged]),
            ("baseline_", [one.base_loss for one in judged], [one.base_place for one in judged]),
        ):
            yield f"{prefix}{span}_pinball", float(np.mean([one[number] for one in loss]))
            where = np.concatenate([one[number] for one in place])
            for share in COVERED:
                inside = np.abs(where - 0.5) <= share / 2
                yield f"{prefix}{span}_coverage_{share * 100:.0f}", float(inside.mean())


def calibration(found: Iterable[Judged | None], held_out: int, period: PeriodLength = "day") -> Calibration:
    """Put the items together."""
    every = list(found)
    judged = [one for one in every if one is not None]
    rows = []
    for kind in (*CLASSES, "all"):
        own = [one for one in judged if kind in (one.kind, "all")]
        if own:
            units = {"sold": sum(one.sold for one in own), "foretold": sum(one.foretold for one in own)}
            rows.append({"class": kind, "items": len(own), **units, **dict(_figures(own))})
    return Calibration(held_out, JUDGED_PATHS, len(judged), len(every) - len(judged), rows, period)
