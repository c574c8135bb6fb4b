"""The forecast table, whichever of its four forms it has, to a demand model in blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meio_jax.demand import LAWS, AbstractDemand, FewPathDemand, HistoryDemand, MeanDemand, PathDemand, QuantileDemand
from meio_jax.demand.few_paths import FEW, LEAST, fitted_law
from meio_jax.instance.blocks import Layout
from meio_jax.instance.convert import to_jax
from meio_jax.instance.ids import positions
from meio_jax.tables import Tables
from meio_jax.tables.availability import filled_sales
from meio_jax.tables.periods import PERIODS_PER_CYCLE


@dataclass(frozen=True)
class _Rows:
    """Where the rows of a forecast table go: item and period; rows beyond the simulated horizon are left out."""

    kept: np.ndarray
    period: np.ndarray
    item: np.ndarray
    horizon: int
    items: int
    cycle: int

    @classmethod
    def of(cls, tables: Tables, period: np.ndarray, item: np.ndarray, horizon: int, items: int) -> _Rows:
        kept = period < horizon
        cycle = PERIODS_PER_CYCLE[tables.settings.period]
        return cls(kept, period[kept], item[kept], horizon, items, cycle)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """`[horizon, items]`; periods after the last that an item has go on like its last week."""
        table = np.zeros((self.horizon, self.items))
        table[self.period, self.item] = values[self.kept]
        return self.continued(table)

    def continued(self, table: np.ndarray) -> np.ndarray:
        """Fill the periods that have no row, in place; the period axis is the one but last."""
        given = np.zeros((self.horizon, self.items), bool)
        given[self.period, self.item] = True
        last = np.where(given.any(0), self.horizon - 1 - given[::-1].argmax(0), self.horizon)
        for period in range(1, self.horizon):
            missing = last < period
            if missing.any():
                before = period - min(self.cycle, period)
                table[..., period, missing] = table[..., before, missing]
        return table


def _paths(tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int, horizon: int) -> AbstractDemand:
    table = tables.forecast
    count = int(table["path"].to_numpy().max(initial=depth - 1)) + 1
    rows = _Rows.of(tables, table["period"].to_numpy(), positions(table["item_id"], items), horizon, len(items))
    samples = np.zeros((count, horizon, len(items)))
    samples[table["path"].to_numpy()[rows.kept], rows.period, rows.item] = table["units"].to_numpy()[rows.kept]
    paths = PathDemand(to_jax(layout.cut(rows.continued(samples)), dtype))
    if not LEAST <= count < FEW:
        return paths
    known = int(rows.period.max(initial=0)) + 1
    mean, spread, law, lasting = (to_jax(layout.cut(values), dtype) for values in fitted_law(samples, known))
    return FewPathDemand(paths, MeanDemand(mean, spread, law), lasting)


def _quantiles(
    tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int, horizon: int
) -> AbstractDemand:
    del depth
    table = tables.forecast
    columns = sorted((name for name in table.columns if name.startswith("q")), key=lambda name: float(name[1:]))
    levels = np.asarray([float(name[1:]) for name in columns])
    rows = _Rows.of(tables, _period(tables), positions(table["unique_id"], items), horizon, len(items))
    values = np.stack([rows.spread(table[name].to_numpy()) for name in columns])
    return QuantileDemand(
        to_jax(layout.cut(values), dtype),
        to_jax(np.broadcast_to(levels, (layout.blocks, levels.size)), dtype),
        tables.settings.autocorrelation,
    )


def _period(tables: Tables) -> np.ndarray:
    """Period of the horizon of every forecast row."""
    return tables.settings.periods_of(tables.forecast["ds"].to_numpy().astype("datetime64[D]"))


def _mean(tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int, horizon: int) -> AbstractDemand:
    del depth
    table = tables.forecast
    item = positions(table["item_id"], items)
    rows = _Rows.of(tables, table["period"].to_numpy(), item, horizon, len(items))
    mean, dispersion = (rows.spread(table[name].to_numpy()) for name in ("mean", "dispersion"))
    law = np.zeros(len(items), int)
    law[item] = positions(table["law"], list(LAWS))
    return MeanDemand(*(to_jax(layout.cut(values), dtype) for values in (mean, dispersion, law)))


def _history(tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int, horizon: int) -> AbstractDemand:
    del horizon  # blocks of the past fill any horizon
    table = tables.forecast
    day = _period(tables)
    days = int(-day.min(initial=-depth))
    history = np.zeros((days, len(items)))
    item = positions(table["item_id"], items)
    # Several days of one week or month add up.
    np.add.at(history, (day + days, item), table["units"].to_numpy())
    cycle = PERIODS_PER_CYCLE[tables.settings.period]
    available = np.ones(history.shape, bool)
    np.logical_and.at(available, (day + days, item), table["available"].to_numpy())
    history = filled_sales(history, available, cycle)
    first = np.full(len(items), days)
    np.minimum.at(first, item, day + days)
    return HistoryDemand(
        to_jax(layout.cut(history), dtype),
        to_jax(layout.cut(np.minimum(first, days - 1)), dtype),
        tables.settings.history_block,
        cycle,
    )


_BUILDERS: dict[str, Callable[[Tables, list[str], Layout, type, int, int], AbstractDemand]] = {
    "paths": _paths,
    "quantiles": _quantiles,
    "mean": _mean,
    "history": _history,
}


def demand_model(
    tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int, horizon: int
) -> AbstractDemand:
    """The demand model of all items, leaves with a leading block axis.

    Args:
        tables: The instance.
        items: Item ids, in the order of the items table.
        layout: How they are cut into blocks.
        dtype: Floating type of the arrays.
        depth: Sample paths, or days of past sales, that the longest item of the catalog has.
        horizon: Periods that are simulated, those of the tail included. What the table does not reach goes on like the
            same weekday of the item's last week: of the same path, or with the same law.
    """
    return _BUILDERS[tables.settings.forecast](tables, items, layout, dtype, depth, horizon)
