"""What a unit given up at a node is worth: as a plan says, for what the node has and expects on a day."""

import math

import numpy as np
import polars as pl

from meio_jax.backtest.compiled import inlined
from meio_jax.backtest.lookup import bad, integers, numbers, rows_of
from meio_jax.backtest.network import World

UNIT_VALUES = (
    "base_value", "scarce_value", "dearer_value", "first_share", "daily_mean", "daily_variance", "cover_days",
)  # fmt: skip
"""Columns of a table of values: what a unit is worth where none is short; what it is worth more where the node runs out
of it; how much more than that where it is also short of what customers ask to whom another node is dearer; which part
of the node's customers the others are; mean and variance of what a day's customers ask of the node; days for which it
has to do with what comes."""
_SHARE, _MEAN, _VARIANCE, _COVER = 3, 4, 5, 6

_LEAST_VARIANCE = 0.25

Coming = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Item, node, units, and in how many days what is under way is expected."""


def unit_values(table: pl.DataFrame, world: World) -> np.ndarray:
    """Values as the simulator reads them, `[B, items, nodes, columns]`; buckets past the last one listed repeat it.

    Raises:
        InputError: If a column is missing, or a row names an item or node that the instance lacks.
    """
    if not table.height:
        return np.zeros((1, 1, 1, len(UNIT_VALUES)))
    missing = [name for name in ("item_id", "node_id", *UNIT_VALUES) if name not in table.columns]
    if missing:
        raise bad("values", "", missing[0], "the columns of plan/node_values", None, "take the table of a run as it is")
    item = rows_of(table["item_id"], world.items, "values")
    node = rows_of(table["node_id"], world.nodes, "values")
    bucket = integers(table, "bucket", -1) if "bucket" in table.columns else np.full(table.height, -1)
    value = np.stack([numbers(table, name) for name in UNIT_VALUES], axis=-1)
    out = np.zeros((world.buckets if (bucket >= 0).any() else 1, len(world.items), len(world.nodes), len(UNIT_VALUES)))
    everywhere, own = bucket < 0, (bucket >= 0) & (bucket < len(out))
    out[:, item[everywhere], node[everywhere]] = value[everywhere]
    out[bucket[own], item[own], node[own]] = value[own]
    last = int(bucket.max())
    if 0 <= last < len(out) - 1:
        out[last + 1 :] = out[last]
    return out


def look_ahead(value: np.ndarray, on_hand: np.ndarray, coming: Coming, chunk: int) -> np.ndarray:
    """What nodes expect up to the day on which they are likeliest to run out, `[items, nodes, 3]`.

    The first number is what is received less what customers ask for until then, today included, the second its standard
    deviation, the third what those ask for who go elsewhere first.

    Args:
        value: Of the day's bucket, `[items, nodes, columns]`.
        on_hand: Stock this morning, `[items, nodes]`.
        coming: What is under way.
        chunk: Items at a time (bounds memory).
    """
    items, nodes = on_hand.shape
    value = np.broadcast_to(value, (items, nodes, len(UNIT_VALUES)))
    days = max(int(value[..., _COVER].max(initial=1)), 1)
    out = np.zeros((items, nodes, 3))
    for first in range(0, items, chunk):
        own = slice(first, min(first + chunk, items))
        out[own] = _of_items(value[own], on_hand[own], _within(coming, own, days), days)
    return out


def _within(coming: Coming, own: slice, days: int) -> Coming:
    item, node, units, wait = coming
    kept = (item >= own.start) & (item < own.stop) & (wait < days)
    return item[kept] - own.start, node[kept], units[kept], wait[kept]


def _of_items(value: np.ndarray, on_hand: np.ndarray, coming: Coming, days: int) -> np.ndarray:
    item, node, units, wait = coming
    received = np.zeros((*on_hand.shape, days))
    np.add.at(received, (item, node, np.maximum(wait, 0)), units)
    number = np.arange(1, days + 1)
    expected = np.cumsum(received, axis=-1) - number * value[..., _MEAN, None]
    spread = np.sqrt(np.maximum(number * value[..., _VARIANCE, None], _LEAST_VARIANCE))
    level = np.where(number <= value[..., _COVER, None], (on_hand[..., None] + expected) / spread, np.inf)
    worst = level.argmin(-1)[..., None]
    first = number * (value[..., _SHARE] * value[..., _MEAN])[..., None]
    return np.concatenate([np.take_along_axis(part, worst, -1) for part in (expected, spread, first)], axis=-1)


@inlined
def worth_of_unit(value, ahead, stock):
    """Money that the last of `stock` units of a node is worth there; `value` and `ahead` are those of the node."""
    level = stock - 0.5 + ahead[0]
    scale = ahead[1] * math.sqrt(2.0)
    short, far_short = 0.5 * math.erfc(level / scale), 0.5 * math.erfc((level + ahead[2]) / scale)
    return value[0] + value[1] * short + value[2] * far_short
