"""Forms of forecast, each a way to draw an item's daily totals."""

from meio_jax.demand.base import AbstractDemand as AbstractDemand
from meio_jax.demand.base import Draws as Draws
from meio_jax.demand.few_paths import FewPathDemand as FewPathDemand
from meio_jax.demand.history import HistoryDemand as HistoryDemand
from meio_jax.demand.mean import LAWS as LAWS
from meio_jax.demand.mean import MeanDemand as MeanDemand
from meio_jax.demand.paths import PathDemand as PathDemand
from meio_jax.demand.quantiles import QuantileDemand as QuantileDemand
from meio_jax.demand.registry import DEMAND_FORMS as DEMAND_FORMS
