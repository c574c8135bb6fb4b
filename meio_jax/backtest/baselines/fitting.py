"""Making targets fit storage: a charge per m3 (or unit) and day, raised until the expected stock fits."""

from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl

from meio_jax.backtest.baselines.levels import expected_left, normal_quantiles, quantiles
from meio_jax.backtest.baselines.setting import Setting
from meio_jax.backtest.limits import ENFORCED

_STEPS = 24


@runtime_checkable
class LevelRule(Protocol):
    """How a baseline sets the target of a node."""

    def column(self, node: int, charge: np.ndarray) -> np.ndarray:
        """Targets `[items]` of a node where holding a unit costs an extra `charge [items]` a day."""
        ...


class Newsvendor:
    """Least level that covers the demand of a window with the probability of the critical fractile.

    `moments` are mean and variance `[items, nodes]`; negative binomial demand, or normal if so asked.
    """

    def __init__(self, setting: Setting, moments: tuple[np.ndarray, np.ndarray], *, normal: bool = False):
        self.setting, self.moments, self.normal = setting, moments, normal

    def column(self, node: int, charge: np.ndarray) -> np.ndarray:
        """See `LevelRule`."""
        mean, variance = (x[:, node] for x in self.moments)
        fractile = self.setting.fractile(node, charge)
        if self.normal:
            level = mean + normal_quantiles(fractile) * np.sqrt(variance)
            units = np.maximum(np.floor(level + 0.5), 0)
        else:
            units = quantiles(mean, variance, fractile)
        return units * self.setting.supplied[:, node]


def fit_storage(
    setting: Setting, rule: LevelRule, exposed: tuple[np.ndarray, np.ndarray], bucket: int, *, echelon: bool
) -> np.ndarray:
    """Targets `[items, nodes]` of a bucket that fit every storage capacity in expectation.

    One charge per storage resource, found by bisection: the newsvendor with a shared capacity, solved node
    by node, downstream first.

    Args:
        setting: The instance.
        rule: Targets of a node at a charge.
        exposed: Mean and variance `[items, nodes]` of the demand that a node's stock meets on an average
            day before the next delivery; what they leave of a target is the stock on hand.
        bucket: The bucket.
        echelon: Whether targets count the stock of the nodes below.
    """
    world, limits = setting.world, setting.world.limits
    charge = np.zeros((len(world.items), len(world.nodes)))
    units = np.stack([rule.column(n, charge[:, n]) for n in range(len(world.nodes))], 1)
    targets = raised(setting, units) if echelon else units
    rows = world.limit_rows["node"].to_numpy()
    tier_of = np.argsort(world.sites.tier_nodes)
    held = np.flatnonzero(limits.kind == ENFORCED.index("storage"))
    for r in held[np.argsort(tier_of[rows[held]], kind="stable")]:
        node, kind, room = int(rows[r]), limits.storage_class[r], limits.capacity[r, bucket]
        member = (world.catalog.storage_class == kind) | (kind == -1)
        weight = limits.weight[limits.measure[r]] * member
        below = targets @ setting.route[node] if echelon else 0.0

        def used(column: np.ndarray, weight=weight, below=below, node=node) -> float:
            alone = np.maximum(column - below, 0)
            return float((weight * expected_left(alone, exposed[0][:, node], exposed[1][:, node]) * (alone > 0)).sum())

        if not np.isfinite(room) or used(targets[:, node]) <= room:
            continue
        scale = float(np.median(setting.shortage)) / max(float(np.median(weight[member])), 1e-12)
        low, high = -20.0, 10.0  # natural logarithm of the charge, in units of `scale`
        for _ in range(_STEPS):
            middle = (low + high) / 2
            trial = rule.column(node, charge[:, node] + scale * np.exp(middle) * weight)
            low, high = (middle, high) if used(trial) > room else (low, middle)
        charge[:, node] += scale * np.exp(high) * weight
        units[:, node] = rule.column(node, charge[:, node])
        targets = raised(setting, units) if echelon else units
    return targets


def raised(setting: Setting, units: np.ndarray) -> np.ndarray:
    """Echelon targets such that none is smaller than what the nodes below it ask from it."""
    out = units.copy()
    for node in setting.world.sites.tier_nodes:
        below = np.flatnonzero(setting.route[node])
        if len(below):
            out[:, node] = np.maximum(out[:, node], np.ceil(out[:, below] @ setting.route[node, below] - 1e-9))
    return out * setting.supplied


def targets_frame(setting: Setting, by_bucket: list[np.ndarray]) -> pl.DataFrame:
    """Frame of targets from arrays `[items, nodes]`, one per bucket; pairs that are always 0 are left out."""
    world = setting.world
    stacked = np.floor(np.stack(by_bucket) + 0.5).astype(np.int64)
    item, node = np.nonzero(stacked.max(0) > 0)
    ids = {
        "item_id": pl.Series("item", world.items).gather(item),
        "node_id": pl.Series("node", world.nodes).gather(node),
    }
    frames = [
        pl.DataFrame(ids | {"bucket": np.full(len(item), b), "target_units": units[item, node]})
        for b, units in enumerate(stacked)
    ]
    return pl.concat(frames)
