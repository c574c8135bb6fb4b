"""Random lead times of vendor offers and lanes, one draw per order."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from meio_jax.demand.base import LANE, VENDOR, Draws, by_scenario

LAWS = ("fixed", "gamma", "empirical")
_GAMMA, _EMPIRICAL = 1, 2


class LeadTimes(eqx.Module):
    """Lead-time laws of the offers of some items (item axis last) and of the lanes, in periods.

    `law` is a number in `LAWS`; row v of `vendor_cumulative` is the distribution function of vendor v over
    1..limit. Gamma lead times are rounded to whole periods; what falls outside 1..limit becomes 1 or the
    limit.
    """

    mean: Float[Array, "*blocks offers items"]
    sd: Float[Array, "*blocks offers items"]
    law: Int[Array, "*blocks offers items"]
    vendor: Int[Array, "*blocks offers items"]
    vendor_cumulative: Float[Array, "*blocks vendors limit"]
    lane_mean: Float[Array, "*blocks lanes"]
    lane_sd: Float[Array, "*blocks lanes"]
    limit: int = eqx.field(static=True)
    lane_limit: int = eqx.field(static=True)
    lanes_random: bool = eqx.field(static=True)

    def vendor_leads(self, draws: Draws, periods: int, samples: int) -> Int[Array, "periods offers batch"]:
        """Lead time of an order placed in each period through each offer, in [1, limit]."""
        offers = self.mean.shape[0]
        own = (self.mean, self.sd, self.law, self.vendor)
        mean, sd, law, vendor = (by_scenario(leaf, samples) for leaf in own)
        fixed = _whole(mean, self.limit)
        variance = jnp.where(law == _GAMMA, (sd / mean) ** 2, 0)
        shares = jnp.moveaxis(self.vendor_cumulative[self.vendor], -1, 0)
        any_gamma, any_recorded = jnp.any(variance > 0), jnp.any(law == _EMPIRICAL)

        def day(_: None, number: Array) -> tuple[None, Array]:
            def gamma() -> Array:
                return _whole(mean * draws.gamma(VENDOR, variance, number), self.limit)

            def recorded() -> Array:
                uniform = draws.uniform(VENDOR, offers, number)
                searched = partial(searched_lead, cumulative=self.vendor_cumulative, vendor=vendor)
                counted = partial(counted_lead, shares=shares)
                return jax.lax.platform_dependent(uniform, cpu=counted, default=searched)

            # What no entry of the block needs is skipped; that changes no entry, as none would have taken it.
            smooth = jax.lax.cond(any_gamma, gamma, lambda: fixed)
            observed = jax.lax.cond(any_recorded, recorded, lambda: fixed)
            return None, jnp.where(law == _EMPIRICAL, observed, jnp.where(variance > 0, smooth, fixed))

        return jax.lax.scan(day, None, jnp.arange(periods))[1]

    def lane_leads(self, draws: Draws, periods: int) -> Int[Array, "periods lanes batch"] | Int[Array, " lanes"]:
        """Lead time of each shipment; one number per lane where all lanes are deterministic."""
        fixed = _whole(self.lane_mean, self.lane_limit)
        if not self.lanes_random:
            return fixed
        mean = self.lane_mean[:, None]
        variance = (self.lane_sd[:, None] / mean) ** 2

        def day(_: None, number: Array) -> tuple[None, Array]:
            lead = _whole(mean * draws.gamma(LANE, variance, number), self.lane_limit)
            return None, jnp.where(variance > 0, lead, fixed[:, None])

        return jax.lax.scan(day, None, jnp.arange(periods))[1]


def searched_lead(
    uniform: Float[Array, "offers batch"],
    cumulative: Float[Array, "vendors limit"],
    vendor: Int[Array, "offers batch"],
) -> Int[Array, "offers batch"]:
    """Smallest lead time whose cumulative share, in its vendor's row, reaches the uniform (by bisection).

    The fewest kernels, for a GPU: `counted_lead` has one for every lead time.
    """
    limit = cumulative.shape[1]
    flat = cumulative.reshape(-1)
    low = jnp.zeros(uniform.shape, jnp.int32)
    high = jnp.full(uniform.shape, limit - 1, jnp.int32)
    for _ in range(max(limit - 1, 1).bit_length()):
        middle = (low + high) // 2
        reached = uniform <= flat[vendor * limit + middle]
        low, high = jnp.where(reached, low, jnp.minimum(middle + 1, high)), jnp.where(reached, middle, high)
    return low + 1


def counted_lead(
    uniform: Float[Array, "offers batch"], shares: Float[Array, "limit offers items"]
) -> Int[Array, "offers batch"]:
    """What `searched_lead` finds, by counting the lead times whose cumulative share is less than the uniform.

    A CPU compares rows several times as fast as it reads single entries: a search was half of the time of drawing.
    """
    limit, offers, items = shares.shape
    by_item = uniform.reshape(offers, items, -1)

    def count(number: Array, below: Array) -> Array:
        return below + (by_item > shares[number][..., None]).astype(jnp.int32)

    return jax.lax.fori_loop(0, limit - 1, count, jnp.ones(by_item.shape, jnp.int32)).reshape(uniform.shape)


def _whole(lead: Array, limit: int) -> Int[Array, "..."]:
    return jnp.clip(jnp.round(lead), 1, limit).astype(jnp.int32)
