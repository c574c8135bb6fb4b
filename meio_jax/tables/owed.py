"""The table `backlog` by item, region and speed: rows that do not say are split as the demand of the item is."""

from __future__ import annotations

import numpy as np
import polars as pl

KEYS = ("item_id", "region_id", "speed_id")


def owed_units(backlog: pl.DataFrame, items: pl.DataFrame, shares: pl.DataFrame) -> pl.DataFrame:
    """Units owed: `item_id, region_id, speed_id, units`, one row each; whole units are split into whole units.

    Args:
        backlog: The table, checked.
        items: The items, with their `profile`.
        shares: How the demand of a profile is split.
    """
    some = backlog.filter(pl.col("units") > 0)
    known = pl.col("region_id").is_not_null() & pl.col("speed_id").is_not_null()
    parts = [some.filter(known).select(*KEYS, "units")]
    profiles = dict(items.select("item_id", "profile").iter_rows())
    split: dict[str, list[tuple[str, str, float]]] = {}
    for profile, place, fast, share in shares.select("profile", "region_id", "speed_id", "share").iter_rows():
        split.setdefault(profile, []).append((place, fast, share))
    rows = []
    for item, region, speed, units in some.filter(~known).select(*KEYS, "units").iter_rows():
        weights = _weights(split[profiles[item]], region, speed)
        counts = apportioned(units, np.asarray(list(weights.values())))
        rows += [(item, *place, count) for place, count in zip(weights, counts.tolist(), strict=True)]
    parts.append(pl.DataFrame(rows, schema=some.select(*KEYS, "units").schema, orient="row"))
    table = pl.concat(parts).group_by(KEYS, maintain_order=True).agg(pl.col("units").sum())
    return table.filter(pl.col("units") > 0).sort(KEYS)


def _weights(
    split: list[tuple[str, str, float]], region: str | None, speed: str | None
) -> dict[tuple[str, str], float]:
    """Weight of every region and speed that a row may mean.

    Where nobody is expected to order so, whoever did is one more customer of the regions or speeds that there are.
    """
    own = [row for row in split if region in (None, row[0]) and speed in (None, row[1]) and row[2] > 0]
    weights: dict[tuple[str, str], float] = {}
    for place, fast, share in sorted(own or split):
        key = (region or place, speed or fast)
        weights[key] = weights.get(key, 0.0) + share
    return weights


def apportioned(units: float, shares: np.ndarray) -> np.ndarray:
    """Units by share; a whole number by largest remainder, so that every part is whole."""
    exact = units * shares / shares.sum()
    if units != round(units):
        return exact
    parts = np.floor(exact + 1e-9)
    most = np.argsort(-(exact - parts), kind="stable")[: round(units - parts.sum())]
    parts[most] += 1
    return parts
