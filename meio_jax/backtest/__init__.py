"""Order-by-order simulation of plans and policies, independent of the planner, and baseline policies."""

from meio_jax.backtest.network import World, read_world
from meio_jax.backtest.options import Options
from meio_jax.backtest.outcome import Outcome
from meio_jax.backtest.plan import PlanTable, Snapshot, read_run
from meio_jax.backtest.simulate import simulate

__all__ = ["Options", "Outcome", "PlanTable", "Snapshot", "World", "read_run", "read_world", "simulate"]
