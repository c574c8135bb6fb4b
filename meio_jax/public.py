"""The public names of `meio_jax`: where each of them is, looked up when it is first asked for.

So `import meio_jax` stays light: the simulator of orders, for one, must not load JAX.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

PLACES = {
    "meio_jax.planner.api": (
        "BaseStock",
        "CappedBaseStock",
        "DualIndex",
        "EchelonBaseStock",
        "FixedShares",
        "FulfilmentOptions",
        "Neural",
        "ProjectedLevel",
        "ScenarioOptions",
        "SearchOptions",
        "plan",
    ),
    "meio_jax.planner.finished": ("Plan",),
    "meio_jax.planner.learning": ("LearnOptions",),
    "meio_jax.runs.learned": ("learn_network",),
    "meio_jax.config.corrections": ("read_correction", "write_correction"),
    "meio_jax.config.values": ("PolicyChoice",),
    "meio_jax.objective.carbon_priced": ("CarbonPriced",),
    "meio_jax.objective.cvar": ("CVaR",),
    "meio_jax.objective.entropic": ("EntropicRisk",),
    "meio_jax.objective.expected_cost": ("ExpectedCost",),
    "meio_jax.objective.expected_profit": ("ExpectedProfit",),
    "meio_jax.objective.mean_variance": ("MeanVariance",),
    "meio_jax.dual.accelerated": ("AcceleratedAscent",),
    "meio_jax.dual.augmented": ("AugmentedPrices",),
    "meio_jax.dual.subgradient": ("ProjectedSubgradient",),
    "meio_jax.errors": ("InputError",),
    "meio_jax.results": ("Result",),
    "meio_jax.tables": ("InstanceSettings", "Tables", "read_instance", "write_instance"),
    "meio_jax.items.replan": ("ReplanOptions", "Replanner"),
    "meio_jax.items.diff": ("diff_runs",),
    "meio_jax.items.explain": ("explain_run",),
    "meio_jax.items.whatif": ("whatif_run",),
}
NAMES = {name: place for place, names in PLACES.items() for name in names}


def lookup(name: str) -> Any:
    """A public name.

    Raises:
        AttributeError: If there is no such name.
    """
    if name == "__version__":
        return version("meio-jax")
    if name not in NAMES:
        raise AttributeError(f"module `meio_jax` has no public name `{name}`; it has {', '.join(sorted(NAMES))}")
    return getattr(import_module(NAMES[name]), name)


def names() -> list[str]:
    """All public names."""
    return sorted([*NAMES, "__version__"])
