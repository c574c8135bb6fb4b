"""Plan a few items again at a finished run's prices."""

from meio_jax.items.replan import Replanner, replan
from meio_jax.items.replan_results import Replanned, ReplanOptions, price_warnings

__all__ = ["ReplanOptions", "Replanned", "Replanner", "price_warnings", "replan"]
