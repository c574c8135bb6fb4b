"""What a change of a capacity is worth."""

from meio_jax.items.whatif import (
    BucketValue,
    CapacityChange,
    Check,
    WhatIf,
    changed_resources,
    check,
    resolve_config,
    what_if,
    whatif_run,
)

__all__ = [
    "BucketValue",
    "CapacityChange",
    "Check",
    "WhatIf",
    "changed_resources",
    "check",
    "resolve_config",
    "what_if",
    "whatif_run",
]
