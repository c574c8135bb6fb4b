"""The tolerances asked before a search stops: of its steps, and of scenarios that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Array

from meio_jax.certify.certificate import excess_on_host, relative_violation
from meio_jax.certify.sample import Sample, sample_of
from meio_jax.certify.worlds import together, without_one
from meio_jax.config.settings import Config
from meio_jax.model.capacity import charge, excess_over, gap, relative, size_of, used_at
from meio_jax.model.resources import Resources, Usage
from meio_jax.progress import Step
from meio_jax.scenarios.sampling import HOLDOUT
from meio_jax.solver.solve import Answer, SharedState, State, effective_steps
from meio_jax.solver.store import AbstractInventoryStore

# Groups of scenarios before a first opinion, and how many standard errors from the tolerance count as clear: the worst
# of many capacities is looked for.
_FIRST, _CLEAR = 6, 2.5


def confirmation(
    store: AbstractInventoryStore,
    given: Resources,
    config: Config,
    averaging: int,
    chunk: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Callable[[State, Step], Answer]:
    """What a solve asks when its tolerances are checked: what shows that its plan meets them, else None.

    Every step sees scenarios that are new to it. Where one of the capacities is missed by more than chance in their
    means, nothing else is asked: the worst of many capacities looks worse over few scenarios than it is. Else the plan
    is simulated on validation scenarios until all capacities are clearly kept or one is clearly missed (a sequential
    test, Wald 1945), at most all of them. Means that keep all capacities are not enough: they are of other plans than
    the one that is returned. A plan that passes by its mean alone is judged on the holdout scenarios as the certificate
    will judge it, and where it misses a capacity there, the search goes on.

    Args:
        store: The items, with the capacities that the search sees, less their margin.
        given: The capacities as the user gave them.
        config: Tolerances and number of validation scenarios.
        averaging: Over how many steps the search averages.
        chunk: Scenarios simulated together.
        should_stop: Whether the search is to stop after this step anyway: then nothing is simulated.
    """
    options = config.solve
    # The other half is left for what levels can still save: the certificate holds both together to the tolerance.
    gap = options.gap / 2

    def confirm(state: State, report: Step) -> Answer:
        if not near(given, store.resources, config, averaging, state, report):
            return Answer(None)
        ranking, usual = state.shared.mean.list_prices, np.asarray(state.shared.usual)
        now = store.at_docks(state.shared.docks)
        sample = sample_of(now, state.items, True, ranking, chunk)
        answer = None
        while answer is None:
            if should_stop():
                return Answer(None, sample.scenarios)
            sample.advance()
            ended = sample.scenarios >= config.scenarios.holdout
            answer = kept(given, sample.usage, options.violation, usual, ended=ended)
        if not answer or coupling_gap(given, sample, state.shared.mean.prices) > gap:
            return Answer(None, sample.scenarios)
        if sample.scenarios < config.scenarios.holdout:
            return Answer(sample, sample.scenarios)
        judged = sample_of(now, state.items, True, ranking, chunk, HOLDOUT)
        while judged.scenarios < config.scenarios.holdout:
            if should_stop():
                return Answer(None, sample.scenarios + judged.scenarios)
            judged.advance()
        found, _ = relative_violation(given, *_mean(given, judged.usage), usual)
        passed = found.max(initial=0) <= options.violation
        return Answer(sample if passed else None, sample.scenarios + judged.scenarios)

    return confirm


def near(given: Resources, aimed_at: Resources, config: Config, averaging: int, state: State, report: Step) -> bool:
    """Whether by its means over recent steps a search may keep its tolerances: what they miss may be chance.

    Args:
        given: The capacities as the user gave them.
        aimed_at: Those that the search sees.
        config: Tolerances.
        averaging: Over how many steps the search averages.
        state: The search.
        report: What its last step reported.
    """
    if report.gap > config.solve.gap / 2:
        return False
    mean, error = violations_by_steps(given, aimed_at, state.shared, averaging)
    return bool((mean - _CLEAR * error).max(initial=0) <= config.solve.violation)


def kept(
    resources: Resources, usage: Sequence[Usage], tolerance: float, usual: np.ndarray, *, ended: bool
) -> bool | None:
    """Whether the capacities are kept, by usage in some groups of scenarios; None: that is not clear yet.

    Args:
        resources: The capacities.
        usage: Their usage in each group.
        tolerance: Largest relative violation that counts as kept.
        usual: What an excess over a capacity of nothing is a share of.
        ended: Whether there are no more scenarios; then the mean decides.
    """
    if len(usage) < _FIRST and not ended:
        return None
    mean, error = violations(resources, usage, usual)
    if ended:
        return bool(mean.max(initial=0) <= tolerance)
    if (mean - _CLEAR * error).max(initial=0) > tolerance:
        return False
    return True if (mean + _CLEAR * error).max(initial=0) <= tolerance else None


def violations_by_steps(
    given: Resources, aimed_at: Resources, state: SharedState, averaging: int
) -> tuple[np.ndarray, np.ndarray]:
    """Relative violation by the means over recent steps, and its standard error, both `[buckets, resources]`.

    The error comes from how far each step differs from the one before, on average over the buckets of a resource.

    Args:
        given: The capacities as the user gave them.
        aimed_at: Those that the search sees.
        state: The search.
        averaging: Over how many steps it averages.
    """
    size = lambda resources: np.asarray(resources.capacity, float)
    usual = np.isfinite(size(given)) & (size(given) > 0)
    share = np.where(usual, size(aimed_at), 1) / np.where(usual, size(given), 1)
    seen = state.mean.evaluation
    bound = np.asarray(seen.bound, float)
    aimed = relative(np.asarray(seen.excess, float), bound, np.asarray(state.usual, float))
    use = share * used_at(given.is_service, np.ones_like(aimed), aimed)
    mean = np.where(bound > 0, excess_over(given.is_service, np.ones_like(aimed), use, np.ones_like(aimed)), aimed)
    variance = np.asarray(state.mean.jump, float) / 2
    error = _pooled(given, variance / max(effective_steps(int(state.step), averaging), 1))
    return np.where(given.present, mean, 0), share * error


def violations(resources: Resources, usage: Sequence[Usage], usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative violation by all groups of scenarios together, and its standard error, both `[buckets, resources]`.

    The error comes from how far the groups differ, on average over the buckets of a resource: one bucket alone would
    say too little about it.

    Args:
        resources: The capacities.
        usage: Their usage in each group; of one alone the error is 0.
        usual: What an excess over a capacity of nothing is a share of.
    """
    mean, _ = relative_violation(resources, *_mean(resources, usage), usual)
    each = np.stack([relative_violation(resources, one.used, one.wanted, usual)[0] for one in usage])
    # Of one group nothing is known of how far groups differ.
    spread = each.var(axis=0, ddof=1) if len(usage) > 1 else np.zeros_like(mean)
    variance = spread / len(usage)
    if resources.held_index and len(usage) > 1:
        variance[:, list(resources.held_index)] = _held_variance(resources, usage, usual)
    return mean, _pooled(resources, variance)


