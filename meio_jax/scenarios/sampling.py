"""Demand and lead-time scenarios, keyed by (seed, item id, scenario): the same for an item in any block."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32
from meio_kernels.draws import cumulative_share, spread_units
from meio_kernels.random import as_words, derive

from meio_jax.demand.base import FACTOR, REGION, SPLIT, AbstractDemand, Draws, by_scenario, in_world
from meio_jax.scenarios.leadtimes import LeadTimes
from meio_jax.scenarios.worlds import world_factors

# What scenarios are for; no two purposes share a draw. Plans are optimised on the first, judged on the second, and
# compared with each other on the third.
TRAINING, HOLDOUT, VALIDATION = 0, 1, 2
# Not a number that means are likely to be, since rounding must not decide.
SLOW_BELOW = 3.999
UNITS_APART = 16
# Compilers give the odd end of a short row other instructions, which can differ in the last bit: batches are
# drawn in multiples of this many columns, so that block size never shows.
_WIDTH = 16
_LARGEST_FACTOR = 100.0


def purpose_of(purpose: int) -> UInt32[Array, ""]:
    """What scenarios are for, as an argument: one compiled program draws those of all purposes."""
    return jnp.asarray(purpose, jnp.uint32)


class Scenarios(eqx.Module):
    """Sampled demand by class, and the lead time of what is ordered in each period (units and periods)."""

    demand: Float[Array, "*lead periods waves speeds regions batch"]
    vendor_lead: Int[Array, "*lead periods offers batch"]
    lane_lead: Int[Array, "*lead periods lanes batch"] | Int[Array, "*lead lanes"]


class ScenarioSettings(eqx.Module):
    """Length of the horizon, seed, the coefficient of variation of the gamma factors that the regions and days of an
    item share (0: none), and how many periods share one: the days of a week, or a single longer period. The factor that
    all items share in a scenario has a coefficient of variation (0: none) and a persistence of its own.
    """

    periods: int = eqx.field(static=True)
    seed: int = eqx.field(static=True, default=0)
    shared_factor_cv: float = eqx.field(static=True, default=0.0)
    factor_periods: int = eqx.field(static=True, default=7)
    world_factor_cv: float = eqx.field(static=True, default=0.0)
    world_factor_persistence: float = eqx.field(static=True, default=1.0)


def item_keys(ids: Sequence[str]) -> UInt32[np.ndarray, "items 2"]:
    """Two 32-bit words per item id, from a hash that is the same on every machine."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype="<u4").reshape(-1, 2).copy()


def _draws(
    settings: ScenarioSettings, keys: Array, scenario_ids: Array, purpose: Array | int, dtype: jnp.dtype
) -> Draws:
    samples, periods = scenario_ids.shape[0], settings.periods
    item = (jnp.repeat(keys[:, 0], samples), jnp.repeat(keys[:, 1], samples))
    scenario = jnp.tile(scenario_ids.astype(jnp.uint32), keys.shape[0])
    low, high = as_words(settings.seed)
    purpose = jnp.asarray(purpose, jnp.uint32)
    key = derive(derive(item, low, high), scenario, purpose)
    draws = Draws(key, scenario, jnp.ones((periods, scenario.shape[0]), dtype), purpose)
    if settings.world_factor_cv > 0:
        draws = replace(draws, world=_worlds(settings, keys, scenario_ids, purpose, dtype))
    if settings.shared_factor_cv == 0:
        return draws
    return eqx.tree_at(lambda d: d.factor, draws, _by_period(settings, _factors(settings, draws, FACTOR, 1)[:, 0]))


def _worlds(
    settings: ScenarioSettings, keys: Array, scenario_ids: Array, purpose: Array, dtype: jnp.dtype
) -> Float[Array, "periods batch"]:
    """The factor that all items share, by period."""
    law = (settings.world_factor_cv, settings.world_factor_persistence, _weeks(settings), settings.seed)
    return jnp.tile(_by_period(settings, world_factors(*law, scenario_ids, purpose, dtype)), keys.shape[0])


def _by_period(settings: ScenarioSettings, weekly: Float[Array, "weeks batch"]) -> Float[Array, "periods batch"]:
    return jnp.repeat(weekly, settings.factor_periods, axis=0)[: settings.periods]


