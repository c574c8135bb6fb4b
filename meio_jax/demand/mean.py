"""Form (c): mean and dispersion per item and period."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from meio_jax.demand.base import TOTAL, AbstractDemand, Draws, by_scenario
from meio_kernels.inversion import negative_binomial, unit_gamma
from meio_kernels.random import normals

LAWS = ("negative_binomial", "normal", "gamma", "fixed")


class MeanDemand(AbstractDemand):
    """Independent days with a given mean, dispersion and law (a number in `LAWS`).

    negative_binomial: variance mean + dispersion x mean^2 (0: Poisson);
    normal: variance dispersion x mean^2, clipped at zero; gamma: the same variance; fixed: always the mean.
    """

    mean: Float[Array, "periods items"]
    dispersion: Float[Array, "periods items"]
    law: Int[Array, " items"]

    def totals(self, draws: Draws, periods: int, samples: int) -> Float[Array, "periods batch"]:
        law = by_scenario(self.law, samples)

        def day(_: None, at: tuple) -> tuple[None, Array]:
            number, mean, dispersion, factor = at
            uniform = draws.uniform(TOTAL, 1, number)[0]
            rate = by_scenario(mean, samples) * factor
            spread = by_scenario(dispersion, samples)
            counts = negative_binomial(uniform, rate, jnp.where(law == 0, spread, 0))
            normal = jnp.maximum(rate * (1 + jnp.sqrt(spread) * normals(uniform)), 0)
            gammas = rate * unit_gamma(uniform, jnp.where(law == 2, spread, 0))
            values = jnp.select([law == 0, law == 1, law == 2], [counts, normal, gammas], rate)
            return None, values

        at = (jnp.arange(periods), self.mean, self.dispersion, draws.factor)
        return jax.lax.scan(day, None, at)[1]

    def mean_total(self) -> Float[Array, " items"]:
        return jnp.mean(self.mean, axis=0)

    def whole(self) -> Bool[Array, " items"]:
        return self.law == LAWS.index("negative_binomial")
