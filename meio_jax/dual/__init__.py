"""Dual methods and their registry."""

from meio_jax.dual.base import AbstractDualMethod as AbstractDualMethod
from meio_jax.dual.base import Observation as Observation
from meio_jax.dual.base import Progress as Progress
from meio_jax.dual.base import Tolerances as Tolerances
from meio_jax.dual.best import BestSoFar as BestSoFar
from meio_jax.dual.registry import DUAL_METHODS as DUAL_METHODS
