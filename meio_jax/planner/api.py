"""Plan with values: tables, policy, objective and dual method are objects; names for them are for YAML only."""

from __future__ import annotations

from functools import partial

from meio_jax.config.corrections import packaged_correction
from meio_jax.config.settings import FulfilmentPart, ScenarioPart, SolvePart, make_config
from meio_jax.config.values import PolicyChoice, Values
from meio_jax.dual import AbstractDualMethod
from meio_jax.dual.augmented import AugmentedPrices
from meio_jax.model.correction import Correction
from meio_jax.objective import AbstractObjective
from meio_jax.objective.expected_cost import ExpectedCost
from meio_jax.planner.certifying import certify
from meio_jax.planner.finished import Plan
from meio_jax.planner.model import prepare
from meio_jax.planner.searching import search as run_search
from meio_jax.policy import POLICIES
from meio_jax.progress import AbstractProgress
from meio_jax.tables import Tables

BaseStock = partial(PolicyChoice, POLICIES["base_stock"])
CappedBaseStock = partial(PolicyChoice, POLICIES["capped"])
DualIndex = partial(PolicyChoice, POLICIES["dual_index"])
EchelonBaseStock = partial(PolicyChoice, POLICIES["echelon"])
FixedShares = partial(PolicyChoice, POLICIES["shares"])
ProjectedLevel = partial(PolicyChoice, POLICIES["projected_level"])


def Neural(
    correction: Correction | None = None, *, protection: bool = False, stationary: bool | None = None
) -> PolicyChoice:
    """The projected level with a network's correction.

    Args:
        correction: The network (`read_correction`, `learn_network`); None: the one that comes with the package.
        protection: Decide protection levels as well.
        stationary: One value of each parameter for all buckets; None: as the instance says.
    """
    network = packaged_correction() if correction is None else correction
    return PolicyChoice(POLICIES["neural"], protection, stationary, network)


SearchOptions, ScenarioOptions, FulfilmentOptions = SolvePart, ScenarioPart, FulfilmentPart


def plan(
    tables: Tables,
    *,
    policy: PolicyChoice = PolicyChoice(POLICIES["base_stock"]),
    objective: AbstractObjective = ExpectedCost(),
    dual: AbstractDualMethod = AugmentedPrices(),
    search: SolvePart = SolvePart(),
    scenarios: ScenarioPart = ScenarioPart(),
    fulfilment: FulfilmentPart = FulfilmentPart(),
    seed: int = 0,
    progress: AbstractProgress | None = None,
) -> Plan:
    """Plan an instance; no file is read or written.

    Args:
        tables: A checked instance: `Tables.from_frames(...)` or `read_instance(folder)`.
        policy: What nodes order by: `BaseStock()`, `DualIndex(protection=True)`, `PolicyChoice(YourPolicy)`.
        objective: What is minimised: `ExpectedCost()`, `CVaR(level=0.9)`, or one of your own.
        dual: How prices move: `AugmentedPrices(step_size=0.2)`.
        search: Steps, tolerances and optimiser.
        scenarios: How many scenarios train and judge the plan.
        fulfilment: Preference lists of the simulated fulfilment.
        seed: Of all scenarios.
        progress: Is told of every step; None: nobody is.

    Returns:
        The plan: `frames()` has its tables, `certificate` what is known of it, `result` how the search ended.

    Example:
        >>> import meio_jax as mj
        >>> found = mj.plan(tables, policy=mj.BaseStock(), search=short, scenarios=few)
        >>> found.result in (mj.Result.CONVERGED, mj.Result.MAX_STEPS)
        True
    """
    values = Values(policy, objective, dual)
    parts = {"scenarios": scenarios, "solve": search, "fulfilment": fulfilment}
    config = make_config(seed=seed, **{name: part.model_dump() for name, part in parts.items()})
    model = prepare(tables, values.recorded(config), values=values)
    return certify(model, run_search(model, progress=progress), progress=progress)
