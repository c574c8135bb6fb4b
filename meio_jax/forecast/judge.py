"""Calibration of sample paths on days that were held out: coverage and pinball loss, against a plain bootstrap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from meio_jax.forecast.classes import CLASSES
from meio_jax.forecast.options import ForecastOptions
from meio_jax.forecast.paths import block_paths, draw, forecast_item, generator

COVERED = (0.5, 0.8, 0.9, 0.95)
"""Central intervals whose coverage is counted."""

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantiles whose pinball loss is averaged."""

BASELINE_BLOCK = 7
"""Days of the blocks of the baseline: what an instance with a forecast of form `history` draws by default."""

SPANS = ("day", "horizon")
"""What is judged: every day by itself, and the sum over all days."""


@dataclass(frozen=True)
class Judged:
    """One item on its held-out days.

    `loss [spans]` is the mean pinball loss over levels (of days, summed over days) and `place [spans]` lists where in
    the distribution of the paths the truth fell (0 to 1; ties are split at random). The last two are of the baseline.
    """

    kind: str
    sold: float
    foretold: float
    loss: np.ndarray
    place: list[np.ndarray]
    base_loss: np.ndarray
    base_place: list[np.ndarray]


def pinball(paths: np.ndarray, truth: np.ndarray) -> float:
    """Pinball loss of the quantiles of some paths, mean over levels and summed over days (Koenker and Bassett 1978).

    Args:
        paths: `[paths, days]`.
        truth: `[days]`.
    """
    levels = np.asarray(LEVELS)[:, None]
    error = truth - np.quantile(paths, LEVELS, axis=0, method="inverted_cdf")
    return float(np.maximum(levels * error, (levels - 1) * error).mean(0).sum())


def places(paths: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the truth falls among the paths, `[days]`: uniform on (0, 1) if the paths are calibrated.

    A whole number that many paths share is put anywhere among them (randomised probability integral transform, Czado,
    Gneiting and Held 2009): otherwise intervals of slow movers, most of which end at zero, cover too much.
    """
    below, at_most = (paths < truth).mean(0), (paths <= truth).mean(0)
    return below + rng.random(truth.shape) * (at_most - below)


def judge_item(units: np.ndarray, item: str, options: ForecastOptions) -> Judged | None:
    """Forecast an item's last days from those before, or None where too few are before."""
    days = options.holdout
    if units.size < 2 * days:
        return None
    past, truth = units[:-days][-options.history_days :], units[-days:]
    rng = generator(options.seed, item, "calibration")
    found = forecast_item(past, days)
    ours = draw(found, options.paths, rng)
    plain = block_paths(past, days, options.paths, rng, BASELINE_BLOCK)
    total = truth.sum(keepdims=True)

    def both(paths: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        pairs = [(paths, truth), (paths.sum(1, keepdims=True), total)]
        return np.asarray([pinball(*pair) for pair in pairs]), [places(*pair, rng) for pair in pairs]

    return Judged(found.kind, float(total[0]), float(ours.sum(1).mean()), *both(ours), *both(plain))


@dataclass(frozen=True)
class Calibration:
    """What the held-out days say, for every class of demand and for all.

    Rows: `class`, `items`, `sold` and `foretold` (units on the held-out days, of all items); for each span (`day`,
    `horizon`) and of the baseline (`baseline_...`) the share of truths within each central interval
    (`day_coverage_80` ...) and the pinball loss in units per item (`day_pinball`).
    """

    holdout: int
    paths: int
    items: int
    too_short: int
    rows: list[dict[str, Any]]

    def row(self, kind: str = "all") -> dict[str, Any]:
        """The figures of a class."""
        return next(row for row in self.rows if row["class"] == kind)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        about = {"holdout": self.holdout, "paths": self.paths, "items": self.items, "too_short": self.too_short}
        return {**about, "baseline": f"bootstrap in blocks of {BASELINE_BLOCK} days", "rows": self.rows}


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


def calibration(found: Iterable[Judged | None], options: ForecastOptions) -> Calibration:
    """Put the items together."""
    every = list(found)
    judged = [one for one in every if one is not None]
    rows = []
    for kind in (*CLASSES, "all"):
        own = [one for one in judged if kind in (one.kind, "all")]
        if own:
            units = {"sold": sum(one.sold for one in own), "foretold": sum(one.foretold for one in own)}
            rows.append({"class": kind, "items": len(own), **units, **dict(_figures(own))})
    return Calibration(options.holdout, options.paths, len(judged), len(every) - len(judged), rows)
