"""When a plan orders and ships, from a few holdout scenarios at a time: means by day, quantiles by bucket."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from meio_jax.simulation.timing import Timing

KEPT = 8
"""Scenarios of every group simulated together whose units are kept for quantiles."""

_ENOUGH = 128
LOW, HIGH = 0.1, 0.9


class OrderTimes(eqx.Module):
    """When and how much is ordered and shipped; sources are offer slots first, then lanes.

    `daily` is the mean over scenarios by day of the decision, `lines` the chance that an item is ordered from a vendor
    on the day; days as in `Timing`. `low` and `high` are the 10 and 90 % quantiles of the units of a bucket, over
    `scenarios` of the holdout scenarios.
    """

    daily: Float[np.ndarray, "blocks days sources items"]
    lines: Float[np.ndarray, "blocks days items"]
    low: Float[np.ndarray, "blocks buckets sources items"]
    high: Float[np.ndarray, "blocks buckets sources items"]
    scenarios: int = eqx.field(static=True)


class OrderTimesSum:
    """Adds up groups of scenarios. Units are kept where there are any: most items use few of the sources."""

    def __init__(self) -> None:
        self._daily: np.ndarray | None = None
        self._lines: np.ndarray | None = None
        self._groups = self._scenarios = 0
        self._at: list[np.ndarray] = []
        self._units: list[np.ndarray] = []
        self._shape: tuple[int, ...] = ()

    def add(self, timing: Timing) -> None:
        """Add a group of scenarios; leaves have a leading block axis."""
        daily, lines = np.asarray(timing.daily, np.float32), np.asarray(timing.lines, np.float32)
        self._daily = daily.copy() if self._daily is None else self._daily + daily
        self._lines = lines.copy() if self._lines is None else self._lines + lines
        self._groups += 1
        if self._scenarios >= _ENOUGH:
            return
        kept = np.asarray(timing.kept)
        self._shape, self._scenarios = kept.shape[:-1], self._scenarios + kept.shape[-1]
        there = np.flatnonzero(kept)
        self._at.append(there // kept.shape[-1])
        self._units.append(kept.reshape(-1)[there].astype(np.float32))

    def result(self) -> OrderTimes:
        """Means and quantiles of all groups."""
        assert self._daily is not None  # a plan is judged on at least one group
        assert self._lines is not None
        at, units = np.concatenate(self._at), np.concatenate(self._units)
        low, high = (
            sparse_quantile(at, units, self._scenarios, share, self._shape).astype(np.float32) for share in (LOW, HIGH)
        )
        return OrderTimes(self._daily / self._groups, self._lines / self._groups, low, high, self._scenarios)


def sparse_quantile(at: np.ndarray, units: np.ndarray, count: int, share: float, shape: tuple[int, ...]) -> np.ndarray:
    """Quantile of samples most of which are 0: the least value that so large a share of the samples does not exceed.

    Args:
        at: For every sample above 0, where in the flattened table it lies.
        units: The samples above 0.
        count: Samples of every place, zeros included.
        share: Between 0 and 1.
        shape: Of the table.
    """
    order = np.lexsort((units, at))
    at, units = at[order], units[order]
    places, first, above = np.unique(at, return_index=True, return_counts=True)
    rank = int(np.ceil(share * count - 1e-9)) - 1 - (count - above)
    table = np.zeros(int(np.prod(shape)), units.dtype)
    seen = rank >= 0
    table[places[seen]] = units[first[seen] + rank[seen]]
    return table.reshape(shape)
