"""Overrides with what they cost, as a table: `plan/overrides`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.instance import Instance
from meio_jax.plans.decisions import joined

_COLUMNS = ("override_id", "kind", "item_id", "node_id", "vendor_id", "from_node", "status", "expires")


@dataclass(frozen=True)
class Effect:
    """What an override changes over the reported horizon.

    Attributes:
        cost: Expected cost with it, capacity charges included, less that without it.
        stock: Mean stock with it less that without it, by node.
        ordered: Units that are ordered of every source (offer slots, then lanes) without it.
    """

    cost: float
    stock: np.ndarray
    ordered: np.ndarray

    @classmethod
    def between(
        cls, given: tuple[float, np.ndarray, np.ndarray], without: tuple[float, np.ndarray, np.ndarray]
    ) -> Effect:
        """From cost, stock and orders of the item with all overrides, and of the item without this one."""
        return cls(given[0] - without[0], given[1] - without[1], without[2])


def override_frame(instance: Instance, rows: pl.DataFrame, effects: Mapping[str, Effect]) -> pl.DataFrame:
    """One row for every override, in the order of its table.

    `units` are those of a fixed order, those that would be ordered of what is excluded, and by how much mean stock is
    higher (below 0: lower) for bounds on stock. Rows that do not apply have neither units nor a cost.

    Args:
        instance: The items.
        rows: The table `overrides` with its status.
        effects: What those in force change, by their ids.
    """
    weeks = charged_weeks(instance)
    units: list[float | None] = []
    cost: list[float | None] = []
    for row in rows.iter_rows(named=True):
        effect = effects.get(row["override_id"])
        cost.append(None if effect is None else effect.cost / weeks)
        units.append(None if effect is None else _units(instance, row, effect))
    figures = [pl.Series("units", units, pl.Float64), pl.Series("cost_a_week", cost, pl.Float64)]
    return rows.select(_COLUMNS).with_columns(*figures, rows["reason"])


def charged_weeks(instance: Instance) -> float:
    """Length of the periods that are charged, in weeks of seven days."""
    settings = instance.tables.settings
    return (settings.end_date - settings.date_of(settings.warmup_periods)).days / 7


def _units(instance: Instance, row: dict, effect: Effect) -> float:
    if row["kind"] == "order":
        return float(row["units"])
    node = instance.ids.node_index[row["node_id"]]
    if row["kind"] == "stock":
        return float(effect.stock[node])
    network, ids = instance.network, instance.ids
    lanes = np.asarray(network.lane_to, int) == node
    if row["from_node"] is not None:
        lanes &= np.asarray(network.lane_from, int) == ids.node_index[row["from_node"]]
    offers = np.asarray(network.offer_node, int) == node
    if row["vendor_id"] is not None:
        offers &= _slots(instance, row["item_id"], row["vendor_id"])
        lanes &= False
    elif row["from_node"] is not None:
        offers &= False
    return float(effect.ordered[np.concatenate([offers, lanes])].sum())


def _slots(instance: Instance, item: str, vendor: str) -> np.ndarray:
    """Offer slots of a vendor for an item."""
    number = joined(instance, instance.catalog.block.offer_vendor)[:, instance.items.index(item)]
    return number == instance.ids.vendors.index(vendor)
