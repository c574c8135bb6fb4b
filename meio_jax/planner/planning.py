"""Prepare, search and certify in one call."""

from __future__ import annotations

from meio_jax.config.settings import Config
from meio_jax.planner.certifying import certify
from meio_jax.planner.finished import Plan
from meio_jax.planner.model import prepare
from meio_jax.planner.searching import search
from meio_jax.progress import AbstractProgress
from meio_jax.solver.solve import State
from meio_jax.tables import Tables


def plan(
    tables: Tables, config: Config, *, progress: AbstractProgress | None = None, state: State | None = None
) -> Plan:
    """Prepare, search and certify in one call.

    Args:
        tables: A checked instance.
        config: All settings; its paths are not looked at.
        progress: Is told of every step.
        state: Where the search starts; None: from newsvendor levels, without prices.

    Returns:
        The plan: no file is read or written.

    Example:
        >>> plan(tables, config).certificate.holdout_scenarios
        32
    """
    model = prepare(tables, config)
    return certify(model, search(model, state, progress=progress), progress=progress)
