"""A backtest in a few figures: `summary.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from meio_jax.backtest import World
from meio_jax.backtest_loop.compare import compare, item_sums
from meio_jax.backtest_loop.live import Life
from meio_jax.tables.periods import PERIODS_PER_YEAR


def summary_of(lives: list[Life], world: World, seed: int) -> dict[str, Any]:
    """Figures of every arm, and the differences of the first to all others."""
    ours, others = lives[0], lives[1:]
    return {
        "start_date": world.settings.start_date.isoformat(),
        "days": world.periods,
        "period": world.settings.period,
        "items": len(world.items),
        "arms": {life.name: _arm(life, world) for life in lives},
        "differences": {other.name: [asdict(one) for one in compare(ours, other, world, seed)] for other in others},
    }


def _arm(life: Life, world: World) -> dict[str, Any]:
    sums = {name: float(values.sum()) for name, values in item_sums(life, world).items()}
    stock = np.array([step.day.stock.sum() for step in life.steps], float)
    sold = sums["shipped"] / len(life.steps)
    terms = life.outcome.replications.row(0, named=True)
    changes = [step.change for step in life.steps if step.change is not None]
    planned = sum(change.planned for change in changes)
    pairs = sum((change.pairs for change in changes), 0.0)
    year = PERIODS_PER_YEAR[world.settings.period]
    return {
        "total": sums["total"],
        "terms": {name: float(step) for name, step in terms.items() if name in _TERMS},
        "demand": sums["demand"],
        "lost": sums["lost"],
        "promises_kept": sums["on_time"] / max(sums["demand"], 1e-9),
        "fast_promises_kept": sums["fast_kept"] / max(sums["fast_asked"], 1e-9),
        "mean_stock": float(stock.mean()),
        "days_of_cover": float(stock.mean() / sold) if sold > 0 else None,
        "turns_per_year": year * sold / float(stock.mean()) if stock.mean() > 0 else None,
        "violation": _violation(life),
        "docks": _docks(life, "waiting_units", "received"),
        "outbound_docks": _docks(life, "held_units", "shipped"),
        "refused_orders": int(life.outcome.replications["refused_orders"].sum()),
        "short_transfers": int(sum(step.short for step in life.steps)),
        "seconds": float(sum(step.seconds for step in life.steps)),
        "seconds_of_longest_day": float(max(step.seconds for step in life.steps)),
        "nervousness_quantities": sum(change.moved for change in changes) / planned if planned > 0 else None,
        "nervousness_orders": sum(change.flips for change in changes) / pairs if pairs > 0 else None,
    }


def _docks(life: Life, waits: str, passed: str) -> dict[str, Any]:
    """Goods that wait at docks: in all, how long a unit that passes waits on average, and the worst evening.

    Args:
        life: Of an arm.
        waits: Column of what waits, of the stock of every evening.
        passed: Column of what passes, of the items.
    """
    table, units = life.outcome.stock, float(life.outcome.items[passed].sum())
    waiting = table[waits].to_numpy().astype(float)
    worst = table.row(int(np.argmax(waiting)), named=True) if waiting.any() else None
    return {
        "waiting_unit_days": float(waiting.sum()),
        "mean_delay_days": float(waiting.sum() / units) if units > 0 else None,
        "worst": worst and {"node_id": worst["node_id"], "day": worst["day"], "waiting_units": worst[waits]},
    }


_TERMS = (
    "purchase", "inbound", "transfer", "handling", "holding", "outbound", "downgrade", "lost_sale", "backorder",
    "waste", "ordering", "terminal",
)  # fmt: skip


def _violation(life: Life) -> dict[str, dict[str, Any]]:
    """The worst capacity of every kind: violation of a bucket's mean, and of its worst day (null: infinite)."""
    table = life.outcome.capacity
    found = {}
    for (kind,), rows in table.group_by(["kind"], maintain_order=True):
        worst = rows.sort("violation", descending=True).row(0, named=True)
        peak = float(np.max(rows["excess"].to_numpy()))
        found[str(kind)] = {
            "resource_id": worst["resource_id"],
            "bucket": worst["bucket"],
            "mean": worst["violation"] if np.isfinite(worst["violation"]) else None,
            "worst_day": peak if np.isfinite(peak) else None,
        }
    return found
