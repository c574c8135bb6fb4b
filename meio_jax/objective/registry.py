"""The registry of objectives: a file of this folder is an objective."""

from meio_jax.objective.base import AbstractObjective
from meio_jax.registry import discover

OBJECTIVES: dict[str, type[AbstractObjective]] = discover(
    "meio_jax.objective", AbstractObjective, skip=frozenset({"base", "registry"})
)
