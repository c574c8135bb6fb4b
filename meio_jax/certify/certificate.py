"""What can be said about a plan: cost with its uncertainty, violations, Lagrangian value, coupling gap, bound."""

from dataclasses import asdict, dataclass, field

import numpy as np
from jaxtyping import Array

from meio_jax.certify.holdout import Holdout
from meio_jax.certify.waits import DockFigures
from meio_jax.certify.worlds import HeldIn, RiskOfTotal, error_of_mean
from meio_jax.model.capacity import bound_of, excess_over, relative
from meio_jax.model.resources import Resources

_Z95 = 1.959964


@dataclass(frozen=True)
class Violation:
    """The worst bucket of one kind of resource: `relative` is usage above capacity as a share of capacity."""

    kind: str
    resource: str
    bucket: int
    usage: float
    capacity: float
    relative: float


@dataclass(frozen=True)
class Certificate:
    """Each figure says what it is; money over the charged horizon.

    `lagrangian_label` is "bound" only where the item problems are convex and solved, else "estimate".
    `coupling_gap`, `slack` (what items could still save at the prices, estimated on `slack_items` of them; None where
    it was not) and their sum `total_gap` are shares of gross cost (`CostTerms.gross`). `clairvoyant_bound` holds
    against any policy whatsoever; None where it was not computed. `docks` says how long goods wait at docks that queue;
    None where nothing does. `held` are the
    capacities that are held in a share of the scenarios, whose use is a quantile in all other figures; `total_risk` is
    the risk of the total cost, None where none was asked for.
    """

    holdout_cost: float
    holdout_cost_ci95: tuple[float, float]
    holdout_objective: float
    holdout_scenarios: int
    in_sample_cost: float
    lagrangian: float
    lagrangian_label: str
    coupling_gap: float
    slack: float | None
    slack_error: float | None
    slack_items: int
    total_gap: float
    largest_violation: float
    violations: list[Violation]
    clairvoyant_bound: float | None
    clairvoyant_scenarios: int
    cost_terms: dict[str, float]
    result: str
    message: str
    infeasible: list[dict]
    steps: int
    seconds: float
    docks: DockFigures | None = None
    held: list[HeldIn] = field(default_factory=list)
    total_risk: RiskOfTotal | None = None

    def as_dict(self) -> dict:
        """Plain data for JSON."""
        return asdict(self)


def relative_violation(
    resources: Resources,
    used: Array | np.ndarray,
    wanted: Array | np.ndarray,
    usual: Array | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Relative excess `[buckets, resources]` (positive: violated) and the capacity it refers to.

    Args:
        resources: The capacities.
        used: Their use, in the unit of each resource.
        wanted: Demand that service floors refer to.
        usual: What an excess over a capacity of nothing is a share of (`Solution.usual`); None: of the use itself.
    """
    use = np.asarray(used, float)
    otherwise = np.maximum(np.abs(use), 1e-9) if usual is None else np.asarray(usual, float)
    capacity = bound_of(resources.is_service, resources.capacity, np.asarray(wanted, float))
    return relative(excess_on_host(resources, use, wanted), capacity, otherwise), capacity


def excess_on_host(resources: Resources, used: Array | np.ndarray, wanted: Array | np.ndarray) -> np.ndarray:
    """Excess `[buckets, resources]` in the unit of each resource, 0 where it does not bind; in 64 bits."""
    tables = (np.asarray(used, float), np.asarray(wanted, float))
    over = excess_over(resources.is_service, resources.capacity, *tables)
    return np.where(np.asarray(resources.present), over, 0)


def worst_by_kind(
    resources: Resources,
    holdout: Holdout,
    relative: np.ndarray,
    kinds: np.ndarray,
    kind_names: tuple[str, ...],
    names: list[str],
) -> list[Violation]:
    """For every kind that the instance has, its most violated (or least slack) bucket.

    `relative` is the relative excess of the holdout use, `[buckets, resources]`.
    """
    used, wanted = holdout.usage.used, holdout.usage.wanted
    _, capacity = relative_violation(resources, used, wanted)
    shown = np.where(np.asarray(resources.present), relative, -np.inf)
    found = []
    for number, kind in enumerate(kind_names):
        columns = np.flatnonzero(kinds == number)
        # A kind of which no figure is a number is told, not left out.
        if not columns.size or (shown[:, columns] == -np.inf).all():
            continue
        bucket, at = np.unravel_index(np.argmax(shown[:, columns]), (relative.shape[0], columns.size))
        column = columns[at]
        found.append(
            Violation(
                kind=kind,
                resource=names[column],
                bucket=int(bucket),
                usage=float(used[bucket, column]),
                capacity=float(capacity[bucket, column]),
                relative=float(relative[bucket, column]),
            )
        )
    return found


def cost_interval(holdout: Holdout, parts: np.ndarray | None = None) -> tuple[float, tuple[float, float]]:
    """Mean holdout cost and its 95 % interval.

    Items are independent, so their variances add, unless they share a factor: then totals of scenarios tell.

    Args:
        holdout: The results.
        parts: What orders scenarios by the factor that all items share (`parts_of`); None: they share none.
    """
    cost = sum(float(term) for term in holdout.sums.terms.by_name().values())
    error = float(np.sqrt(holdout.sums.cost_variance / holdout.scenarios))
    if parts is not None and holdout.usage.worlds is not None:
        error = float(error_of_mean(np.asarray(holdout.usage.worlds.cost, float), parts))
    half = _Z95 * error
    return cost, (cost - half, cost + half)
