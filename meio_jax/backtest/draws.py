"""Counter-based random draws for the simulator, keyed by what they are for and never by position.

A *state* is a 64-bit unsigned integer; `key(state, word)` derives an independent one. Samplers take a state
and return `(state, value)`. Generator: SplitMix64 (Steele, Lea and Flood 2014).
"""

import math

import numpy as np

from meio_jax.backtest.compiled import compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 1.0 / 9007199254740992.0

# What a key is for: different purposes never share draws.
DEMAND, SPLIT, FACTOR, TILT, VENDOR_LEAD, LANE_LEAD, SHARES, TIES, SHORT, UNLOAD, WORLD = range(1, 12)


@compiled
def scramble(state):
    """SplitMix64 output function."""
    z = (state ^ (state >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@compiled
def key(state, word):
    """A state derived from a state and an integer word."""
    return scramble((state ^ scramble(np.uint64(word) * _GOLDEN + _M2)) + _GOLDEN)


@compiled
def uniform(state):
    """A draw from [0, 1)."""
    state = state + _GOLDEN
    return state, np.float64(scramble(state) >> _S11) * _UNIT


@compiled
def normal(state):
    """A standard normal draw (Box and Muller)."""
    state, u = uniform(state)
    state, v = uniform(state)
    return state, math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)


@compiled
def gamma(state, shape):
    """A gamma draw of scale 1 (Marsaglia and Tsang 2000)."""
    boost = 1.0
    if shape < 1.0:
        state, u = uniform(state)
        boost = (1.0 - u) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        state, x = normal(state)
        v = (1.0 + c * x) ** 3
        if v <= 0.0:
            continue
        state, u = uniform(state)
        if math.log(1.0 - u) < 0.5 * x * x + d - d * v + d * math.log(v):
            return state, boost * d * v


@compiled
def poisson(state, mean):
    """A Poisson draw: by counting below 30, by transformed rejection (Hörmann 1993, PTRS) above."""
    if mean <= 0.0:
        return state, 0
    if mean < 30.0:
        count, product, floor = 0, 1.0, math.exp(-mean)
        while True:
            state, u = uniform(state)
            product *= 1.0 - u
            if product <= floor:
                return state, count
            count += 1
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    bound = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        state, u = uniform(state)
        state, v = uniform(state)
        u -= 0.5
        v = 1.0 - v
        us = 0.5 - abs(u)
        k = math.floor((2.0 * a / us + b) * u + mean + 0.43) if us > 0.0 else -1.0
        if us >= 0.07 and v <= bound:
            return state, int(k)
        if k < 0.0 or (us < 0.013 and v > us):
            continue
        if math.log(v * inverse_alpha / (a / (us * us) + b)) <= k * math.log(mean) - mean - math.lgamma(k + 1.0):
            return state, int(k)


@compiled
def whole(state, units):
    """An integer with that mean: rounded up with the probability of the fraction."""
    floor = math.floor(units)
    state, u = uniform(state)
    return state, int(floor) + (1 if u < units - floor else 0)


@compiled
def lead_days(state, mean, spread, limit):
    """A lead time in whole days, at least 1: gamma of that mean and deviation (0: fixed)."""
    days = mean
    if spread > 0.0:
        shape = (mean / spread) ** 2
        state, draw = gamma(state, shape)
        days = draw * mean / shape
    return min(max(math.floor(days + 0.5), 1), limit)


def derived(state: int | np.uint64, *words: int) -> np.uint64:
    """`key` for callers outside compiled code: the state derived from several words in turn."""
    out = np.uint64(state)
    for word in words:
        out = np.uint64(key(out, np.uint64(word)))
    return out
