"""The folder of a backtest."""

from __future__ import annotations

from meio_jax.folders import Mark
from meio_jax.runs.backtests import KIND, SUMMARY
from meio_jax.runs.beside import Work

IDENTITY = "backtest.json"
_ENTRIES = (IDENTITY, SUMMARY, "days", "mornings", "plans", "steady", "clairvoyant", "results", "report.html")
BACKTEST = Work(Mark(KIND, _ENTRIES), IDENTITY, SUMMARY, "plans", "--run")
