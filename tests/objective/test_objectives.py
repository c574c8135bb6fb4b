"""Objectives against their definitions in plain numpy, and their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

from meio_jax.objective import OBJECTIVES, AbstractObjective, ScenarioCosts

# float64 sums of a dozen numbers.
ROUNDING = 1e-12
ITEMS, SCENARIOS = 3, 12


def costs(seed: int = 0) -> ScenarioCosts:
    rng = np.random.default_rng(seed)
    tables = [jnp.asarray(rng.uniform(1, 9, (ITEMS, SCENARIOS))) for _ in range(4)]
    return ScenarioCosts(*tables)


def lost(seen: ScenarioCosts) -> np.ndarray:
    """The fields besides total, revenue and carbon: what a lost sale forgoes."""
    names = set(vars(seen)) - {"total", "revenue", "carbon"}
    assert len(names) == 1
    return np.asarray(getattr(seen, names.pop()))


def plain(name: str, seen: ScenarioCosts) -> np.ndarray:
    """Definition of each objective with its default options."""
    total, objective = np.asarray(seen.total), OBJECTIVES[name]()
    mean = total.mean(1)
    if name == "expected_cost":
        return mean
    if name == "expected_profit":
        return (total - lost(seen) - np.asarray(seen.revenue)).mean(1)
    if name == "carbon_priced":
        return mean + objective.carbon_price * np.asarray(seen.carbon).mean(1)
    if name == "mean_variance":
        return mean + objective.aversion * total.var(1) / mean
    if name == "entropic":
        rate = objective.aversion / mean
        return np.log(np.exp(rate[:, None] * total).mean(1)) / rate
    if name == "cvar":
        # Rockafellar and Uryasev (2000): the least of t + mean excess above t / (1 - level).
        tails = [t + np.maximum(total - t[:, None], 0).mean(1) / (1 - objective.level) for t in total.T]
        return (1 - objective.weight) * mean + objective.weight * np.min(tails, axis=0)
    raise AssertionError(f"write down what {name} means")


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_value_is_the_definition(x64: None, name: str) -> None:
    close(OBJECTIVES[name]()(costs()), plain(name, costs()), tolerance=ROUNDING)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_laws(x64: None, name: str) -> None:
    objective, seen = OBJECTIVES[name](), costs()
    assert isinstance(objective, AbstractObjective)
    values = objective(seen)
    order = np.random.default_rng(1).permutation(SCENARIOS)
    close(objective(jax.tree.map(lambda leaf: leaf[:, order], seen)), values, tolerance=ROUNDING)
    one = objective(jax.tree.map(lambda leaf: leaf[1:2], seen))
    close(one, values[1:2], tolerance=ROUNDING)
    doubled = objective(jax.tree.map(lambda leaf: 2 * leaf, seen))
    close(doubled, 2 * values, tolerance=ROUNDING, what="money may be counted in any unit")
    slope = jax.grad(lambda c: objective(c).sum())(seen)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


@pytest.mark.parametrize("name", ["cvar", "entropic", "mean_variance"])
def test_risk_costs_more_than_the_mean(x64: None, name: str) -> None:
    seen = costs()
    assert bool((OBJECTIVES[name]()(seen) > seen.total.mean(1)).all())
    sure = ScenarioCosts(*[jnp.full((ITEMS, SCENARIOS), 4.0)] * 4)
    close(OBJECTIVES[name]()(sure), np.full(ITEMS, 4.0), tolerance=ROUNDING)


def test_cvar_of_a_whole_number_of_scenarios(x64: None) -> None:
    seen = costs()
    worst = np.sort(np.asarray(seen.total), 1)[:, -3:].mean(1)
    close(OBJECTIVES["cvar"](level=0.75, weight=1.0)(seen), worst, tolerance=ROUNDING)


@pytest.mark.parametrize(
    ("name", "options"),
    [("cvar", {"level": 1.0}), ("cvar", {"level": -0.1}), ("entropic", {"aversion": 0.0})],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        OBJECTIVES[name](**options)
