"""Fixed costs of orders under random demand: the size of orders against the best of all (s, S)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fixed_cost import System, best_reorder, cost_rates, lots

SYSTEM = System()
SIZE = math.sqrt(2 * SYSTEM.fixed * SYSTEM.mean / SYSTEM.holding)


@pytest.fixture(scope="module")
def best() -> float:
    return best_reorder(SYSTEM)


def test_the_economic_quantity_costs_little_more_than_the_best_of_all_rules(best: float) -> None:
    """An eighth is the most that it can cost (Zheng 1992); here it is little. An order a day costs far more."""
    levels = np.arange(4, 24)
    assert cost_rates(SYSTEM, lots(levels, SIZE), levels.size).min() < 1.03 * best
    assert cost_rates(SYSTEM, lots(levels, 1.0), levels.size).min() > 1.3 * best
