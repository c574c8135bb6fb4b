"""Moments of stock after a period's demand, against integrals of the normal law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meio_kernels.expected_stock import after_demand
from scipy import integrate, stats

MEAN, VARIANCE, DEMAND, DEMAND_VARIANCE = 4.0, 3.0, 5.5, 6.0


def integral(power: int, waits: float) -> float:
    """Raw moment of what is left: all that is over, and of what is short the part that waits."""
    law = stats.norm(MEAN - DEMAND, np.sqrt(VARIANCE + DEMAND_VARIANCE))
    left = lambda x: (x if x > 0 else waits * x) ** power * law.pdf(x)
    return sum(integrate.quad(left, *ends)[0] for ends in ((-40, 0), (0, 40)))


def moments(*values: float) -> tuple[float, float]:
    mean, variance = after_demand(*(jnp.full((1,), value) for value in values))
    return float(mean[0]), float(variance[0])


@pytest.mark.parametrize("lost", [0.0, 0.3, 1.0])
def test_moments_are_those_of_the_clipped_normal(x64: None, lost: float) -> None:
    mean, variance = moments(MEAN, VARIANCE, DEMAND, DEMAND_VARIANCE, lost)
    first = integral(1, 1 - lost)
    np.testing.assert_allclose(mean, first, rtol=1e-9)
    np.testing.assert_allclose(variance, integral(2, 1 - lost) - first**2, rtol=1e-8)


@pytest.mark.parametrize(("stock", "lost", "left"), [(100.0, 1.0, 98.0), (0.0, 1.0, 0.0), (0.0, 0.0, -2.0)])
def test_certain_demand_is_taken_off(stock: float, lost: float, left: float) -> None:
    mean, variance = moments(stock, 0.0, 2.0, 0.0, lost)
    np.testing.assert_allclose((mean, variance), (left, 0), atol=1e-4)


def test_far_from_empty_nothing_is_rounded_away() -> None:
    """In float32, a thousand standard deviations away on either side."""
    np.testing.assert_allclose(moments(1000.0, 0.5, 10.0, 0.5, 1.0), (990, 1), rtol=1e-5)
    np.testing.assert_allclose(moments(-990.0, 0.5, 10.0, 0.5, 0.0), (-1000, 1), rtol=1e-5)


def test_derivative_is_finite_where_all_is_certain() -> None:
    slope = jax.grad(lambda stock: after_demand(stock, 0 * stock, 0 * stock, 0 * stock, 1 + 0 * stock)[0].sum())
    np.testing.assert_array_equal(np.isfinite(slope(jnp.asarray([0.0, 1.0, -1.0]))), True)
    np.testing.assert_allclose(slope(jnp.asarray([1.0])), 1)
