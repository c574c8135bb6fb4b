"""What vendors leave out of a delivery: recorded by vendor and day of the order, or drawn."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.backtest import draws
from meio_jax.backtest.lookup import bad, numbers, rows_of
from meio_jax.backtest.network import World
from meio_jax.backtest.options import Options
from meio_jax.backtest.sales import id_keys


class Deliveries:
    """Units that are missing when an order arrives; whoever orders does not know before.

    Args:
        world: The instance.
        options: `deliveries` (recorded) and `short_deliveries` (drawn where nothing is recorded).
        seed: Random state of the replication.

    Raises:
        InputError: If a recorded row names no vendor of the instance, or a share outside 0 to 1.
    """

    def __init__(self, world: World, options: Options, seed: np.uint64) -> None:
        self._seed, self._law = seed, options.short_deliveries
        self._vendor_keys = id_keys(world.vendors)
        self._recorded: dict[tuple[int, int], float] = {}
        if options.deliveries is not None:
            self._recorded = _read(options.deliveries, world.vendors)

    @property
    def complete(self) -> bool:
        """Whether every delivery is complete."""
        return not self._recorded and self._law[0] <= 0

    def missing(self, vendor: np.ndarray, key: np.ndarray, units: np.ndarray, day: int) -> np.ndarray:
        """Units that are left out of orders placed on a day, `[orders]`, rounded to whole units.

        Args:
            vendor: Row of the vendor of every order.
            key: Key of its offer.
            units: Units ordered.
            day: The day.
        """
        share = np.ones(len(units))
        for row, (at, own) in enumerate(zip(vendor.tolist(), key, strict=True)):
            if (at, day) in self._recorded:
                share[row] = self._recorded[(at, day)]
            elif self._law[0] > 0:
                state = draws.derived(self._seed, draws.SHORT, int(own), day)
                _, chance = draws.uniform(state)
                share[row] = self._law[1] if chance < self._law[0] else 1.0
        return units - np.floor(units * share + 0.5).astype(np.int64)


def _read(table: pl.DataFrame, vendors: list[str]) -> dict[tuple[int, int], float]:
    missing = {"vendor_id", "day", "share"} - set(table.columns)
    if missing:
        raise bad("deliveries", "", ", ".join(sorted(missing)), "the columns vendor_id, day and share", None)
    share = numbers(table, "share", 1.0)
    if ((share < 0) | (share > 1)).any():
        row = int(np.argmax((share < 0) | (share > 1)))
        raise bad("deliveries", f"row {row + 1}", "share", "a share from 0 to 1", float(share[row]))
    rows = rows_of(table["vendor_id"], vendors, "deliveries")
    return dict(zip(zip(rows.tolist(), table["day"].to_list(), strict=True), share.tolist(), strict=True))
