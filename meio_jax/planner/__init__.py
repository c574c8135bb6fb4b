"""Plan an instance: prepare, search, certify."""

from meio_jax.planner.planning import (
    Model,
    Plan,
    assignment_form,
    block_items,
    certify,
    per_step,
    plan,
    prepare,
    search,
    settings_of,
)

__all__ = [
    "Model",
    "Plan",
    "assignment_form",
    "block_items",
    "certify",
    "per_step",
    "plan",
    "prepare",
    "search",
    "settings_of",
]
