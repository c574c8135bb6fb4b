"""How a period is differentiated: what is kept of it for the way back."""

from collections.abc import Callable

import jax

GradientMode = Callable[[Callable], Callable]


def direct(step: Callable) -> Callable:
    """Differentiation mode: keep every intermediate of every period (fast, memory grows with the horizon)."""
    return step


def checkpointed(step: Callable) -> Callable:
    """Differentiation mode: keep only the state of each period and recompute the rest going back."""
    return jax.checkpoint(step)


GRADIENT_MODES: dict[str, GradientMode] = {"direct": direct, "checkpointed": checkpointed}
