"""Today's orders and transfers at the levels of a run that was made on an earlier day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from meio_jax.errors import InputError, Problem
from meio_jax.instance import build_instance
from meio_jax.planner.block_size import items_per_block
from meio_jax.planner.model import per_step
from meio_jax.plans.levels import policy_of_tables
from meio_jax.plans.spare_tables import NAME as SPARE
from meio_jax.plans.spare_tables import spare_of_table
from meio_jax.plans.tables import decision_frames
from meio_jax.runs.run import config_of_run
from meio_jax.tables import Tables
from meio_jax.tables.own_files import read_own_table
from meio_jax.tables.settings import InstanceSettings

_PER_BUCKET = ("plan/targets", "plan/protection", "plan/shares", "plan/node_values", SPARE, "prices")


class FixedLevels:
    """The levels and prices of a finished run, for the days after it: nothing is searched.

    Each day follows the bucket that it lies in, days after the last bucket follow that one.

    Args:
        run: Folder of a finished run.
        settings: Settings of the instance that the run planned: its first day and the length of its buckets.

    Raises:
        InputError: If the folder holds no finished run.
    """

    def __init__(self, run: Path, settings: InstanceSettings) -> None:
        found = {name: read_own_table(run, name) for name in _PER_BUCKET}
        self._frames = {name: frame for name, frame in found.items() if frame is not None}
        if "plan/targets" not in self._frames:
            remedy = "give the folder of a run, or solve first"
            raise InputError([Problem(str(run / "plan" / "targets"), "", "", None, "the targets of a run", remedy)])
        self.run, self.config = run, config_of_run(run)
        self._settings = settings
        self._last = int(np.max(self._frames["plan/targets"]["bucket"].to_numpy(), initial=0))

    def bucket(self, tables: Tables) -> int:
        """Bucket of the run that the first day of an instance lies in.

        Raises:
            InputError: If that day is before the run.
        """
        day = np.asarray([tables.settings.start_date], "datetime64[D]")
        period = int(self._settings.periods_of(day)[0])
        if period < 0:
            first = self._settings.start_date
            found, expected = str(tables.settings.start_date), f"a day not before the run's first, {first}"
            remedy = "give the instance of a later day"
            raise InputError([Problem("instance.yaml", "key start_date", "", found, expected, remedy)])
        return min(period // self._settings.bucket_periods, self._last)

    def decide(self, tables: Tables) -> dict[str, pl.DataFrame]:
        """`plan/orders` and `plan/transfers` of the first day of an instance."""
        items = items_per_block(tables, self.config, per_step(self.config))
        dtype = np.dtype(self.config.precision).type
        bands = self.config.fulfilment.weight_bands
        instance = build_instance(tables, block_items=items, bands=bands, dtype=dtype)
        chosen = self.config.policy
        policy = policy_of_tables(instance, chosen.name, self._frames, self.bucket(tables), chosen.correction)
        spare = None
        if instance.network.transship:
            spare = spare_of_table(instance, self._frames[SPARE], self.bucket(tables))
        return dict(decision_frames(instance, policy, spare))

    def today(self, tables: Tables) -> dict[str, pl.DataFrame]:
        """The run's tables of levels and prices for the first day of an instance, as its only bucket (number 0)."""
        at = self.bucket(tables)
        return {
            name: frame.filter(pl.col("bucket") == at).with_columns(bucket=pl.lit(0, frame.schema["bucket"]))
            for name, frame in self._frames.items()
        }
