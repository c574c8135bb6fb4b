"""Objectives and their registry."""

from meio_jax.objective.base import AbstractObjective as AbstractObjective
from meio_jax.objective.base import ScenarioCosts as ScenarioCosts
from meio_jax.objective.registry import OBJECTIVES as OBJECTIVES
