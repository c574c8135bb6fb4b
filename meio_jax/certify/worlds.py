"""What holdout scenarios say of all items together: capacities held in a share of them, and the risk of the total cost.

Groups of scenarios that follow on each other hold a world of every part of the law of the shared factor
(`scenarios.worlds`), so that means over them vary less than those of as many independent scenarios. Standard errors
count the spread within parts, over groups (stratified sampling; Cochran 1977, chapter 5); without a shared factor the
parts are chance, and the errors the usual ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.model.resources import Resources, Usage
from meio_jax.model.total_risk import TotalRisk
from meio_jax.model.worlds import Worlds, quantile_of
from meio_jax.scenarios.sampling import HOLDOUT
from meio_jax.scenarios.worlds import GROUP, world_factors


@dataclass(frozen=True)
class HeldIn:
    """A capacity that is held in a share of the scenarios, in the bucket in which it is kept least.

    `asked` and `kept` are shares of the holdout scenarios, `kept_error` the standard error of the latter; a scenario
    keeps the capacity if it exceeds it by no more than the tolerance of all capacities. `use` is the quantile of the
    use at the share that was asked, `mean_use` its mean, in the unit of the capacity, as totals of the bucket.
    """

    kind: str
    resource: str
    bucket: int
    asked: float
    kept: float
    kept_error: float
    use: float
    mean_use: float
    capacity: float


@dataclass(frozen=True)
class RiskOfTotal:
    """Risk of the total cost on holdout scenarios, in money.

    `mean` is the mean cost, `risk` the measure of the total, `risk_error` its standard error, `objective` the blend
    that was minimised.
    """

    measure: str
    parameter: float
    weight: float
    mean: float
    risk: float
    risk_error: float
    objective: float


def together(resources: Resources, groups: Sequence[Usage]) -> Usage:
    """Usage over groups of scenarios: means, and of held capacities the quantile over all scenarios."""
    means = tuple(np.mean([getattr(one, name) for one in groups], axis=0, dtype=float) for name in ("used", "wanted"))
    # A leaf is replaced and no constructor is called: these are arrays of the host.
    found = eqx.tree_at(lambda u: (u.used, u.wanted), groups[0], means)
    return at_share(resources, beside(found, groups))


def beside(usage: Usage, groups: Sequence[Usage]) -> Usage:
    """The usage with the scenarios of all groups beside each other; as it is where none are known."""
    worlds = [one.worlds for one in groups if one.worlds is not None]
    if not worlds:
        return usage
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=-1), *worlds)
    return eqx.tree_at(lambda u: u.worlds, usage, joined)


def at_share(resources: Resources, usage: Usage) -> Usage:
    """Usage with that of held capacities at the quantile of the share that is asked of each."""
    if usage.worlds is None or not resources.held_index:
        return usage
    used = np.array(usage.used, float)
    for row, (column, share) in enumerate(zip(resources.held_index, resources.held_share, strict=True)):
        used[:, column] = quantile_of(np.asarray(usage.worlds.used)[:, row], share)
    return eqx.tree_at(lambda u: u.used, usage, used)


def without_one(resources: Resources, groups: Sequence[Usage]) -> np.ndarray:
    """Usage of held capacities over all groups but one, for each of them: `[groups, buckets, held]`."""
    columns = list(resources.held_index)
    left = [together(resources, [*groups[:at], *groups[at + 1 :]]) for at in range(len(groups))]
    return np.stack([np.asarray(one.used)[:, columns] for one in left])


def parts_of(cv: float, persistence: float, seed: int, scenarios: int) -> np.ndarray:
    """What orders holdout scenarios by the factor that all items share; any order where there is none.

    Args:
        cv: Coefficient of variation of the factor.
        persistence: Its persistence.
        seed: Seed of all scenarios.
        scenarios: How many there are.
    """
    if cv == 0:
        return np.arange(scenarios, dtype=float)
    law = (cv, persistence, 1, seed)
    return np.asarray(world_factors(*law, jnp.arange(scenarios, dtype=jnp.int32), HOLDOUT)[0], float)


def error_of_mean(values: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Standard error of the mean along the last axis.

    Args:
        values: One for each scenario.
        parts: What orders the scenarios of a group by their parts (`parts_of`).
    """
    count = values.shape[-1]
    groups = count // GROUP
    if groups < 2:
        return np.asarray(values.std(axis=-1, ddof=1) / np.sqrt(count))
    order = np.argsort(parts[: groups * GROUP].reshape(groups, GROUP), axis=-1)
    cut = values[..., : groups * GROUP].reshape(*values.shape[:-1], groups, GROUP)
    by_part = np.take_along_axis(cut, np.broadcast_to(order, cut.shape), axis=-1)
    return np.asarray(np.sqrt(by_part.var(axis=-2, ddof=1).sum(axis=-1) / groups) / GROUP)


