"""Rows added to rows: both ways of adding, and the derivative, against a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meio_kernels import rows
from meio_kernels.rows import add_rows

TARGETS = [(0, 2, 1), (1, 1, 3, 1), (), (3,)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("way", ["_adding", "_reading"])
def test_every_source_is_added_to_its_row(target: tuple[int, ...], way: str) -> None:
    base = np.arange(20, dtype=np.float32).reshape(4, 5)
    values = np.arange(1, 1 + 5 * len(target), dtype=np.float32).reshape(len(target), 5)
    expected = base.copy()
    for source, row in enumerate(target):
        expected[row] += values[source]
    given = jnp.asarray(base), jnp.asarray(values)
    np.testing.assert_array_equal(add_rows(*given, target), expected)
    if target:
        np.testing.assert_array_equal(getattr(rows, way)(*given, target), expected)


def test_sources_have_the_derivative_of_their_rows() -> None:
    base, values, target = jnp.zeros((3, 2)), jnp.ones((4, 2)), (2, 0, 2, 1)
    weight = jnp.asarray([[1, 2], [3, 4], [5, 6]], jnp.float32)
    of_base, of_values = jax.grad(lambda b, v: (add_rows(b, v, target) * weight).sum(), (0, 1))(base, values)
    np.testing.assert_array_equal(of_base, weight)
    np.testing.assert_array_equal(of_values, np.asarray(weight)[[2, 0, 2, 1]])