def _held_variance(resources: Resources, usage: Sequence[Usage], usual: np.ndarray) -> np.ndarray:
    """Variance of the relative violation of held capacities `[buckets, held]`, by leaving out each group in turn.

    The jackknife (Quenouille 1956) holds for quantiles that are smooth means of order statistics.
    """
    columns, count = list(resources.held_index), len(usage)
    left = without_one(resources, usage) / size_of(np.asarray(resources.capacity, float), usual)[:, columns]
    return (count - 1) / count * np.square(left - left.mean(axis=0)).sum(axis=0)


def _pooled(resources: Resources, variance: np.ndarray) -> np.ndarray:
    """Standard errors from variances of the mean, alike in all buckets of a resource."""
    present = np.asarray(resources.present)
    mean = np.sum(variance * present, axis=0) / np.maximum(np.sum(present, axis=0), 1)
    return np.where(present, np.sqrt(mean), 0)


def coupling_gap(resources: Resources, sample: Sample, prices: Array) -> float:
    """Money that prices charge for what is used beyond the capacities, or not used of them, as a share of the cost."""
    charged = charge(np.asarray(prices, float), excess_on_host(resources, *_mean(resources, sample.usage)))
    return float(gap(charged, sample.gross()))


def _mean(resources: Resources, usage: Sequence[Usage]) -> tuple[np.ndarray, np.ndarray]:
    """What is used and wanted on average over groups of scenarios, of held capacities at their quantiles."""
    found = together(resources, usage)
    return np.asarray(found.used), np.asarray(found.wanted)
