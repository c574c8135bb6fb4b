"""How long goods wait at docks that queue, from what is brought to them and what passes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from meio_jax.certify.docks import QueuedDocks

# Goods have passed where less than this share of them has not: sums of 32-bit numbers are not exact.
_HAIR = 1e-4


@dataclass(frozen=True)
class Waits:
    """Means over scenarios by bucket and queue, in units and periods.

    Attributes:
        due: Units that are brought to the dock.
        waited: Those of them that do not pass on the same day.
        unit_periods: Units that wait in an evening, summed over evenings.
        largest: The most that waits in an evening.
        longest: The longest wait of what is brought in the bucket; what waits when the horizon ends counts as passed
            then.
    """

    due: Float[np.ndarray, "buckets queues"]
    waited: Float[np.ndarray, "buckets queues"]
    unit_periods: Float[np.ndarray, "buckets queues"]
    largest: Float[np.ndarray, "buckets queues"]
    longest: Float[np.ndarray, "buckets queues"]

    @property
    def mean(self) -> Float[np.ndarray, "buckets queues"]:
        """Mean wait of a unit, periods (Little's law)."""
        return self.unit_periods / np.where(self.due > 0, self.due, 1)


def waits_of(queued: QueuedDocks, charged: Float[np.ndarray, " periods"], bucket_periods: int) -> Waits:
    """Waits in every bucket; periods that are not charged (0 in `charged`) are left out."""
    units = list(queued.docks.unit_loads)
    due, waiting = np.asarray(queued.due, float)[:, units], np.asarray(queued.days.waiting, float)[:, units]
    stays = due * (1 - np.asarray(queued.days.shares.due, float))
    longest = _longest(due, waiting)
    rows = np.asarray(charged, bool)
    bucket = np.arange(due.shape[0]) // bucket_periods
    own = [rows & (bucket == number) for number in range(bucket[-1] + 1)]
    summed = lambda table: np.stack([table[days].sum(axis=0).mean(axis=-1) for days in own])
    most = lambda table: np.stack([table[days].max(axis=0, initial=0).mean(axis=-1) for days in own])
    return Waits(summed(due), summed(stays), summed(waiting), most(waiting), most(longest))


def _longest(
    due: Float[np.ndarray, "periods queues samples"], waiting: Float[np.ndarray, "periods queues samples"]
) -> Float[np.ndarray, "periods queues samples"]:
    """Periods until the last of what is brought on a day has passed, first come first served; of nothing 0."""
    brought = np.cumsum(due, axis=0)
    passed = brought - waiting
    last, found = due.shape[0] - 1, np.zeros(due.shape)
    for day in range(due.shape[0]):
        gone = passed[day:] >= brought[day] - _HAIR * np.maximum(due[day], 1)
        wait = np.where(gone.any(axis=0), gone.argmax(axis=0), last - day)
        found[day] = np.where(due[day] > 0, wait, 0)
    return found


@dataclass(frozen=True)
class DockFigures:
    """What a certificate says of docks that queue, over all of them.

    Attributes:
        waited_share: Share of what is brought to docks that does not pass on the same day.
        mean_wait: Mean wait of a unit, periods.
        longest_wait: The longest wait in any bucket, in the mean of the scenarios, periods.
        node, direction, bucket: Where that is; None where nothing waits.
        sweeps: How often the same scenarios were simulated for it, at most.
        settled: Whether queues and plan agree: another sweep would change no mean wait.
    """

    waited_share: float
    mean_wait: float
    longest_wait: float
    node: str | None
    direction: str | None
    bucket: int | None
    sweeps: int
    settled: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def dock_figures(queued: QueuedDocks, waits: Waits, nodes: list[str]) -> DockFigures:
    """The figures of a certificate; `nodes` are the ids of the nodes."""
    due = max(float(waits.due.sum()), 1e-12)
    bucket, queue = np.unravel_index(np.argmax(waits.longest), waits.longest.shape)
    some = float(waits.longest[bucket, queue]) > 0
    return DockFigures(
        waited_share=float(waits.waited.sum()) / due,
        mean_wait=float(waits.unit_periods.sum()) / due,
        longest_wait=float(waits.longest[bucket, queue]),
        node=nodes[queued.docks.node[queue]] if some else None,
        direction=direction(queued, int(queue)) if some else None,
        bucket=int(bucket) if some else None,
        sweeps=queued.sweeps,
        settled=queued.settled,
    )


def direction(queued: QueuedDocks, queue: int) -> str:
    """Kind of the capacity that a queue waits for."""
    return "outbound" if queued.docks.outbound[queue] else "inbound"
