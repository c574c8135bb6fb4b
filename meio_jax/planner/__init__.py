"""Plan an instance: prepare, search, certify."""

from meio_jax.planner.block_size import Device, block_items, blocks_together, items_per_block
from meio_jax.planner.planning import (
    Model,
    Plan,
    assignment_form,
    certify,
    per_step,
    plan,
    prepare,
    search,
    settings_of,
)

__all__ = [
    "Device",
    "Model",
    "Plan",
    "assignment_form",
    "block_items",
    "blocks_together",
    "certify",
    "items_per_block",
    "per_step",
    "plan",
    "prepare",
    "search",
    "settings_of",
]
