"""The items of a plan that a planner should look at: the largest, and those unlike the rest, each with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.report.numbers import number, share

_USUAL = 3.5
"""Robust standard deviations from the median beyond which an item is strange (Iglewicz and Hoaglin 1993)."""


@dataclass(frozen=True)
class Strange:
    """An item and why it is listed; `score` counts robust standard deviations from the median item."""

    item_id: str
    reason: str
    score: float


@dataclass(frozen=True)
class _Sign:
    """One way to be strange: a figure of each item, which ones count, and how to say it."""

    name: str
    figure: pl.Expr
    where: pl.Expr
    say: Callable[[float, float], str]
    log: bool = True


def _signs(days: int, period: str) -> list[_Sign]:
    demand, shipped = pl.col("demand"), pl.col("shipped")
    sells = demand > 1e-6
    return [
        _Sign(
            "lost",
            pl.col("lost") / demand,
            sells & (pl.col("lost") > 0.5),
            lambda v, m: f"loses {share(v)} of its demand; the median item loses {share(m)}",
            log=False,
        ),
        _Sign(
            "cover",
            pl.col("stock") / (demand / days),
            sells & (pl.col("stock") > 1),
            lambda v, m: f"holds {number(v)} {period}s of demand on average; the median item holds {number(m)}",
        ),
        _Sign(
            "outbound",
            pl.col("outbound_cost") / shipped / (1 + pl.col("weight_kg")),
            (shipped > 1) & (pl.col("outbound_cost") > 0),
            lambda v, m: f"costs {number(v / m)} times as much to ship, for its weight, as the median item",
        ),
        _Sign(
            "overstock",
            pl.col("today") / pl.col("stock").clip(0.5),
            sells & (pl.col("today") > 5),
            lambda v, m: (
                f"has {number(v)} times as much in stock today as the plan holds on average; the median item "
                f"{number(m)} times"
            ),
        ),
        _Sign(
            "bought",
            pl.col("bought") / (demand / days),
            sells & (pl.col("bought") > 1),
            lambda v, m: f"is bought today for {number(v)} {period}s of demand; the median purchase covers {number(m)}",
        ),
        _Sign(
            "downgraded",
            pl.col("downgraded") / demand,
            sells & (pl.col("downgraded") > 0.5),
            lambda v, m: f"{share(v)} of its demand is downgraded to a slower promise; the median is {share(m)}",
            log=False,
        ),
        _Sign(
            "late",
            pl.col("backordered") / demand,
            sells & (pl.col("backordered") > 0.5),
            lambda v, m: f"a unit of its demand waits {number(v)} {period}s on average; the median is {number(m)}",
            log=False,
        ),
        _Sign(
            "loss",
            pl.col("total_cost") / (pl.col("price") * shipped).clip(1e-6),
            (shipped > 1) & (pl.col("price") > 0) & (pl.col("total_cost") > 0),
            lambda v, m: f"costs {share(v)} of its own turnover; the median item costs {share(m)}",
        ),
    ]


def _scores(values: np.ndarray, log: bool) -> tuple[np.ndarray, float]:
    """Robust standard deviations above the median, and the median."""
    shown = np.log(np.maximum(values, 1e-9)) if log else values
    middle = float(np.median(shown))
    spread = 1.4826 * float(np.median(np.abs(shown - middle)))
    # Where more than half are alike, their spread is that of the rest, and a floor keeps trifles out.
    spread = max(spread, 0.25 * float(np.std(shown)), 0.05 if log else 0.01)
    return (shown - middle) / spread, float(np.median(values))


def strangest(items: pl.DataFrame, days: int, count: int, period: str = "day") -> list[Strange]:
    """The `count` strangest items, at most a third of them for one reason.

    Args:
        items: Aggregates by item (`figures.Figures.items`).
        days: Charged periods of the horizon.
        count: How many to list.
        period: Length of a period, in a word.
    """
    found: list[tuple[str, Strange]] = []
    idle = items.filter((pl.col("demand") <= 1e-6) & (pl.col("today") > 0)).sort("today", descending=True).head(count)
    for row in idle.iter_rows(named=True):
        reason = f"has no demand in the horizon, yet {number(row['today'])} units in stock"
        found.append(("idle", Strange(row["item_id"], reason, _USUAL + 1)))
    for sign in _signs(days, period):
        part = items.filter(sign.where).select("item_id", sign.figure.alias("figure"))
        part = part.filter(pl.col("figure").is_finite())
        if part.height < 8:
            continue
        scores, middle = _scores(part["figure"].to_numpy(), sign.log)
        for at in np.argsort(-scores)[:count]:
            if scores[at] > _USUAL:
                value = float(part["figure"][int(at)])
                found.append((sign.name, Strange(part["item_id"][int(at)], sign.say(value, middle), float(scores[at]))))
    return _varied(found, count)


def _varied(found: list[tuple[str, Strange]], count: int) -> list[Strange]:
    """The highest scores, with several reasons of one item told together and no reason told too often."""
    taken: dict[str, Strange] = {}
    used: dict[str, int] = {}
    for name, one in sorted(found, key=lambda pair: -pair[1].score):
        if one.item_id in taken:
            first = taken[one.item_id]
            taken[one.item_id] = Strange(one.item_id, f"{first.reason}; it also {one.reason}", first.score)
        elif len(taken) < count and used.get(name, 0) < max(count // 3, 1):
            taken[one.item_id] = one
            used[name] = used.get(name, 0) + 1
    return list(taken.values())


def largest(items: pl.DataFrame, count: int) -> list[Strange]:
    """The items with the largest turnover; the reason says what they are of the catalog's, and how they are served."""
    turnover = items.with_columns((pl.col("price") * pl.col("shipped")).alias("turnover"))
    total = float(turnover["turnover"].sum()) or 1.0
    turnover = turnover.filter(pl.col("turnover").is_finite() & pl.col("turnover").is_not_null())
    top = turnover.sort("turnover", "item_id", descending=[True, False]).head(count)
    return [
        Strange(
            row["item_id"],
            f"{share(row['turnover'] / total)} of all turnover; ships {number(row['shipped'])} of "
            f"{number(row['demand'])} units wanted; holds {number(row['stock'])} at {row['places']} sites",
            row["turnover"],
        )
        for row in top.iter_rows(named=True)
    ]
