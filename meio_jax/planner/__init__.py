"""Plan an instance: prepare, search, certify."""

from meio_jax.planner.block_size import Device, block_items, blocks_together, items_per_block
from meio_jax.planner.certifying import certify
from meio_jax.planner.finished import Plan
from meio_jax.planner.model import Model, assignment_form, per_step, prepare, settings_of
from meio_jax.planner.planning import plan
from meio_jax.planner.searching import search

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
