"""How often a node orders from a vendor whose orders have a least size, a fixed cost or trucks.

Such rules bind all items of an order, and the search sees one item at a time. So each item is searched with the rhythm
that orders of all items together will have: the periods between two orders at which one is large enough, and at which
fixed costs, trucks and holding together cost least (joint replenishment with a common cycle: Goyal 1974; Silver 1976).
What is ordered on a day is decided on the whole order (`meio_jax.plans.vendor_orders`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.errors import InputError, InputWarning, Note, Problem
from meio_jax.tables import Tables
from meio_jax.tables.vendor_rules import MINIMA, TRUCKS, vendor_rules

Loads = dict[str, list[float]]
"""What passes from a vendor to a node in a period, by `key_of`: in the measures of `MEASURES`."""

MEASURES = ("units", "value", "volume", "weight", "holding")
"""Units, their purchase cost, m3 and kg; and what holding all units of a period for a period costs."""


@dataclass(frozen=True)
class Rhythm:
    """How a node orders from a vendor.

    Attributes:
        vendor: Id of the vendor.
        node: Id of the node.
        every: Reviews of the node from one order to the next.
        units: Units below which an order is better postponed, if it can be; 0 where nothing but the rules says so.
        unit_cost: Part of a unit in the fixed costs of an order and its trucks, money.
    """

    vendor: str
    node: str
    every: int
    units: float
    unit_cost: float


def key_of(vendor: str, node: str) -> str:
    return f"{vendor}\n{node}"


def pairs_of(loads: Loads) -> pl.DataFrame:
    """Vendors and nodes between which something passes: `vendor_id, node_id`."""
    pairs = [key.split("\n") for key in loads]
    return pl.DataFrame(pairs, schema={"vendor_id": pl.String, "node_id": pl.String}, orient="row")


def merged_loads(parts: Sequence[Loads]) -> Loads:
    """What passes of the items of all parts."""
    found: dict[str, np.ndarray] = {}
    for part in parts:
        for key, load in part.items():
            found[key] = found.get(key, np.zeros(len(MEASURES))) + np.asarray(load, float)
    return {key: load.tolist() for key, load in found.items()}


def warn_of_idle_rules(tables: Tables, loads: Loads) -> list[InputWarning]:
    """A warning where rules name vendors that offer nothing, or nothing to the node, in any part of the catalog."""
    rows, known = tables.vendors.select("vendor_id", "node_id"), pairs_of(loads)
    general = rows.filter(pl.col("node_id").is_null()).join(known, on="vendor_id", how="anti")
    idle = pl.concat([rows.drop_nulls().join(known, on=["vendor_id", "node_id"], how="anti"), general])
    if idle.is_empty():
        return []
    what = "vendors that offer nothing, or nothing to the node: their rules are of no use"
    vendor, node = idle.row(0)
    place = f"vendors, vendor_id={vendor}" + (f", node_id={node}" if node else "")
    remedy = "correct the vendor_id or node_id, or leave the row out"
    return [InputWarning("vendors without offers", idle.height, what, place, remedy)]


def rhythms_of(tables: Tables, loads: Loads) -> tuple[Rhythm, ...]:
    """The rhythm of every vendor and node with rules.

    Args:
        tables: The network, with the table `vendors`; its offers are not looked at.
        loads: What passes of all items.

    Raises:
        InputError: If no order within the horizon can be large enough.
    """
    review = dict(tables.nodes.select("node_id", "review_period").iter_rows())
    problems, found = [], []
    for row in vendor_rules(tables.vendors, pairs_of(loads)).iter_rows(named=True):
        load = dict(zip(MEASURES, loads.get(key_of(row["vendor_id"], row["node_id"]), [0.0] * 5), strict=True))
        if load["units"] <= 0:
            continue
        gap, periods = int(review[row["node_id"]]), tables.settings.periods
        costs = {k: _cost_rate(row, load, k * gap) for k in range(1, max(periods // gap, 1) + 1)}
        every = min(costs, key=lambda k: (costs[k], k))
        if math.isinf(costs[every]):
            problems.append(_too_large(row, load, periods))
            continue
        share = _order_cost(row, load, every * gap) / (load["units"] * every * gap)
        # Of the shortest rhythm that the rules allow, an order is due as soon as it is large enough for them.
        first = min(k for k, cost in costs.items() if math.isfinite(cost))
        usual = 0.0 if every == first else load["units"] * (every - 0.5) * gap
        found.append(Rhythm(row["vendor_id"], row["node_id"], every, usual, share))
    if problems:
        raise InputError(problems)
    return tuple(found)


def trucks_of(row: dict, load: dict[str, float]) -> float:
    """Trucks that a load fills, parts of one as parts; 0 where the vendor has none."""
    sizes = {name: row[column] for name, column in TRUCKS.items() if row[column]}
    return max((load[name] / size for name, size in sizes.items()), default=0.0)


def _cost_rate(row: dict, load: dict[str, float], periods: int) -> float:
    """Money per period of an order every so many periods; infinite where it is too small to be taken."""
    whole = {name: rate * periods for name, rate in load.items()}
    trucks = trucks_of(row, whole)
    # Sums over parts of a catalog are equal but for rounding.
    short = any(whole[name] < row[column] * (1 - 1e-9) for name, column in MINIMA.items())
    empty = 0 < trucks < row["truck_fill"]
    if short or empty:
        return math.inf
    return _order_cost(row, load, periods) / periods + load["holding"] * periods / 2


def _order_cost(row: dict, load: dict[str, float], periods: int) -> float:
    """Money for an order that holds what passes in so many periods, beside its units and lines."""
    trucks = trucks_of(row, {name: rate * periods for name, rate in load.items()})
    return float(row["order_cost"] + row["truck_cost"] * math.ceil(trucks - 1e-9))


def _too_large(row: dict, load: dict[str, float], periods: int) -> Problem:
    over = [column for name, column in MINIMA.items() if load[name] * periods < row[column]]
    column = over[0] if over else "truck_fill"
    measure = next((name for name, own in MINIMA.items() if own == column), "volume")
    most = f"{load[measure] * periods:,.0f}"
    whole = f"all that {row['node_id']} is expected to need of {row['vendor_id']} in {periods} periods is {most}"
    return Problem(
        "vendors",
        f"vendor_id={row['vendor_id']}, node_id={row['node_id']}",
        column,
        Note(f"{row[column]:,.0f}" if over else f"{row[column]:g} of a truck"),
        f"an order that fills up within the horizon: {whole}",
        "correct the value, offer more items of the vendor to the node, or leave the vendor's offers to this node out",
    )


def load_table(keys: list[str], rows: np.ndarray, values: dict[str, np.ndarray]) -> Loads:
    """Sums of values by key; `rows` is the number of the key of every value."""
    sums = np.stack([np.bincount(rows, values[name], minlength=len(keys)) for name in MEASURES], axis=1)
    return {key: own.tolist() for key, own in zip(keys, sums, strict=True)}


def slow_pairs(rhythms: Sequence[Rhythm]) -> dict[tuple[str, str], int]:
    """Reviews from one order to the next by vendor and node, where a node does not order at every review."""
    return {(one.vendor, one.node): one.every for one in rhythms if one.every > 1}


def rhythm_table(rhythms: Sequence[Rhythm]) -> pl.DataFrame:
    """Rhythms as a table: `vendor_id, node_id, every`."""
    rows = [(one.vendor, one.node, one.every) for one in rhythms]
    return pl.DataFrame(rows, schema={"vendor_id": pl.String, "node_id": pl.String, "every": pl.Int64}, orient="row")
