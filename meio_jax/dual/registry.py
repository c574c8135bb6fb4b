"""The registry of dual methods: a file of this folder is a method; `best` wraps any of them."""

from meio_jax.dual.base import AbstractDualMethod
from meio_jax.registry import discover

DUAL_METHODS: dict[str, type[AbstractDualMethod]] = discover(
    "meio_jax.dual", AbstractDualMethod, skip=frozenset({"base", "registry", "best"})
)
