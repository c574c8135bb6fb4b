"""The national two-day system: buy for the whole country, then place in proportion to regional demand."""

import numpy as np

from meio_jax.backtest.baselines.fitting import fit_storage, targets_frame
from meio_jax.backtest.baselines.levels import quantiles, whole_shares
from meio_jax.backtest.baselines.routing import delivered_parts, passed_on, way_down
from meio_jax.backtest.baselines.setting import Setting, read_setting
from meio_jax.backtest.plan import PlanTable


def national_two_day(tables, *, morning: bool = False) -> PlanTable:
    """Buying and placing decided apart, as in the systems that multi-echelon planning replaced.

    Buying: one newsvendor for the pooled demand of the country over vendor lead time, review and the way
    down to the customers. Placing: one for the pooled demand over the replenishment time of a tier, split
    over its sites in proportion to the demand of the regions nearest to each FC (promises that no FC can
    keep go to the nearest node that can). A node counts the stock of the nodes that it supplies. Sites that
    cannot hold their share give up stock by a charge per m3. True moments and lead time variance throughout.
    """
    setting = read_setting(tables, morning=morning)
    world = setting.world
    preferred = np.array([kind == "fc" for kind in world.kinds])
    own, _ = delivered_parts(setting, preferred if preferred.any() else ~preferred, by_distance=True)
    part = passed_on(setting, own)
    cover = setting.cover + way_down(setting, own)
    targets = []
    for bucket in range(world.buckets):
        rule = _Pools(setting, [_Pool(setting, part * tier, cover, bucket) for tier in tier_masks(setting)])
        exposed = setting.demand(setting.exposed, part, part**2, bucket)
        targets.append(fit_storage(setting, rule, exposed, bucket, echelon=True))
    return PlanTable(targets_frame(setting, targets), echelon=frozenset(world.nodes), name="national_two_day")


def tier_masks(setting: Setting) -> list[np.ndarray]:
    """Nodes of each tier, `[nodes]` booleans, most downstream first."""
    sites = setting.world.sites
    masks = []
    for first, last in zip(sites.tier_start[:-1], sites.tier_start[1:], strict=True):
        mask = np.zeros(len(setting.world.nodes), bool)
        mask[sites.tier_nodes[first:last]] = True
        masks.append(mask)
    return masks


class _Pool:
    """One newsvendor for the demand of several nodes together, split by their parts `[items, nodes]`."""

    def __init__(self, setting: Setting, part: np.ndarray, cover: np.ndarray, bucket: int):
        self.setting = setting
        total = part.sum(1, keepdims=True)
        self.weight = part / np.maximum(total, 1e-12)
        days = np.maximum((self.weight * cover).sum(1, keepdims=True), 1e-3)
        # each site's lead time is random on its own; the pool sees the mean of them
        sd = np.sqrt((self.weight * setting.lead_sd**2).sum(1, keepdims=True))
        square = setting.region_square[:, None] * total**2
        self.mean, self.variance = setting.demand(days, total, square, bucket, sd)

        fractiles = np.stack([setting.fractile(n) for n in range(part.shape[1])], 1)
        pooled = quantiles(self.mean[:, 0], self.variance[:, 0], (self.weight * fractiles).sum(1))
        self.units = whole_shares(pooled, self.weight)

    def column(self, node: int, charge: np.ndarray) -> np.ndarray:
        """Units of a node; where it bears a charge, its share of the pool that the charge would leave."""
        if not charge.any():
            return self.units[:, node]
        less = quantiles(self.mean[:, 0], self.variance[:, 0], self.setting.fractile(node, charge))
        share = np.floor(less * self.weight[:, node] + 0.5)
        return np.where(charge > 0, np.minimum(self.units[:, node], share), self.units[:, node])


class _Pools:
    """One pool for each tier; a node takes part in the pool of its tier."""

    def __init__(self, setting: Setting, pools: list[_Pool]):
        self.setting, self.pools = setting, pools

    def column(self, node: int, charge: np.ndarray) -> np.ndarray:
        """See `LevelRule`."""
        return sum(pool.column(node, charge) for pool in self.pools) * self.setting.supplied[:, node]
