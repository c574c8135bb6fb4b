"""Sampled demand and lead times."""

from meio_jax.scenarios.leadtimes import LAWS, LeadTimes, counted_lead, searched_lead
from meio_jax.scenarios.sampling import (
    HOLDOUT,
    SLOW_BELOW,
    TRAINING,
    UNITS_APART,
    VALIDATION,
    Scenarios,
    ScenarioSettings,
    item_keys,
    sample_scenarios,
)

__all__ = [
    "HOLDOUT",
    "LAWS",
    "SLOW_BELOW",
    "TRAINING",
    "UNITS_APART",
    "VALIDATION",
    "LeadTimes",
    "ScenarioSettings",
    "Scenarios",
    "counted_lead",
    "item_keys",
    "sample_scenarios",
    "searched_lead",
]
