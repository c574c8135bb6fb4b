"""How the Monte-Carlo error of a plan's cost falls with the number of scenarios: as n^-1/2 if they are independent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from solvers.stockpyl_simulation import SYSTEMS, System, model_of, ours

SCENARIOS = 2**14
SIZES = (8, 16, 32, 64, 128, 256)


def slope(costs: np.ndarray, sizes: tuple[int, ...]) -> float:
    """Slope of log(error) over log(n): errors are root mean squares of batch means about the mean of all."""
    errors = [np.sqrt(np.mean((costs.reshape(-1, n).mean(axis=1) - costs.mean()) ** 2)) for n in sizes]
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def measure(system: System, scenarios: int = SCENARIOS, sizes: tuple[int, ...] = SIZES) -> dict:
    """The slope on one system, and where it would lie were the scenarios independent (shuffled, 200 times)."""
    costs, _ = ours(model_of(system), system, scenarios)
    rng = np.random.default_rng(0)
    shuffled = [slope(rng.permutation(costs), sizes) for _ in range(200)]
    low, high = np.quantile(shuffled, [0.005, 0.995])
    found = slope(costs, sizes)
    return {
        "family": "Monte-Carlo rate",
        "instance": system.name,
        "slope": found,
        "interval_low": float(low),
        "interval_high": float(high),
        "met": bool(low <= found <= high and abs(found + 0.5) < 0.1),
    }


def measure_all() -> Iterator[dict]:
    """A serial and a distribution system."""
    return (measure(system) for system in (SYSTEMS[0], SYSTEMS[3]))
