"""What every form of forecast must provide: daily totals of each item in each scenario."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Shaped, UInt32
from meio_kernels.draws import unit_gamma
from meio_kernels.random import uniforms

# Streams of random numbers: the high byte names the use, the rest counts periods.
TOTAL, FACTOR, SPLIT, REGION, VENDOR, LANE, LEVEL, WHOLE = (np.uint32(use << 24) for use in range(1, 9))


class Draws(eqx.Module):
    """Random numbers of a batch: every column (item and scenario) has its own key.

    `scenario` is the number of the scenario of each column, `factor` the column's weekly demand factor (mean
    1) by period. `purpose` is what the scenarios are for: 0 training, 1 holdout, 2 validation. `world` is the factor
    that all items share (mean 1); None where there is none.
    """

    key: tuple[UInt32[Array, " batch"], UInt32[Array, " batch"]]
    scenario: UInt32[Array, " batch"]
    factor: Float[Array, "periods batch"]
    purpose: UInt32[Array, ""]
    world: Float[Array, "periods batch"] | None = None

    def uniform(
        self, use: np.uint32, count: int, period: Array | int = 0, part: int = 0
    ) -> Float[Array, "count batch"]:
        """Uniform numbers of one use, period and part.

        A use that needs several sets takes a part for each: compilers fuse whole sets, not rows cut out of
        one.
        """
        stream = jnp.asarray(use, jnp.uint32) + jnp.asarray(period).astype(jnp.uint32)
        return uniforms(self.key, count, stream, self.factor.dtype, part)

    def gamma(
        self, use: np.uint32, variance: Float[Array, " count #batch"], period: Array | int = 0
    ) -> Float[Array, "count batch"]:
        """Gamma variables of mean 1 and the given variance, a row each."""
        count = variance.shape[0]
        parts = [self.uniform(use, count, period, part) for part in range(3)]
        return unit_gamma(parts[0], parts[1], parts[2], jnp.broadcast_to(variance, parts[0].shape))


class AbstractDemand(eqx.Module):
    """A forecast of some items; leaves have the item axis last.

    `scales_rates` says whether `totals` scales the rates of its law by the factor that all items share (`Draws.world`);
    where it does not, its totals are scaled.
    """

    scales_rates: ClassVar[bool] = False

    @abc.abstractmethod
    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        """Demand of each item per period and scenario, in units; the batch is item x samples + scenario."""

    @abc.abstractmethod
    def mean_total(self) -> Float[Array, " items"]:
        """Mean demand per period of each item, averaged over the horizon."""

    @abc.abstractmethod
    def period_means(self, periods: int) -> Float[Array, "periods items"]:
        """Mean demand of each item in each of the first periods, in units."""

    @abc.abstractmethod
    def variance_terms(self) -> Float[Array, "2 items"]:
        """Variance of a period's demand as a polynomial of its mean m: row 0 times m plus row 1 times m squared."""

    @abc.abstractmethod
    def whole(self) -> Bool[Array, " items"]:
        """Items whose totals are whole numbers."""


def by_scenario(leaf: Shaped[Array, "*lead items"], samples: int) -> Shaped[Array, "*lead batch"]:
    """Spread an items-last array over scenarios, item-major."""
    return jnp.repeat(leaf, samples, axis=-1)


def squared_spread(
    mean: Float[Array, "periods items"], variance: Float[Array, "periods items"]
) -> Float[Array, "2 items"]:
    """Variance terms of demand whose spread is known by period only: in proportion to the squared mean."""
    size = jnp.sum(mean * mean, axis=0)
    square = jnp.where(size > 0, jnp.sum(variance, axis=0) / jnp.where(size > 0, size, 1), 0)
    return jnp.stack([jnp.zeros_like(square), square])


def in_world(
    demand: AbstractDemand, draws: Draws, totals: Float[Array, "periods batch"], samples: int
) -> Float[Array, "periods batch"]:
    """Totals under the factor that all items share.

    Whole units stay whole: they are rounded at random, so that means are kept.
    """
    if draws.world is None or demand.scales_rates:
        return totals
    scaled = totals * draws.world
    rounding = draws.uniform(WHOLE, totals.shape[0])
    return jnp.where(by_scenario(demand.whole(), samples), jnp.floor(scaled + rounding), scaled)
