"""Plan a few items again at a finished run's prices."""

from meio_jax.items.replan import Replanned, Replanner, ReplanOptions, price_warnings, replan

__all__ = ["ReplanOptions", "Replanned", "Replanner", "price_warnings", "replan"]
