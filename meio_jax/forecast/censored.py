"""Periods in which an item ran out: sales are the least that demand can have been, not demand."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaincc
from jaxtyping import Float

from meio_jax.forecast.panel import Panel

_TAIL = 1e-5


def mean_above(
    least: Float[np.ndarray, " cells"], mean: Float[np.ndarray, " cells"], variance: Float[np.ndarray, " cells"]
) -> Float[np.ndarray, " cells"]:
    """Mean of a gamma law given that it is at least `least`.

    For shape k and scale s it is k s Q(k + 1, x / s) / Q(k, x / s), with Q the upper incomplete gamma function. Far in
    the tail, where Q has no digits left, the law is exponential: `least` + s.
    """
    scale = variance / mean
    shape = mean / scale
    at = np.minimum(least / scale, 1e4)
    upper, above = (np.asarray(gammaincc(jnp.asarray(k), jnp.asarray(at)), float) for k in (shape, shape + 1))
    there = upper > _TAIL
    return np.where(there, mean * above / np.where(there, upper, 1.0), least + scale)


def fill_in(panel: Panel, expected: Float[np.ndarray, "items past"], spread: Float[np.ndarray, " items"]) -> Panel:
    """The panel with the mean of demand in place of the sales of periods in which the item ran out but sold something.

    A period without any sale in which the item was out of stock says nothing, and stays unknown.

    Args:
        panel: Past sales.
        expected: What was to be expected of every period before it.
        spread: `one_ahead` spread of every item.
    """
    where = (panel.least > 0) & (expected > 0)
    if not where.any():
        return panel
    item = np.nonzero(where)[0]
    mean = expected[where]
    demand = mean_above(panel.least[where], mean, mean + spread[item] * mean**2)
    units = panel.units.copy()
    units[where] = np.maximum(demand, panel.least[where])
    return dataclasses.replace(panel, units=units, known=panel.known | where, least=np.zeros_like(panel.least))