def _weeks(settings: ScenarioSettings) -> int:
    return -(-settings.periods // settings.factor_periods)


def _factors(settings: ScenarioSettings, draws: Draws, use: np.uint32, rows: int) -> Float[Array, "weeks rows batch"]:
    """Weekly gamma factors of mean 1 and the settings' coefficient of variation."""
    variance = jnp.full((rows, 1), settings.shared_factor_cv**2, draws.factor.dtype)
    return jax.lax.map(lambda week: draws.gamma(use, variance, week), jnp.arange(_weeks(settings)))


def _tilted(
    share: Float[Array, "waves speeds regions batch"], factor: Float[Array, "regions batch"]
) -> Float[Array, "waves speeds regions batch"]:
    """Shares with a week's regional factors, normalised again."""
    tilted = share * jnp.minimum(factor, _LARGEST_FACTOR)[None, None]
    # Added up in whole parts of 2^-24, which no order of addition changes: compilers choose it by block size.
    parts = jnp.round(tilted * 2.0**24).astype(jnp.int32)
    total = jnp.sum(parts, axis=(0, 1, 2), keepdims=True, dtype=jnp.int32).astype(share.dtype) * 2.0**-24
    return jnp.where(total > 0, tilted / jnp.where(total > 0, total, 1), share)


def _split(
    settings: ScenarioSettings, draws: Draws, total: Float[Array, "periods batch"], share: Array, whole: Array
) -> Float[Array, "periods waves speeds regions batch"]:
    """Demand by class: every period's total is spread over the classes by the (weekly tilted) shares."""
    shape = share.shape
    classes = math.prod(shape[:-1])
    if classes == 1:
        return total.reshape(-1, *shape)
    if settings.shared_factor_cv > 0:
        factor = _factors(settings, draws, REGION, shape[2])

    def ends(week: Array) -> Float[Array, "classes batch"]:
        tilted = share if settings.shared_factor_cv == 0 else _tilted(share, factor[week])
        return cumulative_share(tilted.reshape(classes, -1))

    def day(current: Array, at: tuple) -> tuple[Array, Array]:
        period, units = at
        if settings.shared_factor_cv > 0:
            new_week = period % settings.factor_periods == 0
            current = jax.lax.cond(new_week, lambda: ends(period // settings.factor_periods), lambda: current)
        uniform = draws.uniform(SPLIT, UNITS_APART + 1, period)
        return current, spread_units(units, whole, current, uniform).reshape(shape)

    return jax.lax.scan(day, ends(jnp.zeros((), jnp.int32)), (jnp.arange(settings.periods), total))[1]


def _narrowed(leaf: Array, items: int, samples: int) -> Array:
    """The first scenarios of every item; a leaf without a batch axis as it is."""
    if leaf.ndim == 1:
        return leaf
    return leaf.reshape(*leaf.shape[:-1], items, leaf.shape[-1] // items)[..., :samples].reshape(
        *leaf.shape[:-1], items * samples
    )


def sample_scenarios(
    settings: ScenarioSettings,
    demand: AbstractDemand,
    shares: Float[Array, "waves speeds regions items"],
    leads: LeadTimes,
    keys: UInt32[Array, "items 2"],
    scenario_ids: Int[Array, " scenarios"],
    purpose: UInt32[Array, ""] | int,
) -> Scenarios:
    """Draw scenarios of a block of items.

    Args:
        settings: Horizon, seed and correlation.
        demand: Forecast of the items.
        shares: Split of an item's demand; sums to 1 over the first three axes.
        leads: Lead-time laws.
        keys: `item_keys` of the items.
        scenario_ids: Numbers of the scenarios to draw.
        purpose: TRAINING, HOLDOUT or VALIDATION; they never share a draw. One program draws for all of them if it is
            an array.

    Returns:
        Scenarios with the item-major batch axis last. An item's columns depend only on the settings, its own
        forecast, shares, laws and key, and the scenario number.
    """
    samples, periods = scenario_ids.shape[0], settings.periods
    spare = -samples % (_WIDTH // math.gcd(keys.shape[0], _WIDTH))
    if spare:
        wider = jnp.concatenate([scenario_ids, jnp.zeros(spare, scenario_ids.dtype)])
        drawn = sample_scenarios(settings, demand, shares, leads, keys, wider, purpose)
        return jax.tree.map(lambda leaf: _narrowed(leaf, keys.shape[0], samples), drawn)
    draws = _draws(settings, keys, scenario_ids, purpose, shares.dtype)
    total = in_world(demand, draws, demand.totals(draws, periods, samples), samples)
    slow = by_scenario(demand.whole() & (demand.mean_total() < SLOW_BELOW), samples)
    classes = _split(settings, draws, total, by_scenario(shares, samples), slow)
    return Scenarios(classes, leads.vendor_leads(draws, periods, samples), leads.lane_leads(draws, periods))
