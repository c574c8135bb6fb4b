"""The days of a backtest: every arm decides, and lives the day, in a world of its own with the same customers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from meio_jax.backtest import Day, Execution, Outcome
from meio_jax.backtest_loop.arms import AbstractArm, Decision
from meio_jax.backtest_loop.customers import Ground
from meio_jax.backtest_loop.nervousness import Change
from meio_jax.backtest_loop.record import Record, Recorded


@dataclass(frozen=True)
class Step:
    """What an arm did on a day.

    Attributes:
        how, seconds, result, change: See `Decision`.
        short: Transfers for which the node that ships had too little.
        prices: Prices that customers were served by (bucket 0); None: none.
        orders, transfers: What was ordered and shipped.
    """

    day: Day
    how: str
    seconds: float
    result: str
    change: Change | None
    short: int
    prices: pl.DataFrame | None
    orders: pl.DataFrame
    transfers: pl.DataFrame


@dataclass(frozen=True)
class Life:
    """All days of an arm."""

    name: str
    steps: list[Step]
    outcome: Outcome


def live(
    ground: Ground,
    arms: list[AbstractArm],
    days: int,
    seed: int,
    record: Record,
    on_day: Callable[[int, int, float, list[Step]], None],
) -> list[Life]:
    """Live all days; those that are recorded are lived again by the record.

    Args:
        ground: First morning and customers.
        arms: Who decides.
        days: Days to live.
        seed: Seed of customers, vendors and lanes, the same for all arms.
        record: Decisions of earlier processes; new ones are added.
        on_day: Called after each day with its number, the days in all, seconds spent on days that were not recorded
            (all of them so far) and what every arm did.
    """
    worlds = [Execution(ground.tables, days, seed=seed, options=ground.options) for _ in arms]
    steps: list[list[Step]] = [[] for _ in arms]
    spent = 0.0
    for day in range(days):
        began = time.perf_counter()
        fresh = False
        for arm, world, own in zip(arms, worlds, steps, strict=True):
            saved = record.read(day, arm.name)
            fresh = fresh or saved is None
            own.append(_decided(arm, world, record) if saved is None else _again(world, saved))
        spent += time.perf_counter() - began if fresh else 0.0
        on_day(day, days, spent, [own[-1] for own in steps])
    return [Life(arm.name, own, world.outcome()) for arm, own, world in zip(arms, steps, worlds, strict=True)]


def _decided(arm: AbstractArm, world: Execution, record: Record) -> Step:
    """Decide and live a day."""
    day = world.day
    decision = arm.decide(day, world.morning())
    if decision.levels is not None:
        orders, transfers = world.follow(decision.levels)
        short = 0
    else:
        assert decision.orders is not None  # without levels there are tables
        assert decision.transfers is not None
        orders, transfers = decision.orders, decision.transfers
        short = int(world.execute(orders, transfers, decision.fulfilment).short["units"].sum())
    record.write(day, arm.name, decision, orders, transfers)
    return _step(world.finish(), decision, short, orders, transfers)


def _again(world: Execution, saved: Recorded) -> Step:
    """Live a day by its record."""
    short = int(world.execute(saved.orders, saved.transfers, saved.fulfilment).short["units"].sum())
    return _step(world.finish(), saved, short, saved.orders, saved.transfers)


def _step(day: Day, by: Decision | Recorded, short: int, orders: pl.DataFrame, transfers: pl.DataFrame) -> Step:
    prices = None if by.fulfilment is None else by.fulfilment.prices
    return Step(day, by.how, by.seconds, by.result, by.change, short, prices, orders, transfers)
