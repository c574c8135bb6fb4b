"""The bound of a system by a reference policy, held against the exact optimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meio_jax.certify.order_penalties import LostSales, clairvoyant_costs, penalised_least_costs
from relaxation_parts.chain import HOLDING, Chain
from relaxation_parts.paths import ExactValues, Paths, simulate, start

_CHOOSING, _CHOOSING_SEED, _FIRST_SEED = 4000, 1_000_000, 1
_Z99 = 2.326


@dataclass(frozen=True)
class Study:
    """A system, the reference policy, next receipts in the inner state, and scenarios that a bound is the mean of."""

    chain: Chain
    policy: np.ndarray
    near: int
    scenarios: int

    def site(self) -> LostSales:
        """The system with its start."""
        chain, (stock, *due) = self.chain, start(self.chain)
        return LostSales(HOLDING, chain.system.penalty, stock, tuple(due), chain.orders - 1, chain.chance)

    def bounds(self, seed: int) -> tuple[np.ndarray, Paths]:
        """Least penalised cost by scenario, and the paths of the reference policy."""
        paths = simulate(self.chain, self.policy, self.scenarios, seed)
        by = ExactValues(self.chain, self.policy, paths, self.near)
        return penalised_least_costs(self.site(), paths.demand, by), paths


def best_level(chain: Chain, periods: int) -> tuple[float, np.ndarray]:
    """The projected inventory level of least simulated cost among whole and half units, with its policy."""
    best, at = np.inf, 0.0
    for level in np.arange(chain.system.mean, chain.size / 2, 0.5):
        paths = simulate(chain, chain.projected_level(level, periods), _CHOOSING, _CHOOSING_SEED)
        cost = float(costs_of(chain, paths).mean())
        if cost < best:
            best, at = cost, float(level)
        elif cost > 1.2 * best:
            break
    return at, chain.projected_level(at, periods)


def costs_of(chain: Chain, paths: Paths) -> np.ndarray:
    """Cost of every path."""
    stock = np.stack([np.unravel_index(at, chain.shape)[0] for at in paths.states[:-1]])
    left, lost = np.maximum(stock - paths.demand, 0), np.maximum(paths.demand - stock, 0)
    return (HOLDING * left + chain.system.penalty * lost).sum(0)


def study(one: Study, least: np.ndarray, repeats: int) -> dict:
    """Figures of a bound, as shares of the optimum in percent, and how many repeats exceed the optimum.

    Args:
        one: What is bounded.
        least: Least expected cost from every state.
        repeats: Independent bounds more.
    """
    at = start(one.chain)
    optimum, policy = float(least[at]), float(one.chain.costs_of(one.policy)[0][at])
    bound, paths = one.bounds(_FIRST_SEED)
    clairvoyant = clairvoyant_costs(one.site(), paths.demand)
    again = [_mean_and_error(one.bounds(_FIRST_SEED + 1 + number)[0]) for number in range(repeats)]
    mean, error = _mean_and_error(bound)
    return {
        "near": one.near,
        "scenarios": one.scenarios,
        "optimum": round(optimum, 4),
        "gap_pct": round(100 - 100 * mean / optimum, 4),
        "error_pct": round(100 * error / optimum, 4),
        "clairvoyant_gap_pct": round(100 - 100 * float(clairvoyant.mean()) / optimum, 2),
        "policy_pct": round(100 * policy / optimum - 100, 3),
        "repeats": repeats,
        "means_above": sum(value > optimum for value, _ in again),
        "limits_above": sum(value - _Z99 * wide > optimum for value, wide in again),
    }


def _mean_and_error(bound: np.ndarray) -> tuple[float, float]:
    return float(bound.mean()), float(bound.std(ddof=1) / np.sqrt(bound.size))
