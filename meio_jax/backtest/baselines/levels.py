"""Stock levels of a single stocking point from the mean and variance of the demand that it must cover."""

import math

import numpy as np

from meio_jax.backtest.compiled import compiled

_COUNTED = 400.0  # means up to here use the exact discrete distribution


@compiled
def normal_quantile(p):
    """Standard normal quantile (Acklam's rational approximation, relative error below 2e-9)."""
    if p < 0.02425:
        q = math.sqrt(-2.0 * math.log(p))
        top = ((((-7.784894002430293e-3 * q - 0.3223964580411365) * q - 2.400758277161838) * q -
        2.549732539343734) * q
               + 4.374664141464968) * q + 2.938163982698783  # fmt: skip
        return top / ((((7.784695709041462e-3 * q + 0.3224671290700398) * q + 2.445134137142996) * q
                       + 3.754408661907416) * q + 1.0)  # fmt: skip
    if p > 1.0 - 0.02425:
        return -normal_quantile(1.0 - p)
    q = p - 0.5
    r = q * q
    top = ((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.357751867269) * r
           - 30.66479806614716) * r + 2.506628277459239  # fmt: skip
    low = ((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972)
    * r
           - 13.28068155288572) * r + 1.0  # fmt: skip
    return top * q / low


@compiled
def demand_quantile(mean, variance, p):
    """Least whole number with probability >= p: Poisson or negative binomial of these moments, and a gamma
    (Wilson and Hilferty) where the mean is large."""
    if mean <= 0.0 or p <= 0.0:
        return 0.0
    p = min(p, 1.0 - 1e-9)
    if mean > _COUNTED:
        shape = mean * mean / max(variance, 1e-9)
        root = 1.0 - 1.0 / (9.0 * shape) + normal_quantile(p) / (3.0 * math.sqrt(shape))
        return math.ceil(mean * max(root, 0.0) ** 3)
    excess = variance - mean
    total, k = 0.0, 0.0
    if excess <= 1e-9 * mean:
        mass = math.exp(-mean)
        while total + mass < p and k < 1e7:
            total += mass
            k += 1.0
            mass *= mean / k
        return k
    size, chance = mean * mean / excess, mean / variance
    mass = math.exp(size * math.log(chance))
    while total + mass < p and k < 1e7:
        total += mass
        mass *= (k + size) / (k + 1.0) * (1.0 - chance)
        k += 1.0
    return k


@compiled
def _fill(mean, variance, p, out):
    for k in range(len(out)):
        out[k] = demand_quantile(mean[k], variance[k], p[k])


def quantiles(mean: np.ndarray, variance: np.ndarray, p: np.ndarray) -> np.ndarray:
    """`demand_quantile` of arrays of any one shape."""
    shape = np.broadcast_shapes(mean.shape, variance.shape, p.shape)
    flat = [np.ascontiguousarray(np.broadcast_to(x, shape)).reshape(-1).astype(float) for x in (mean, variance, p)]
    out = np.zeros(flat[0].size)
    _fill(*flat, out)
    return out.reshape(shape)


@compiled
def _fill_normal(p, out):
    for k in range(len(out)):
        out[k] = normal_quantile(min(max(p[k], 1e-9), 1.0 - 1e-9))


def normal_quantiles(p: np.ndarray) -> np.ndarray:
    """Standard normal quantiles of an array."""
    out = np.zeros(p.size)
    _fill_normal(np.ascontiguousarray(p, float).reshape(-1), out)
    return out.reshape(p.shape)


def expected_left(level: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """E(level - demand)+ for normal demand; never less than 0."""
    sd = np.sqrt(np.maximum(variance, 1e-12))
    z = np.clip((level - mean) / sd, -8.0, 8.0)
    # Logistic form of the normal distribution function (error below 1.5e-4), enough for a capacity estimate.
    below = 1.0 / (1.0 + np.exp(-1.5976 * z - 0.07056 * z**3))
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return np.maximum(np.where(np.abs(level - mean) < 8 * sd, (level - mean) * below + sd * density, level - mean), 0)


def whole_shares(total: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Split whole totals `[...]` by `share [..., parts]` into whole parts, by largest remainder."""
    weight = share / np.maximum(share.sum(-1, keepdims=True), 1e-300)
    ideal = total[..., None] * weight
    parts = np.floor(ideal + 1e-9)
    missing = np.round(total - parts.sum(-1)).astype(int)
    rank = np.argsort(np.argsort(-(ideal - parts), axis=-1, kind="stable"), axis=-1, kind="stable")
    return parts + (rank < missing[..., None]) * (weight.sum(-1, keepdims=True) > 0)
