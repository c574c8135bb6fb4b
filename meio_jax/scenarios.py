"""Demand and lead-time scenarios, keyed by (seed, item id, scenario): the same for an item wherever it is drawn."""

import hashlib
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from meio_jax.demand.base import FACTOR, REGION, SPLIT, AbstractDemand, Draws, by_scenario
from meio_jax.leadtimes import LeadTimes
from meio_kernels.inversion import poisson, unit_gamma
from meio_kernels.random import as_words, derive

TRAINING, HOLDOUT = 0, 1
SLOW_BELOW = 4.0
UNITS_APART = 8
_WEEK = 7


class Scenarios(eqx.Module):
    """Sampled demand by class, and the lead time of what is ordered in each period (units and periods)."""

    demand: Float[Array, "*lead periods waves speeds regions batch"]
    vendor_lead: Int[Array, "*lead periods offers batch"]
    lane_lead: Int[Array, "*lead periods lanes batch"] | Int[Array, "*lead lanes"]


class ScenarioSettings(eqx.Module):
    """Length of the horizon, seed, and the coefficient of variation of the shared gamma factors (0: none)."""

    periods: int = eqx.field(static=True)
    seed: int = eqx.field(static=True, default=0)
    shared_factor_cv: float = eqx.field(static=True, default=0.0)


def item_keys(ids: Sequence[str]) -> np.ndarray:
    """Two 32-bit words per item id, from a hash that is the same on every machine: `[items, 2]`."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype="<u4").reshape(-1, 2).copy()


def _draws(
    settings: ScenarioSettings, keys: Array, scenario_ids: Array, purpose: int, dtype: jnp.dtype
) -> Draws:
    samples, periods = scenario_ids.shape[0], settings.periods
    item = tuple(jnp.repeat(keys[:, word], samples) for word in range(2))
    scenario = jnp.tile(scenario_ids.astype(jnp.uint32), keys.shape[0])
    low, high = as_words(settings.seed)
    key = derive(derive(item, low, high), scenario, jnp.uint32(purpose))
    blank = Draws(key, scenario, jnp.ones((periods, scenario.shape[0]), dtype), holdout=purpose == HOLDOUT)
    if settings.shared_factor_cv == 0:
        return blank
    weeks = -(-periods // _WEEK)
    uniform = blank.uniform(FACTOR, weeks)
    factor = unit_gamma(uniform, jnp.full_like(uniform, settings.shared_factor_cv**2))
    return Draws(key, scenario, jnp.repeat(factor, _WEEK, axis=0)[:periods], holdout=purpose == HOLDOUT)


def split_units(
    total: Float[Array, " batch"],
    cumulative: Float[Array, "classes batch"],
    uniform: Float[Array, "units batch"],
) -> Float[Array, "classes batch"]:
    """Give each unit of a whole total to a class drawn for it; more units than draws share the draws evenly.

    Totals are kept exactly and every class gets a whole number.
    """
    count = uniform.shape[0]
    whole = jnp.floor(total / count)
    rest = total - whole * count
    row = jnp.arange(count, dtype=total.dtype)[:, None]
    weight = whole + jnp.where(row < rest, 1, 0)
    below = jnp.zeros_like(cumulative)
    for unit in range(count):
        below = below + jnp.where(uniform[unit] <= cumulative, weight[unit], 0)
    return jnp.diff(below, axis=0, prepend=jnp.zeros_like(below[:1]))


def split_fluid(
    total: Float[Array, " batch"], share: Float[Array, "classes batch"], uniform: Float[Array, "classes batch"]
) -> Float[Array, "classes batch"]:
    """Split a total in proportion to Poisson counts of its expected parts.

    Given their sum, such counts are multinomial, so shares are unbiased and vary as the shares of whole orders do;
    the total is kept exactly.
    """
    counts = poisson(uniform, total * share)
    known = jnp.sum(counts, axis=0)
    return total * jnp.where(known > 0, counts / jnp.where(known > 0, known, 1), share)


def _tilted(settings: ScenarioSettings, draws: Draws, share: Array, week: Array) -> Array:
    """Shares `[waves, speeds, regions, batch]` with this week's regional factors, normalised."""
    if settings.shared_factor_cv == 0:
        return share
    uniform = draws.uniform(REGION, share.shape[2], week)
    factor = unit_gamma(uniform, jnp.full_like(uniform, settings.shared_factor_cv**2))
    tilted = share * factor
    return tilted / jnp.maximum(jnp.sum(tilted, axis=(0, 1, 2)), 1e-30)


def _split_period(total: Array, share: Array, slow: Array, draws: Draws, period: Array) -> Array:
    """Demand by class of one period: whole units for slow movers, fluid for the rest."""
    flat = share.reshape(-1, share.shape[-1])
    classes = flat.shape[0]
    if classes == 1:
        return (flat * total).reshape(share.shape)
    # The last class ends at exactly 1 whatever rounding did to the sum, so that no unit gets lost.
    cumulative = jnp.cumsum(flat, axis=0).at[-1].set(1)

    def in_units() -> Array:
        return split_units(total, cumulative, draws.uniform(SPLIT, UNITS_APART, period))

    def in_fluid() -> Array:
        return split_fluid(total, flat, draws.uniform(SPLIT, classes, period))

    whole = jax.lax.cond(jnp.any(slow), in_units, lambda: jnp.zeros_like(flat))
    fluid = jax.lax.cond(jnp.all(slow), lambda: jnp.zeros_like(flat), in_fluid)
    return jnp.where(slow, whole, fluid).reshape(share.shape)


def sample_scenarios(
    settings: ScenarioSettings,
    demand: AbstractDemand,
    shares: Float[Array, "waves speeds regions items"],
    leads: LeadTimes,
    keys: UInt32[Array, "items 2"],
    scenario_ids: Int[Array, " scenarios"],
    purpose: int,
) -> Scenarios:
    """Draw scenarios of a block of items.

    Args:
        settings: Horizon, seed and correlation.
        demand: Forecast of the items.
        shares: Split of an item's demand; sums to 1 over the first three axes.
        leads: Lead-time laws.
        keys: `item_keys` of the items.
        scenario_ids: Numbers of the scenarios to draw.
        purpose: TRAINING or HOLDOUT; the two never share a draw.

    Returns:
        Scenarios with the item-major batch axis last. An item's columns depend only on the settings, its own
        forecast, shares, laws and key, and the scenario number.
    """
    samples, periods = scenario_ids.shape[0], settings.periods
    draws = _draws(settings, keys, scenario_ids, purpose, shares.dtype)
    total = demand.totals(draws, periods, samples)
    slow = by_scenario(demand.whole() & (demand.mean_total() < SLOW_BELOW), samples)
    share = by_scenario(shares, samples)

    def day(_: None, at: tuple) -> tuple[None, Array]:
        period, units = at
        tilted = _tilted(settings, draws, share, period // _WEEK)
        return None, _split_period(units, tilted, slow, draws, period)

    classes = jax.lax.scan(day, None, (jnp.arange(periods), total))[1]
    return Scenarios(classes, leads.vendor_leads(draws, periods, samples), leads.lane_leads(draws, periods))
