"""What a dual method sees and must answer."""

import abc
import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from meio_kernels.projection import nonnegative

from meio_jax.results import Result

MethodState = TypeVar("MethodState", bound=eqx.Module)


class Observation(eqx.Module):
    """All that a dual method may know of one evaluation.

    `excess` is usage above capacity (service: what is missing to the floor) and `size` what it is measured against: the
    capacity, or where that is nothing the usual use; both in the resource's unit. `price_scale` is a price at which the
    resource would matter, in money per that unit; `value` is the cost of the plan that was evaluated, without prices,
    and `gross` what it pays in all. `ceiling` is a price at which no item would use any more; None: not known.
    """

    value: Float[Array, ""]
    gross: Float[Array, ""]
    excess: Float[Array, "buckets resources"]
    size: Float[Array, "buckets resources"]
    price_scale: Float[Array, "buckets resources"]
    ceiling: Float[Array, " resources"] | None = None

    def allowed(self, prices: Float[Array, "buckets resources"]) -> Float[Array, "buckets resources"]:
        """The nearest prices that are neither negative nor above the ceiling.

        What no plan can keep would raise its price without end, and whatever is there instead would be as dear.
        """
        return nonnegative(prices) if self.ceiling is None else jnp.clip(prices, 0, self.ceiling)

    @property
    def relative(self) -> Float[Array, "buckets resources"]:
        """Excess as a share of the size."""
        return self.excess / jnp.where(self.size > 0, self.size, 1)

    @property
    def drive(self) -> Float[Array, "buckets resources"]:
        """By how much prices move: the relative excess, and beyond 1 its logarithm, so that no start throws them."""
        large = jnp.maximum(jnp.abs(self.relative), 1)
        return jnp.clip(self.relative, -1, 1) * (1 + jnp.log(large))


class Tolerances(eqx.Module):
    """When a solve counts as converged: largest relative violation, coupling gap, and recent change of cost."""

    violation: float = eqx.field(static=True, default=5e-3)
    gap: float = eqx.field(static=True, default=1e-2)
    change: float = eqx.field(static=True, default=1e-3)


@dataclass(frozen=True)
class Progress:
    """Figures of merit of an iterate; `change` is the relative change of cost since the last check."""

    violation: float
    gap: float
    change: float


class AbstractDualMethod(eqx.Module, Generic[MethodState]):
    """Updates capacity prices from observed usage. It sees prices, usage and capacity, nothing else."""

    @abc.abstractmethod
    def init(self, prices: Float[Array, "buckets resources"]) -> MethodState:
        """State at the given prices (zero, or those of a warm start)."""

    @abc.abstractmethod
    def prices(self, state: MethodState) -> Float[Array, "buckets resources"]:
        """Prices at which the subproblem is to be evaluated next (non-negative)."""

    @abc.abstractmethod
    def multipliers(self, state: MethodState) -> Float[Array, "buckets resources"]:
        """The current estimate of the optimal prices."""

    @abc.abstractmethod
    def step(self, seen: Observation, state: MethodState) -> MethodState:
        """Move the prices after an evaluation at `prices(state)`."""

    def terminate(self, progress: Progress, tolerances: Tolerances) -> Result | None:
        """CONVERGED when every tolerance is met, NUMERICAL_FAILURE when a figure is not finite, else None."""
        figures = [progress.violation, progress.gap, progress.change]
        if not all(math.isfinite(figure) for figure in figures[:2]):
            return Result.NUMERICAL_FAILURE
        limits = [tolerances.violation, tolerances.gap, tolerances.change]
        met = all(abs(figure) <= limit for figure, limit in zip(figures, limits, strict=True))
        return Result.CONVERGED if met else None
