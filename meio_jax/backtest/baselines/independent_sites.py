"""Independent sites: every site stocks for the customers to whom it is nearest, by its own newsvendor."""

import numpy as np

from meio_jax.backtest.baselines.fitting import Newsvendor, fit_storage, targets_frame
from meio_jax.backtest.baselines.routing import delivered_parts, passed_on
from meio_jax.backtest.baselines.setting import read_setting
from meio_jax.backtest.plan import PlanTable


def independent_sites(tables, *, morning: bool = False) -> PlanTable:
    """Base-stock at every node, each blind to the others.

    A site covers the demand of its own customers (those that it serves cheapest in time) and of the nodes
    that draw on it, over lead time and review, at the critical fractile, with true moments, negative
    binomial demand and random lead times. Where the sites' stock does not fit a node's storage, items
    compete for it by a charge per m3.
    """
    setting = read_setting(tables, morning=morning)
    nodes, buckets = len(setting.world.nodes), range(setting.world.buckets)
    own, square = delivered_parts(setting, np.ones(nodes, bool), by_distance=False)
    part, square = passed_on(setting, own), passed_on(setting, square)
    cover = setting.cover
    targets = []
    for bucket in buckets:
        rule = Newsvendor(setting, setting.demand(cover, part, square, bucket))
        exposed = setting.demand(setting.exposed, part, square, bucket)
        targets.append(fit_storage(setting, rule, exposed, bucket, echelon=False))
    return PlanTable(targets_frame(setting, targets), name="independent_sites")
