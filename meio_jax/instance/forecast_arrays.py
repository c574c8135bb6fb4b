"""The forecast table, whichever of its four forms it has, to a demand model in blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meio_jax.demand import LAWS, AbstractDemand, HistoryDemand, MeanDemand, PathDemand, QuantileDemand
from meio_jax.instance.blocks import Layout
from meio_jax.instance.convert import to_jax
from meio_jax.instance.ids import positions
from meio_jax.tables import Tables
from meio_jax.tables.availability import filled_sales
from meio_jax.tables.periods import PERIODS_PER_CYCLE


def _paths(tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int) -> AbstractDemand:
    table = tables.forecast
    count = int(table["path"].to_numpy().max(initial=depth - 1)) + 1
    samples = np.zeros((count, tables.settings.periods, len(items)))
    at = (table["path"].to_numpy(), table["period"].to_numpy(), positions(table["item_id"], items))
    samples[at] = table["units"].to_numpy()
    return PathDemand(to_jax(layout.cut(samples), dtype))


def _quantiles(tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int) -> AbstractDemand:
    del depth
    table = tables.forecast
    columns = sorted((name for name in table.columns if name.startswith("q")), key=lambda name: float(name[1:]))
    levels = np.asarray([float(name[1:]) for name in columns])
    values = np.zeros((len(columns), tables.settings.periods, len(items)))
    at = (_period(tables), positions(table["unique_id"], items))
    for level, name in enumerate(columns):
        values[level][at] = table[name].to_numpy()
    return QuantileDemand(
        to_jax(layout.cut(values), dtype),
        to_jax(np.broadcast_to(levels, (layout.blocks, levels.size)), dtype),
        tables.settings.autocorrelation,
    )


def _period(tables: Tables) -> np.ndarray:
    """Period of the horizon of every forecast row."""
    return tables.settings.periods_of(tables.forecast["ds"].to_numpy().astype("datetime64[D]"))


def _mean(tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int) -> AbstractDemand:
    del depth
    table = tables.forecast
    at = (table["period"].to_numpy(), positions(table["item_id"], items))
    shape = (tables.settings.periods, len(items))
    mean, dispersion, law = np.zeros(shape), np.zeros(shape), np.zeros(len(items), int)
    mean[at], dispersion[at] = table["mean"].to_numpy(), table["dispersion"].to_numpy()
    law[at[1]] = positions(table["law"], list(LAWS))
    return MeanDemand(*(to_jax(layout.cut(values), dtype) for values in (mean, dispersion, law)))


def _history(tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int) -> AbstractDemand:
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


_BUILDERS: dict[str, Callable[[Tables, list[str], Layout, type, int], AbstractDemand]] = {
    "paths": _paths,
    "quantiles": _quantiles,
    "mean": _mean,
    "history": _history,
}


def demand_model(tables: Tables, items: list[str], layout: Layout, dtype: type, depth: int) -> AbstractDemand:
    """The demand model of all items, leaves with a leading block axis.

    `depth` is the number of sample paths or days of past sales that the longest item of the catalog has.
    """
    return _BUILDERS[tables.settings.forecast](tables, items, layout, dtype, depth)
