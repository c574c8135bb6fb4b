"""The closed loop: what is known of a day → a plan → the day, order by order → the next day."""

from meio_jax.backtest_loop.run import Backtest, run_backtest

__all__ = ["Backtest", "run_backtest"]
