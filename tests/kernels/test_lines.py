"""Order lines against what they count by hand, and the slope that stands in for that of a count."""

import jax
import jax.numpy as jnp
import numpy as np
from meio_kernels.lines import order_lines


def test_an_order_is_one_line_whatever_its_units() -> None:
    units = jnp.asarray([[0.0, 30.0, 1.0, 500.0], [0.25, 0.0, 0.0, 2.5]])
    np.testing.assert_allclose(order_lines(units, 4), [[0, 1, 1, 1], [0.25, 0, 0, 1]])


def test_the_slope_is_that_of_the_lines_of_a_unit_over_the_scenarios_of_an_item() -> None:
    # Two items of three scenarios: 2 lines of 90 units, and 3 of 3; the second source has no order of the first item.
    units = jnp.asarray([[0.0, 30.0, 60.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 4.0, 0.0, 4.0]])
    slope = jax.grad(lambda seen: jnp.sum(order_lines(seen, 3)))(units)
    np.testing.assert_allclose(slope, [[2 / 90] * 3 + [1] * 3, [0] * 3 + [2 / 8] * 3], rtol=1e-6)
