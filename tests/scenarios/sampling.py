"""Small inputs for the scenario tests, and one call that samples them."""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.demand import AbstractDemand, FewPathDemand, HistoryDemand, MeanDemand, PathDemand, QuantileDemand
from meio_jax.demand.few_paths import fitted_law
from meio_jax.scenarios import TRAINING, Scenarios, ScenarioSettings, item_keys, sample_scenarios
from meio_jax.scenarios.leadtimes import LeadTimes

PERIODS = 9
LEVELS = np.arange(1, 20) / 20

_sample = eqx.filter_jit(sample_scenarios)


def names(count: int) -> list[str]:
    return [f"item-{number}" for number in range(count)]


def mean_demand(mean, dispersion, law=0, *, items: int = 1, periods: int = PERIODS, dtype=np.float32) -> MeanDemand:
    """Constant mean and dispersion; each may be one number or one per item."""
    wide = [np.broadcast_to(np.asarray(value, dtype), (periods, items)) for value in (mean, dispersion)]
    return MeanDemand(*map(jnp.asarray, wide), jnp.asarray(np.broadcast_to(np.int32(law), items)))


def few_paths(samples: np.ndarray) -> FewPathDemand:
    """A law fitted to half of the paths `[paths, periods, items]`."""
    mean, spread, law, lasting = fitted_law(samples, samples.shape[1])
    floats = [jnp.asarray(leaf, jnp.float32) for leaf in (samples, mean, spread, lasting)]
    return FewPathDemand(PathDemand(floats[0]), MeanDemand(*floats[1:3], jnp.asarray(law, jnp.int32)), floats[3])


def forms(items: int, rng: np.random.Generator, periods: int = PERIODS) -> dict[str, AbstractDemand]:
    """One demand model of each form, slow and fast items mixed."""
    rate = np.exp(rng.normal(1, 1.5, items))
    law = rng.integers(0, 4, items).astype(np.int32)
    spread = rng.uniform(0, 3, items) * (rng.random(items) < 0.8)
    quantiles = np.sort(rng.gamma(2, rate / 2, (LEVELS.size, periods, items)), axis=0)
    first = rng.integers(0, 45, items).astype(np.int32)
    as_float = functools.partial(jnp.asarray, dtype=jnp.float32)
    return {
        "mean": mean_demand(rate, spread, law, items=items, periods=periods),
        "paths": PathDemand(as_float(rng.poisson(rate, (6, periods, items)))),
        "few_paths": few_paths(rng.poisson(rate, (6, periods, items))),
        "quantiles": QuantileDemand(as_float(quantiles), as_float(LEVELS), 0.4),
        "history": HistoryDemand(as_float(rng.poisson(rate, (50, items))), jnp.asarray(first), 7),
    }


def lead_times(items: int, rng: np.random.Generator | None = None, offers: int = 3, limit: int = 40) -> LeadTimes:
    """Ten-day fixed lead times, or with a generator all three laws mixed and random lanes."""
    mean, sd = np.full((offers, items), 10.0), np.zeros((offers, items))
    law, vendor = np.zeros((offers, items), np.int32), np.zeros((offers, items), np.int32)
    lane_sd = np.zeros(2)
    weight = np.ones((2, limit))
    if rng is not None:
        mean, sd = rng.uniform(1, 20, mean.shape), rng.uniform(0, 8, mean.shape)
        law, vendor = (rng.integers(0, top, mean.shape).astype(np.int32) for top in (3, 2))
        lane_sd, weight = np.asarray([1.5, 0.0]), rng.random((2, limit))
    cumulative = np.cumsum(weight / weight.sum(1, keepdims=True), 1)
    floats = [jnp.asarray(leaf, jnp.float32) for leaf in (mean, sd, cumulative, np.asarray([3.0, 2.0]), lane_sd)]
    return LeadTimes(
        *floats[:2], jnp.asarray(law), jnp.asarray(vendor), *floats[2:], limit, 9, bool((lane_sd > 0).any())
    )


def shares_of(items: int, rng: np.random.Generator, shape: tuple[int, int, int] = (2, 2, 3)) -> jax.Array:
    """Random shares; the last region of every item has none."""
    raw = rng.dirichlet(np.full(np.prod(shape), 0.7), items).T.reshape(*shape, items)
    raw[:, :, -1] = 0
    return jnp.asarray(raw / raw.sum((0, 1, 2)), jnp.float32)


def sample(
    demand: AbstractDemand,
    *,
    scenarios: int | np.ndarray = 64,
    shares: jax.Array | None = None,
    leads: LeadTimes | None = None,
    ids: list[str] | None = None,
    cv: float = 0.0,
    seed: int = 3,
    purpose: int = TRAINING,
    periods: int = PERIODS,
    world: float = 0.0,
) -> Scenarios:
    """Sample under jit (compiled once per form and shape); without shares there is one class."""
    items = demand.mean_total().shape[0]
    shares = jnp.ones((1, 1, 1, items), demand.mean_total().dtype) if shares is None else shares
    numbers = jnp.arange(scenarios) if isinstance(scenarios, int) else jnp.asarray(scenarios)
    keys = jnp.asarray(item_keys(ids or names(items)))
    return _sample(
        ScenarioSettings(periods, seed, cv, world_factor_cv=world),
        demand,
        shares,
        leads or lead_times(items),
        keys,
        numbers,
        purpose,
    )


def totals(demand: AbstractDemand, **options) -> np.ndarray:
    """Totals `[periods, items, scenarios]` in float64."""
    drawn = np.asarray(sample(demand, **options).demand, np.float64).sum((1, 2, 3))
    return drawn.reshape(drawn.shape[0], demand.mean_total().shape[0], -1)
