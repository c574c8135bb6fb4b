"""Parcel price per zone as a line in weight, fitted to the published table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

KG_PER_LB = 0.45359237
ZONES = 8  # zone 9 is for the outlying territories, which the network leaves out
STANDARD_SERVICE = "Ground Advantage"
FAST_SERVICE = "Priority Mail"


@dataclass(frozen=True)
class Rates:
    """`cost = per_parcel + per_kg * weight` by zone (arrays `[8]`, USD), and how well it fits.

    `rmse` and `relative` are the root mean square error in USD and relative to the mean price, per zone, over
    the weights of the parcels. `fast_factor` is the mean ratio of the fast service to the standard one.
    """

    per_parcel: np.ndarray
    per_kg: np.ndarray
    rmse: np.ndarray
    relative: np.ndarray
    fast_factor: float


def _prices(folder: Path, service: str, weight_kg: np.ndarray) -> np.ndarray:
    """Published commercial prices `[parcels, zones]`: the first weight step that is not exceeded."""
    table = pl.read_csv(folder / "parcel_rates_zone_weight.csv", glob=False, infer_schema_length=None)
    table = table.filter((pl.col("service") == service) & (pl.col("price_type") == "commercial"))
    table = table.with_columns(pl.col("weight_not_over_lb").cast(pl.Float64, strict=False)).drop_nulls(
        "weight_not_over_lb"
    ).sort("weight_not_over_lb")  # fmt: skip
    steps = table["weight_not_over_lb"].to_numpy() * KG_PER_LB
    price = table.select(f"zone{z}" for z in range(1, ZONES + 1)).to_numpy()
    row = np.searchsorted(steps, weight_kg, side="left")
    return price[np.minimum(row, len(steps) - 1)]


def fit_rates(folder: Path, weight_kg: np.ndarray) -> Rates:
    """Least squares per zone over the weights of real parcels (one row of the fit per parcel).

    Args:
        folder: the data folder.
        weight_kg: parcel weights, kg.
    """
    price = _prices(folder, STANDARD_SERVICE, weight_kg)
    fast = _prices(folder, FAST_SERVICE, weight_kg)
    design = np.column_stack([np.ones_like(weight_kg), weight_kg])
    line, *_ = np.linalg.lstsq(design, price, rcond=None)
    rmse = np.sqrt(np.mean((design @ line - price) ** 2, axis=0))
    return Rates(line[0], line[1], rmse, rmse / price.mean(axis=0), float(np.mean(fast / price)))
