"""Form (c): mean and dispersion per item and period."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from meio_kernels.draws import poisson, unit_gamma
from meio_kernels.random import normals

from meio_jax.demand.base import TOTAL, AbstractDemand, Draws, by_scenario, squared_spread

LAWS = ("negative_binomial", "normal", "gamma", "fixed")


class MeanDemand(AbstractDemand):
    """Independent days with a given mean, dispersion and law (a number in `LAWS`).

    negative_binomial: variance mean + dispersion x mean^2 (0: Poisson);
    normal: variance dispersion x mean^2, clipped at zero; gamma: the same variance; fixed: always the mean.
    The mean of a day is multiplied by the scenario's weekly factor, which ties the days of a week, and by the factor
    that all items share.
    """

    scales_rates: ClassVar[bool] = True

    mean: Float[Array, "*blocks periods items"]
    dispersion: Float[Array, "*blocks periods items"]
    law: Int[Array, "*blocks items"]

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        law = by_scenario(self.law, samples)
        counted, normal = law == LAWS.index("negative_binomial"), law == LAWS.index("normal")
        spread_out = counted | (law == LAWS.index("gamma"))

        def day(_: None, at: tuple) -> tuple[None, Array]:
            number, mean, dispersion, factor, *world = at
            uniform = [draws.uniform(TOTAL, 1, number, part)[0] for part in range(4)]
            rate = by_scenario(mean, samples) * factor
            if world:
                rate = rate * world[0]
            spread = by_scenario(dispersion, samples)
            # A negative binomial count is a Poisson count of a gamma mean.
            level = rate * unit_gamma(uniform[0], uniform[1], uniform[2], jnp.where(spread_out, spread, 0))
            bell = jnp.maximum(rate * (1 + jnp.sqrt(spread) * normals(uniform[0])), 0)
            count = poisson(uniform[3], level)
            return None, jnp.where(counted, count, jnp.where(normal, bell, level))

        shared = () if draws.world is None else (draws.world,)
        at = (jnp.arange(periods), self.mean[:periods], self.dispersion[:periods], draws.factor, *shared)
        return jax.lax.scan(day, None, at)[1]

    def mean_total(self) -> Float[Array, " items"]:
        return jnp.mean(self.mean, axis=0)

    def period_means(self, periods: int) -> Float[Array, "periods items"]:
        return self.mean[:periods]

    def variance_terms(self) -> Float[Array, "2 items"]:
        # Dispersion varies little over the horizon: its mean counts each period by the variance that it adds.
        spread = squared_spread(self.mean, self.dispersion * self.mean**2)
        fixed = self.law == LAWS.index("fixed")
        return jnp.where(fixed, 0, spread.at[0].set(self.whole().astype(spread.dtype)))

    def whole(self) -> Bool[Array, " items"]:
        return self.law == LAWS.index("negative_binomial")
