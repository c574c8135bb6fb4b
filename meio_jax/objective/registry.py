"""The registry of objectives: a file of this folder is an objective."""

from meio_jax import objective as _package
from meio_jax.objective.base import AbstractObjective
from meio_jax.registry import discover

OBJECTIVES: dict[str, type[AbstractObjective]] = discover(
    _package, AbstractObjective, skip=frozenset({"base", "registry"})
)