def kept_shares(
    resources: Resources, usage: Usage, parts: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the scenarios in which each held capacity is kept, and its standard error, both `[buckets, held]`.

    Args:
        resources: The capacities.
        usage: Usage with that of single scenarios.
        parts: As of `error_of_mean`.
        tolerance: Largest relative excess that counts as kept.
    """
    if usage.worlds is None or not resources.held_index:
        nothing = np.zeros((np.shape(usage.used)[0], 0))
        return nothing, nothing
    most = np.asarray(resources.capacity, float)[:, list(resources.held_index)] * (1 + tolerance)
    kept = (np.asarray(usage.worlds.used, float) <= most[..., None] + 1e-9).astype(float)
    return kept.mean(axis=-1), error_of_mean(kept, parts)


def held_in(
    resources: Resources, usage: Usage, parts: np.ndarray, tolerance: float, kinds: list[str], names: list[str]
) -> list[HeldIn]:
    """Every held capacity in the bucket in which it is kept least; arguments as of `kept_shares`."""
    share, error = kept_shares(resources, usage, parts, tolerance)
    found = []
    for row, column in enumerate(resources.held_index):
        present = np.asarray(resources.present)[:, column]
        if usage.worlds is None or not present.any():
            continue
        use, limit = np.asarray(usage.used, float)[:, column], np.asarray(resources.capacity, float)[:, column]
        # Of buckets that are kept alike the fullest.
        order = np.lexsort((-use / np.maximum(limit, 1e-12), np.where(present, share[:, row], np.inf)))
        bucket = int(order[0])
        found.append(
            HeldIn(
                kind=kinds[column],
                resource=names[column],
                bucket=bucket,
                asked=resources.held_share[row],
                kept=float(share[bucket, row]),
                kept_error=float(error[bucket, row]),
                use=float(use[bucket]),
                mean_use=float(np.mean(usage.worlds.used[bucket, row])),
                capacity=float(limit[bucket]),
            )
        )
    return found


def risk_of_total(risk: TotalRisk | None, worlds: Worlds | None, parts: np.ndarray) -> RiskOfTotal | None:
    """Risk of the total cost of single scenarios; None where none was asked for."""
    if risk is None or worlds is None:
        return None
    cost = np.asarray(worlds.cost, float)
    mean = float(cost.mean())
    value, error = _cvar(cost, risk.level, parts) if risk.measure == "cvar" else _entropic(cost, risk.aversion, parts)
    return RiskOfTotal(
        measure=risk.measure,
        parameter=risk.level if risk.measure == "cvar" else risk.aversion,
        weight=risk.weight,
        mean=mean,
        risk=value,
        risk_error=error,
        objective=(1 - risk.weight) * mean + risk.weight * value,
    )


def _cvar(cost: np.ndarray, level: float, parts: np.ndarray) -> tuple[float, float]:
    """Mean of the worst share of scenarios, and its standard error, that of the mean it is at its quantile."""
    worst_first = np.sort(cost)[::-1]
    tail = (1 - level) * cost.size
    share = np.clip(tail - np.arange(cost.size), 0, 1) / tail
    quantile = worst_first[min(int(tail), cost.size - 1)]
    beyond = np.maximum(cost - quantile, 0) / (1 - level)
    return float(worst_first @ share), float(error_of_mean(beyond, parts))


def _entropic(cost: np.ndarray, aversion: float, parts: np.ndarray) -> tuple[float, float]:
    """Certainty equivalent, and its standard error by the delta method."""
    mean = cost.mean()
    rate = aversion / max(abs(mean), 1e-6)
    tilted = np.exp(rate * (cost - mean))
    return float(mean + np.log(tilted.mean()) / rate), float(error_of_mean(tilted, parts) / tilted.mean() / rate)
