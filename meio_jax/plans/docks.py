"""The table of what waits at docks."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.certify.docks import QueuedDocks
from meio_jax.certify.waits import Waits, direction, waits_of
from meio_jax.instance import Instance


def waits_in(instance: Instance, queued: QueuedDocks) -> Waits:
    """Waits in the buckets of an instance."""
    settings = instance.tables.settings
    return waits_of(queued, np.asarray(instance.network.charged), settings.bucket_periods)


def dock_frame(instance: Instance, queued: QueuedDocks) -> pl.DataFrame:
    """A row for every queue and bucket in which anything is brought to it.

    `units` is what is brought to the dock, `waited_units` what of it does not pass on the same day,
    `waiting_unit_periods` what waits in the evenings, `mean_wait` and `longest_wait` are periods, and `largest_queue`
    is the most units that wait in an evening; all are means over holdout scenarios.
    """
    waits = waits_in(instance, queued)
    bucket, queue = np.nonzero(waits.due > 0)
    at = (bucket, queue)
    return pl.DataFrame(
        {
            "node_id": [instance.ids.nodes[queued.docks.node[number]] for number in queue],
            "direction": [direction(queued, int(number)) for number in queue],
            "bucket": bucket,
            "units": waits.due[at],
            "waited_units": waits.waited[at],
            "waiting_unit_periods": waits.unit_periods[at],
            "mean_wait": waits.mean[at],
            "longest_wait": waits.longest[at],
            "largest_queue": waits.largest[at],
        },
        schema_overrides={"node_id": pl.String, "direction": pl.String},
    )
