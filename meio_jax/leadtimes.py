"""Random lead times of vendor offers and lanes, one draw per order."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_jax.demand.base import LANE, VENDOR, Draws, by_scenario
from meio_kernels.inversion import rough_gamma

LAWS = ("fixed", "gamma", "empirical")


class LeadTimes(eqx.Module):
    """Lead-time laws of the offers of some items (item axis last) and of the lanes, in periods.

    `law` is a number in `LAWS`; row v of `vendor_cumulative` is the distribution function of vendor v over
    1..limit. Gamma lead times are rounded to whole periods, at least 1.
    """

    mean: Float[Array, "offers items"]
    sd: Float[Array, "offers items"]
    law: Int[Array, "offers items"]
    vendor: Int[Array, "offers items"]
    vendor_cumulative: Float[Array, "vendors limit"]
    lane_mean: Float[Array, " lanes"]
    lane_sd: Float[Array, " lanes"]
    limit: int = eqx.field(static=True)
    lane_limit: int = eqx.field(static=True)
    lanes_random: bool = eqx.field(static=True)

    def vendor_leads(self, draws: Draws, periods: int, samples: int) -> Int[Array, "periods offers batch"]:
        """Lead time of an order placed in each period through each offer, in [1, limit]."""
        offers = self.mean.shape[0]
        mean, sd, law, vendor = (by_scenario(leaf, samples) for leaf in (self.mean, self.sd, self.law, self.vendor))
        cumulative = jnp.moveaxis(self.vendor_cumulative[vendor], -1, 0)
        any_gamma, any_empirical = jnp.any(law == 1), jnp.any(law == 2)

        def day(_: None, number: Array) -> tuple[None, Array]:
            uniform = draws.uniform(VENDOR, offers, number)
            lead = jax.lax.cond(any_gamma, lambda u: _gamma_lead(u, mean, sd, law), lambda u: mean + 0 * u, uniform)
            empirical = jax.lax.cond(
                any_empirical,
                lambda u: 1 + jnp.sum(u > cumulative, axis=0).astype(u.dtype),
                lambda u: mean + 0 * u,
                uniform,
            )
            chosen = jnp.where(law == 2, empirical, lead)
            return None, jnp.clip(jnp.round(chosen), 1, self.limit).astype(jnp.int32)

        return jax.lax.scan(day, None, jnp.arange(periods))[1]

    def lane_leads(self, draws: Draws, periods: int) -> Int[Array, "periods lanes batch"] | Int[Array, " lanes"]:
        """Lead time of each shipment; one number per lane where all lanes are deterministic."""
        if not self.lanes_random:
            return jnp.clip(jnp.round(self.lane_mean), 1, self.lane_limit).astype(jnp.int32)
        lanes = self.lane_mean.shape[0]

        def day(_: None, number: Array) -> tuple[None, Array]:
            uniform = draws.uniform(LANE, lanes, number)
            lead = _gamma_lead(uniform, self.lane_mean[:, None], self.lane_sd[:, None], jnp.ones((), int))
            return None, jnp.clip(jnp.round(lead), 1, self.lane_limit).astype(jnp.int32)

        return jax.lax.scan(day, None, jnp.arange(periods))[1]


def _gamma_lead(uniform: Array, mean: Array, sd: Array, law: Array) -> Array:
    variance = jnp.where(law == 1, (sd / mean) ** 2, 0)
    return mean * jnp.where(variance > 0, rough_gamma(uniform, jnp.maximum(variance, 1e-6) + 0 * uniform), 1)
