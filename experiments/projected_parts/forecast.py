"""Items whose demand has a weekly rhythm and a season that rises and falls: one target a week, both policies.

Reference is the cost of the base-stock plan of the same item, so that its gap is what the policy saves or costs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl
from truth_families.network import Item, Offer, Setting, Site, build
from truth_families.plan import Effort

from meio_jax.tables import Tables
from projected_parts.rows import Report, planned_rows

EFFORT = Effort(train=512, per_step=32, holdout=2**13, first_steps=150, second_steps=0, block_items=16)
PERIODS, WARMUP, WEEK = 84, 14, 7
POLICIES = ("base_stock", "projected_level")
# Monday to Sunday, part of the week's demand; the season is a factor on the mean of the day.
RHYTHM = np.array([0.7, 0.7, 0.8, 0.9, 1.2, 1.6, 1.1])
MEANS, DISPERSIONS, LEADS, PENALTIES = (0.6, 6.0), (0.0, 0.5), (2, 5), (9.0, 39.0)


def season(day: np.ndarray) -> np.ndarray:
    """A peak of twice the usual demand in the middle of the horizon, four weeks wide."""
    return 1 + np.exp(-(((day - PERIODS / 2) / (2 * WEEK)) ** 2))


def tables() -> Tables:
    """One item for each mean, dispersion, lead time and penalty; they share nothing."""
    day = np.arange(PERIODS)
    shape = RHYTHM[day % WEEK] / RHYTHM.mean() * season(day)
    items, offers, frames = [], [], []
    for mean, dispersion, lead, penalty in itertools.product(MEANS, DISPERSIONS, LEADS, PENALTIES):
        name = f"mean={mean:g} dispersion={dispersion:g} L={lead} p={penalty:g}"
        items.append(Item(name, {"site": 1.0}, 1.0, penalty))
        offers.append(Offer(name, "site", lead))
        law = (pl.lit(dispersion).alias("dispersion"), pl.lit("negative_binomial").alias("law"))
        frames.append(pl.DataFrame({"item_id": name, "period": day, "mean": mean * shape}).with_columns(*law))
    settings = {"name": "season", "periods": PERIODS, "bucket_periods": WEEK, "warmup_periods": WARMUP}
    more = {"forecast": "mean", "ordering": "morning", "terminal": "continue"}
    return build(Setting(settings | more, [Site("site")], items, offers, pl.concat(frames)))


def run(*, policies: Sequence[str] | None, quick: bool, report: Report) -> list[dict]:
    """A row for every item and policy; base-stock is always run, as the reference."""
    instance, effort = tables(), EFFORT.quick() if quick else EFFORT
    labels = instance.items["item_id"].to_list()
    rows: list[dict] = []
    for policy in dict.fromkeys((POLICIES[0], *(policies or POLICIES))):
        reference = np.array([row["cost"] for row in rows[: len(labels)]]) if rows else None
        rows += planned_rows(instance, policy, effort, labels, reference, stationary=False)
        report(rows)
    return rows
