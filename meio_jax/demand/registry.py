"""The registry of forecast forms: a file of this folder is a form."""

from meio_jax.demand.base import AbstractDemand
from meio_jax.registry import discover

DEMAND_FORMS: dict[str, type[AbstractDemand]] = discover(
    "meio_jax.demand", AbstractDemand, skip=frozenset({"base", "registry"})
)
