"""The optimiser of the policies' parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import optax


@dataclass(frozen=True)
class SearchOptions:
    """How policies are searched: Adam with a step that falls from `first_rate` to `last_rate` (cosine)."""

    first_rate: float = 0.1
    last_rate: float = 0.003
    steps: int = 150


@cache
def optimiser(options: SearchOptions) -> optax.GradientTransformation:
    """Adam on parameters in units of their scale; eps is small because gradients are scaled by item cost.

    Equal options give the same object: compiled programs are kept by it, and another one would be compiled anew.
    Momentum is short: it delays the answer of stock to prices, and a delay in that loop makes stock slosh.
    """
    schedule = optax.cosine_decay_schedule(
        options.first_rate, max(options.steps, 1), alpha=options.last_rate / options.first_rate
    )
    return optax.adam(schedule, b1=0.5, b2=0.95, eps=1e-9)
