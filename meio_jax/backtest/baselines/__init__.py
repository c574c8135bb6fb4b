"""Baseline policies: what planners do without an optimiser, each as good as its idea allows.

`BASELINES` maps a name to a function of `Tables` that gives a `PlanTable`.
"""

from collections.abc import Callable

from meio_jax.backtest.baselines.echelon_formulas import echelon_formulas
from meio_jax.backtest.baselines.independent_sites import independent_sites
from meio_jax.backtest.baselines.national_two_day import national_two_day
from meio_jax.backtest.plan import PlanTable

BASELINES: dict[str, Callable[..., PlanTable]] = {
    "national_two_day": national_two_day,
    "independent_sites": independent_sites,
    "echelon_formulas": echelon_formulas,
}

__all__ = ["BASELINES", "echelon_formulas", "independent_sites", "national_two_day"]
