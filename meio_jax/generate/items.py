"""Items: size, price, demand level, vendor. Item k depends on the seed and k alone."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from meio_jax.generate.options import GenerateOptions
from meio_jax.generate.shares import Profiles

ITEM_BLOCK = 1000  # items drawn from one random stream; fixed, so that chunking never changes an item
DEPARTMENTS = 12
CHILLED_SHARE = 0.06
SPACE_PRICE = 120.0  # money per m3 and year


@dataclass(frozen=True)
class Items:
    """Attributes of some items, arrays `[I]` (units as in the items table); `number` counts from 0.

    `rate` is the mean demand of the whole network, units per day; `dispersion` as in the forecast table.
    """

    number: np.ndarray
    volume: np.ndarray
    weight: np.ndarray
    price: np.ndarray
    unit_cost: np.ndarray
    holding: np.ndarray
    lost_cost: np.ndarray
    backorder_cost: np.ndarray
    backordered: np.ndarray
    downgrade_share: np.ndarray
    downgrade_cost: np.ndarray
    chilled: np.ndarray
    profile: np.ndarray
    department: np.ndarray
    rate: np.ndarray
    dispersion: np.ndarray
    weekly_strength: np.ndarray
    yearly_strength: np.ndarray
    vendor: np.ndarray
    fast: np.ndarray
    fast_premium: np.ndarray
    direct: np.ndarray
    pack: np.ndarray
    freight: np.ndarray

    def rows(self, low: int, high: int) -> Items:
        """The items at positions `low` to `high` of these."""
        return Items(*(getattr(self, f.name)[low:high] for f in fields(self)))


def stream(seed: int, block: int, name: str) -> np.random.Generator:
    """Random generator of one purpose and one block of items."""
    return np.random.default_rng([seed, block, *name.encode()])


def draw_items(options: GenerateOptions, profiles: Profiles, block: int) -> Items:
    """The `ITEM_BLOCK` items of a block."""
    rng, n = stream(options.seed, block, "items"), ITEM_BLOCK
    z = rng.standard_normal((6, n))
    u = rng.random((17, n))
    volume = np.clip(0.003 * np.exp(1.1 * z[0]), 5e-5, 0.6)
    weight = np.clip(volume * 180.0 * np.exp(0.5 * z[1]), 0.02, 60.0)
    cost_ratio = 0.50 + 0.22 * u[0]
    size_price = 18.0 * (volume / 0.003) ** 0.35 * np.exp(0.75 * z[2])
    # things too cheap to be sent singly are sold in multipacks: the margin covers a typical parcel
    price = np.maximum(size_price, (4.5 + 0.55 * weight) / (1.0 - cost_ratio))
    price = np.floor(price) + 0.99
    unit_cost = np.round(price * cost_ratio, 2)
    holding = ((0.20 + 0.05 * u[1]) * unit_cost + SPACE_PRICE * volume) / 365.0
    rate = np.clip(0.35 * np.exp(1.6 * z[3]) * (price / 25.0) ** -0.3, 0.003, 3000.0)
    chilled = u[3] < CHILLED_SHARE
    count_chilled = int(profiles.chilled.sum())
    count_plain = len(profiles.name) - count_chilled
    plain_profile = (u[4] * count_plain).astype(int)
    cold_profile = count_plain + (u[4] * count_chilled).astype(int)
    vendors = options.vendor_count
    vendor = np.minimum((vendors * u[5] ** 1.7).astype(int), vendors - 1)  # low numbers are the big vendors
    brisk = rate > 2.0
    pack = np.where(brisk, np.choose((u[6] * 4).astype(int), [1, 6, 12, 24]), 1)
    pack = np.where((rate > 0.5) & ~brisk & (u[6] > 0.7), 6, pack)
    return Items(
        number=np.arange(block * n, (block + 1) * n),
        volume=np.round(volume, 6), weight=np.round(weight, 4), price=price, unit_cost=unit_cost,
        holding=np.round(holding, 6), lost_cost=np.round(price * (1.05 + 0.15 * u[2]), 2),
        backorder_cost=np.round(0.05 + 0.01 * price, 3), backordered=u[7] < 0.05,
        downgrade_share=np.round(0.25 + 0.40 * u[8], 3), downgrade_cost=np.round(0.5 + 0.02 * price, 2),
        chilled=chilled, profile=np.where(chilled, cold_profile, plain_profile),
        department=(u[9] * DEPARTMENTS).astype(int), rate=rate,
        dispersion=np.round(0.35 * np.exp(0.5 * z[4]), 4),
        weekly_strength=0.5 + u[10], yearly_strength=np.clip(0.15 * np.exp(0.7 * z[5]), 0.0, 0.6),
        vendor=vendor, fast=u[11] < 0.18, fast_premium=0.06 + 0.10 * u[12], direct=u[13] < 0.08, pack=pack,
        freight=np.round(0.05 + 60.0 * volume * (0.5 + u[14]) + 0.02 * weight, 4),
    )  # fmt: skip


def item_ids(number: np.ndarray, total: int) -> np.ndarray:
    """Ids of items as fixed-width strings; at least seven digits, so that a small catalog may grow."""
    return np.char.add("I", np.char.zfill(number.astype(str), max(7, len(str(total)))))
