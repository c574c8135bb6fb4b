"""Projections against their definition: the nearest point of the set."""

import jax
import jax.numpy as jnp
import numpy as np
from helpers import close
from hypothesis import given, settings
from hypothesis import strategies as st
from meio_kernels.projection import nonnegative, simplex

ROUNDING = 1e-12


def test_nonnegative_keeps_and_clips() -> None:
    close(nonnegative(jnp.asarray([-1.0, 0.0, 2.0])), np.asarray([0.0, 0.0, 2.0]), tolerance=0)


@given(seed=st.integers(0, 2**31), entries=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_simplex_is_the_nearest_point(seed: int, entries: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(entries, 3)) * 2
    with jax.enable_x64(True):
        nearest = np.asarray(simplex(jnp.asarray(values)))
    assert nearest.min() >= 0
    close(nearest.sum(0), np.ones(3), tolerance=ROUNDING)
    # Optimality: (values - nearest) . (other - nearest) <= 0 for every other point of the simplex.
    for other in [*np.eye(entries), rng.dirichlet(np.ones(entries))]:
        inner = ((values - nearest) * (other[:, None] - nearest)).sum(0)
        assert inner.max() <= 1e-10


def test_simplex_keeps_points_of_the_simplex(x64: None) -> None:
    inside = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(4), 3).T)
    close(simplex(inside), inside, tolerance=ROUNDING)
