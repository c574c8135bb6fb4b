"""Echelon base-stock with safety-stock formulas: normal demand, one pass."""

import numpy as np

from meio_jax.backtest.baselines.fitting import Newsvendor, fit_storage, targets_frame
from meio_jax.backtest.baselines.routing import delivered_parts, passed_on, way_down
from meio_jax.backtest.baselines.setting import read_setting
from meio_jax.backtest.plan import PlanTable


def echelon_formulas(tables, *, morning: bool = False) -> PlanTable:
    """Every node orders up to mean + z x standard deviation of the demand below it (Silver, Pyke and Thomas
    2017, chapter 11; Axsäter 2015, chapter 10).

    The time covered is the node's own lead time and review and the way down to the customers; the variance
    has the demand of that time and the spread of the lead time; z is the normal quantile of the critical
    fractile. Targets are
    echelon targets: a node counts the stock of the nodes that it supplies.
    """
    setting = read_setting(tables, morning=morning)
    nodes, buckets = setting.world.nodes, range(setting.world.buckets)
    own, square = delivered_parts(setting, np.ones(len(nodes), bool), by_distance=False)
    part, square = passed_on(setting, own), passed_on(setting, square)
    cover = setting.cover + way_down(setting, own)
    targets = []
    for bucket in buckets:
        rule = Newsvendor(setting, setting.demand(cover, part, square, bucket), normal=True)
        exposed = setting.demand(setting.exposed, part, square, bucket)
        targets.append(fit_storage(setting, rule, exposed, bucket, echelon=True))
    return PlanTable(targets_frame(setting, targets), echelon=frozenset(nodes), name="echelon_formulas")
