"""Why an order changed: items planned again with one thing changed at a time, averaged over the orders of changing.

Between the data and prices of run A and those of run B lie the worlds in which some of them are changed already. A
reason's part is the mean, over all orders in which the reasons can be changed, of what the order of an item changes at
that reason's turn (Shapley 1953): a reason that is no matter of an item has no part in its change, and parts add up to
the difference between the first world and the last one. The first has the data and prices of A in the network and on
the day of B. What is left of the change from A to B (another day, another network, levels that the two solves found
differently) are parts of their own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl

from meio_jax.backtest import window
from meio_jax.items.replan import Replanner, ReplanOptions
from meio_jax.tables import ITEM_TABLES, Tables, read_item_block, read_network
from meio_jax.tables.overlay import item_column
from meio_jax.tables.read import NETWORK_TABLES

TABLES = {
    "forecast": ("forecast",),
    "stock": ("on_hand", "on_order", "backlog", "expiries"),
    "costs": ("items", "offers", "price_breaks"),
    "decisions": ("assortment", "overrides", "planned_orders"),
}
"""Tables of an item that each reason changes; the reason `prices` are the prices of the capacities."""

PRICES, DAY, REST, ITEMS = "prices", "day", "rest", "assortment"
REASONS = (*TABLES, PRICES, DAY, REST, ITEMS)
"""`day` is another day or network, `rest` what the search found otherwise, `assortment` items that one run lacks."""

Amounts = dict[tuple[str, str], tuple[float, float]]
"""Units and money ordered, by item and node."""


@dataclass(frozen=True)
class Side:
    """A run and the instance that it planned."""

    run: Path
    instance: Path


def amounts(orders: pl.DataFrame) -> Amounts:
    """Sums over vendors of a table of orders."""
    sums = orders.group_by("item_id", "node_id").agg(pl.col("units", "cost").sum())
    return {(item, node): (float(units), float(cost)) for item, node, units, cost in sums.iter_rows()}


def shapley(reasons: tuple[str, ...], value: Callable[[frozenset[str]], Amounts]) -> dict[str, Amounts]:
    """Part of each reason in the difference between the value of all reasons and that of none.

    Args:
        reasons: What can be changed.
        value: Amounts where some reasons are changed; asked once for each set.
    """
    worlds = {
        frozenset(chosen): value(frozenset(chosen))
        for size in range(len(reasons) + 1)
        for chosen in itertools.combinations(reasons, size)
    }
    keys = set().union(*worlds.values())
    nothing = (0.0, 0.0)
    found: dict[str, Amounts] = {reason: dict.fromkeys(keys, nothing) for reason in reasons}
    for before, after in ((set_, set_ | {reason}) for set_ in worlds for reason in reasons if reason not in set_):
        (reason,) = after - before
        count = len(reasons)
        orders = math.factorial(len(before)) * math.factorial(count - len(before) - 1)
        for key in keys:
            old, new = worlds[before].get(key, nothing), worlds[after].get(key, nothing)
            so_far = found[reason][key]
            units, cost = (part + orders * (n - o) for part, n, o in zip(so_far, new, old, strict=True))
            found[reason][key] = (units, cost)
    # Divided once: sums of whole units stay exact until then.
    every = math.factorial(len(reasons))
    mean = lambda part: (part[0] / every, part[1] / every)
    return {reason: {key: mean(part) for key, part in own.items()} for reason, own in found.items()}


def explain_orders(
    a: Side, b: Side, items: list[str], orders: Mapping[str, pl.DataFrame], options: ReplanOptions | None = None
) -> pl.DataFrame:
    """Parts of the reasons in the change of the orders of some items that both runs have.

    Args:
        a: The earlier run.
        b: The later run.
        items: Which items.
        orders: `plan/orders` of both, by "a" and "b".
        options: Length of each search.

    Returns:
        `item_id, node_id, reason, units, cost`: rows whose units or cost are not 0.
    """
    later = Replanner(b.run, b.instance)
    levels = later.leveled_by(a.run)
    cheap = later.priced_by(a.run)
    now = later.rows(items)
    earlier = read_item_block(a.instance, items, read_network(a.instance))
    then = on_the_day(earlier, now)
    form = now.settings.forecast
    reasons = tuple(
        reason for reason, names in TABLES.items() if any(_differs(then, now, name, form) for name in names)
    )
    own = {side: amounts(table.filter(pl.col("item_id").is_in(items))) for side, table in orders.items()}

    @cache
    def value(changed: frozenset[str]) -> Amounts:
        old = [name for reason in reasons if reason not in changed for name in TABLES[reason]]
        tables = now.replace(**{name: then.frames()[name] for name in old})
        planner = later if PRICES in changed else cheap
        return amounts(planner.decide(tables, levels, options)["plan/orders"])

    found = shapley((*reasons, PRICES), value)
    moved = _less(value(frozenset()), own["a"])
    found[DAY if _another_day(earlier, now) else REST] = moved
    found[REST] = _plus(found.get(REST, {}), _less(own["b"], value(frozenset((*reasons, PRICES)))))
    return parts_frame(found)


def _another_day(then: Tables, now: Tables) -> bool:
    """Whether two instances differ in their days or their network; capacities act through their prices."""
    if then.settings != now.settings:
        return True
    return any(not then.frames()[name].equals(now.frames()[name]) for name in NETWORK_TABLES if name != "resources")


def _less(now: Amounts, before: Amounts) -> Amounts:
    nothing = (0.0, 0.0)
    pairs = {key: (now.get(key, nothing), before.get(key, nothing)) for key in {*now, *before}}
    return {key: (new[0] - old[0], new[1] - old[1]) for key, (new, old) in pairs.items()}


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return _less(one, {key: (-units, -cost) for key, (units, cost) in other.items()})


def parts_frame(found: Mapping[str, Amounts]) -> pl.DataFrame:
    """Parts as a table, without those that are nothing."""
    rows = [
        (item, node, reason, units, cost)
        for reason, parts in found.items()
        for (item, node), (units, cost) in parts.items()
        if abs(units) > 1e-9 or abs(cost) > 1e-9
    ]
    schema = {"item_id": pl.String, "node_id": pl.String, "reason": pl.String, "units": pl.Float64, "cost": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("item_id", "node_id", "reason")


def on_the_day(then: Tables, now: Tables) -> Tables:
    """Item tables of an earlier day as they would be on the day of another instance of the same items.

    Days of the forecast past its end repeat its last week; what was due before the day is due now, and what could be
    sold until an earlier day can be sold on this day alone.
    """
    day = then.settings.periods_of(pl.Series([now.settings.start_date]).to_numpy())[0]
    if not day and then.settings.periods == now.settings.periods:
        return then
    moved = window(then, int(day), now.settings.periods)
    on_order = _moved_days(then.on_order, "period_due", int(day))
    return moved.replace(on_order=on_order, expiries=_moved_days(then.expiries, "last_period", int(day)))


def _moved_days(frame: pl.DataFrame, column: str, day: int) -> pl.DataFrame:
    """Units by day, each so many days nearer, and no day before the first; rows that fall on one day are one."""
    moved = frame.with_columns((pl.col(column) - day).clip(0).cast(frame.schema[column]))
    keys = [name for name in frame.columns if name != "units"]
    return moved.group_by(keys, maintain_order=True).agg(pl.col("units").sum()).select(frame.columns)


def _differs(then: Tables, now: Tables, name: str, form: str) -> bool:
    """Whether an item table has other rows or values."""
    old, new = then.frames()[name], now.frames()[name]
    assert name in ITEM_TABLES
    keys = [item_column(name, form), *(column for column in new.columns if column != item_column(name, form))]
    return old.columns != new.columns or not old.sort(keys).equals(new.sort(keys))
