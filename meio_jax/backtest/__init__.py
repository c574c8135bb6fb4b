"""Order-by-order simulation of plans and policies, independent of the planner, and baseline policies."""

from meio_jax.backtest.daily import Day
from meio_jax.backtest.execution import Executed, Execution
from meio_jax.backtest.network import World, read_world
from meio_jax.backtest.options import Options
from meio_jax.backtest.outcome import Outcome
from meio_jax.backtest.plan import PlanTable, Snapshot, read_run
from meio_jax.backtest.simulate import simulate
from meio_jax.backtest.window import window

__all__ = [
    "Day",
    "Executed",
    "Execution",
    "Options",
    "Outcome",
    "PlanTable",
    "Snapshot",
    "World",
    "read_run",
    "read_world",
    "simulate",
    "window",
]
