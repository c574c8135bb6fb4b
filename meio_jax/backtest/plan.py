"""`PlanTable`: what a plan or policy tells the simulator, whoever made it.

Also reads a run folder's tables, and mixes two plans item by item for randomised A/B comparisons.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from meio_jax.backtest.limits import MEASURES
from meio_jax.backtest.lookup import bad, integers, numbers, optional_rows, rows_of, solid, texts
from meio_jax.backtest.network import World
from meio_jax.backtest.plan_shares import offer_items, order_sizes, plan_shares
from meio_jax.backtest.spare import SPARE, spare_rules
from meio_jax.backtest.unit_values import unit_values
from meio_jax.tables.frames import Frame, as_polars
from meio_jax.tables.own_files import read_own_table

NONE = -1
_PLAIN = MEASURES.index("money") + 1
# Policies whose levels are of expected stock at arrival: only the planner, which has the forecast, can follow them.
_OF_EXPECTED_STOCK = frozenset({"projected_level", "neural"})


class Levels(NamedTuple):
    """A plan as arrays. B is the number of buckets, or 1 where all share one value.

    `target [B, items, nodes]`; `fast` and `cap` alike, -1 where there is none (shape `[1, 1, 1]` and flag 0
    if the plan has none at all). `protection [B, items, speeds, nodes]`. `arm [items]` says which column of
    `echelon [arms, nodes]` and `price [arms, buckets, nodes, measures]` (money per unit, m3, kg ... shipped) an
    item follows. `offer_share [B, offers]` and `lane_share [B, items, lanes]` are parts of what a node orders,
    -1 where the plan leaves them to the data (shapes `[1, 1]` and `[1, 1, 1]` if it has none at all). `size [offers]`
    is what an order has at least (no entries: any size will do).
    `spare [B, items, lanes, 5]` is when units are transshipped (`SPARE`); of one entry without a rule.
    `value [B, items, nodes, 7]` is what a unit given up is worth (`UNIT_VALUES`), and `ahead [items, nodes, 3]` what is
    expected of a node on a day (`look_ahead`); of one entry without values.
    """

    target: np.ndarray
    fast: np.ndarray
    cap: np.ndarray
    protection: np.ndarray
    arm: np.ndarray
    echelon: np.ndarray
    price: np.ndarray
    offer_share: np.ndarray
    lane_share: np.ndarray
    value: np.ndarray
    ahead: np.ndarray
    size: np.ndarray
    spare: np.ndarray
    has_fast: int
    has_cap: int
    has_protection: int
    has_shares: int
    has_values: int
    has_spare: int


@dataclass(frozen=True)
class PlanTable:
    """Targets and what goes with them, as frames; everything but `targets` may be left out.

    Frames of pandas and Arrow tables are taken too.

    Attributes:
        targets: `item_id, node_id, target` or `target_units` and, optionally, `bucket` (null or absent: all),
            `fast_target`, `order_cap`. A pair that is not listed has target 0.
        protection: `item_id, node_id, speed_id, units` and, optionally, `bucket`: stock of the node that
            this speed may not touch.
        prices: as the run folder's `prices`; only outbound rows matter: they steer the choice of the site.
        shares: `item_id, node_id, source (vendor or node), source_id, share` and, optionally, `bucket`: how a
            node divides what it orders; where a pair of item and node is not listed, by the shares of the data.
        values: `item_id, node_id`, the columns `UNIT_VALUES` and, optionally, `bucket`, as the run folder's
            `plan/node_values`: what a unit given up at a node is worth, which is added to the cost by which the site is
            chosen. A pair that is not listed gives nothing up.
        vendors: `vendor_id, node_id, usual_units, every`: units below which an order of all items is put off, for at
            most so many days.
        sizes: `item_id, vendor_id, node_id, units`: what an order has at least, if there is one.
        transshipment: as the run folder's `plan/transshipment`: when units are transshipped; None: never.
        echelon: nodes whose target counts the stock of the nodes that they supply as well.
        name: for reports.
        chosen: items (ids) that follow `other` instead, if this is a mixture.
        other: the other plan of a mixture.
    """

    targets: Frame
    protection: Frame | None = None
    prices: Frame | None = None
    shares: Frame | None = None
    values: Frame | None = None
    sizes: Frame | None = None
    vendors: Frame | None = None
    transshipment: Frame | None = None
    echelon: frozenset[str] = frozenset()
    name: str = "plan"
    chosen: frozenset[str] = field(default_factory=frozenset)
    other: "PlanTable | None" = None

    def __post_init__(self) -> None:
        for name in ("targets", "protection", "prices", "shares", "values", "sizes", "vendors", "transshipment"):
            frame = getattr(self, name)
            if frame is not None:
                object.__setattr__(self, name, as_polars(frame, name))

    def mixed(self, other: "PlanTable", chosen: list[str]) -> "PlanTable":
        """This plan, but the items `chosen` follow `other`: one world, shared capacities, two policies."""
        return replace(self, other=other, chosen=frozenset(chosen), name=f"{self.name}|{other.name}")

    def levels(self, world: World) -> Levels:
        """Arrays of the plan for an instance."""
        mine = _levels(self, world)
        if self.other is not None:
            pick = np.array([item in self.chosen for item in world.items])
            mine = _mix(mine, self.other.levels(world), pick, offer_items(world.supply))
        return solid(mine)

    def usual(self, world: World) -> dict[tuple[int, int], tuple[float, int]]:
        """Units below which orders are put off, and for how many days at most, by vendor and node."""
        table = pl.DataFrame() if self.vendors is None else self.vendors
        if not table.height:
            return {}
        vendor = rows_of(table["vendor_id"], world.vendors, "vendors")
        node = rows_of(table["node_id"], world.nodes, "vendors")
        values = zip(numbers(table, "usual_units").tolist(), integers(table, "every").tolist(), strict=True)
        return dict(zip(zip(vendor.tolist(), node.tolist(), strict=True), values, strict=True))


PlanSource = PlanTable | Callable[["Snapshot"], PlanTable | None]
"""A plan, or a function that may give a new one on every day on which some node reviews (None: keep the
last)."""


@dataclass(frozen=True)
class Snapshot:
    """What a planner may see before a review: day, stock and goods under way, integer arrays `[items,
    nodes]`."""

    day: int
    on_hand: np.ndarray
    on_order: np.ndarray
    world: World


def _levels(plan: PlanTable, world: World) -> Levels:
    table = plan.targets
    fast, cap = (_has(table, name) for name in ("fast_target", "order_cap"))
    name = "target_units" if _has(table, "target_units") else "target"
    target = _spread(table, name, world, 0)
    guard = pl.DataFrame() if plan.protection is None else plan.protection
    guarded = guard.height > 0
    none = np.full((1, 1, 1), NONE, np.int64)
    split = pl.DataFrame() if plan.shares is None else plan.shares
    offer_share, lane_share = plan_shares(split, world) if split.height else (np.full((1, 1), -1.0), none * 1.0)
    worth = pl.DataFrame() if plan.values is None else plan.values
    moves = plan.transshipment if len(world.supply.beside) else None
    shape = (1, len(world.nodes))
    echelon = np.zeros(shape, np.bool_)
    echelon[0] = [node in plan.echelon for node in world.nodes]
    return Levels(
        target=target,
        fast=_spread(table, "fast_target", world, NONE) if fast else none,
        cap=_spread(table, "order_cap", world, NONE) if cap else none,
        protection=_protection(guard, world) if guarded else np.zeros((1, 1, 1, 1), np.int64),
        arm=np.zeros(len(world.items), np.int64),
        echelon=echelon,
        price=_outbound_price(plan.prices, world)[None],
        offer_share=offer_share,
        lane_share=lane_share,
        value=unit_values(worth, world),
        ahead=np.zeros((1, 1, 3)),
        size=order_sizes(plan.sizes, world),
        spare=np.zeros((1, 1, 1, 1)) if moves is None else spare_rules(moves, world),
        has_fast=int(fast),
        has_cap=int(cap),
        has_protection=int(guarded),
        has_shares=int(split.height > 0),
        has_values=int(worth.height > 0),
        has_spare=int(moves is not None),
    )


def _has(table: pl.DataFrame, name: str) -> bool:
    return name in table.columns and table[name].null_count() < table.height


def _buckets(table: pl.DataFrame, world: World) -> np.ndarray | None:
    """Bucket of each row, or None where no row names one."""
    if not _has(table, "bucket"):
        return None
    return integers(table, "bucket", NONE)


def _spread(table: pl.DataFrame, name: str, world: World, missing: int) -> np.ndarray:
    """`[B, items, nodes]` of a column, rounded to whole units; buckets past the last listed one repeat it."""
    if not {"item_id", "node_id", name} <= set(table.columns):
        raise bad("targets", "", name, "columns item_id, node_id and target (or target_units)", None)
    value = numbers(table, name, float(missing))
    if not np.isfinite(value).all():
        raise bad("targets", f"row {int(np.argmin(np.isfinite(value))) + 1}", name, "a finite number")
    value = np.floor(value + 0.5).astype(np.int64)
    item, node = (
        rows_of(table["item_id"], world.items, "targets"),
        rows_of(table["node_id"], world.nodes, "targets"),
    )
    bucket = _buckets(table, world)
    if bucket is None:
        out = np.full((1, len(world.items), len(world.nodes)), missing, np.int64)
        out[0, item, node] = value
        return out
    out = np.full((world.buckets, len(world.items), len(world.nodes)), missing, np.int64)
    everywhere = bucket < 0
    out[:, item[everywhere], node[everywhere]] = value[everywhere]
    own = (bucket >= 0) & (bucket < world.buckets)
    out[bucket[own], item[own], node[own]] = value[own]
    last = int(bucket.max())
    if 0 <= last < world.buckets - 1:
        out[last + 1 :] = out[last]
    return out


def _protection(table: pl.DataFrame, world: World) -> np.ndarray:
    at = (
        rows_of(table["item_id"], world.items, "protection"),
        rows_of(table["speed_id"], world.speeds, "protection"),
        rows_of(table["node_id"], world.nodes, "protection"),
    )
    value = np.floor(numbers(table, "units") + 0.5).astype(np.int64)
    bucket = _buckets(table, world)
    shape = (len(world.items), len(world.speeds), len(world.nodes))
    out = np.zeros((1 if bucket is None else world.buckets, *shape), np.int64)
    if bucket is None:
        out[(0, *at)] = value
        return out
    everywhere = bucket < 0
    item, speed, node = (x[everywhere] for x in at)
    out[:, item, speed, node] = value[everywhere]
    own = (bucket >= 0) & (bucket < world.buckets)
    item, speed, node = (x[own] for x in at)
    out[bucket[own], item, speed, node] = value[own]
    return out


def _outbound_price(prices: pl.DataFrame | None, world: World) -> np.ndarray:
    """`[buckets, nodes, measures]` price of outbound capacity, money per unit, m3, kg and, where the instance counts
    any, pallet, hour and line of customers (0 where no price is given)."""
    measures = len(MEASURES) if (world.limits.measure >= _PLAIN).any() else _PLAIN
    out = np.zeros((world.buckets, len(world.nodes), measures))
    if prices is None or not prices.height:
        return out
    rows = prices.filter(pl.col("kind") == "outbound")
    measure = [MEASURES.index(text) for text in texts(rows, "measure", "units")]
    node = optional_rows(rows["node_id"], world.nodes)
    bucket = integers(rows, "bucket", NONE)
    value = numbers(rows, "price")
    for n, b, m, price in zip(node, bucket, measure, value, strict=True):
        if n >= 0 and b < world.buckets:
            out[slice(None) if b < 0 else b, n, m] += price
    return out


def _mix(mine: Levels, theirs: Levels, pick: np.ndarray, owner: np.ndarray) -> Levels:
    """Rows of `theirs` where `pick`, of `mine` elsewhere; `owner [offers]` is the item of an offer."""

    def blend(a: np.ndarray, b: np.ndarray, used: int = 1, pick: np.ndarray = pick) -> np.ndarray:
        if not used:
            return a
        shape = tuple(max(pair) for pair in zip(a.shape, b.shape, strict=True))
        a, b = (np.broadcast_to(x, shape) for x in (a, b))
        return np.ascontiguousarray(np.where(pick.reshape((1, -1) + (1,) * (len(shape) - 2)), b, a))

    flags = Levels._fields[-6:]
    fast, cap, guarded, split, valued, moves = (max(getattr(mine, flag), getattr(theirs, flag)) for flag in flags)
    return Levels(
        target=blend(mine.target, theirs.target),
        fast=blend(mine.fast, theirs.fast, fast),
        cap=blend(mine.cap, theirs.cap, cap),
        protection=blend(mine.protection, theirs.protection, guarded),
        arm=np.where(pick, theirs.arm + len(mine.echelon), mine.arm),
        echelon=np.concatenate([mine.echelon, theirs.echelon]),
        price=np.concatenate([mine.price, theirs.price]),
        offer_share=blend(mine.offer_share, theirs.offer_share, split, pick[owner]),
        lane_share=blend(mine.lane_share, theirs.lane_share, split),
        value=blend(mine.value, theirs.value, valued),
        ahead=mine.ahead,
        size=_mixed_sizes(mine.size, theirs.size, pick[owner]),
        spare=blend(_or_never(mine), _or_never(theirs), moves),
        has_fast=fast,
        has_cap=cap,
        has_protection=guarded,
        has_shares=split,
        has_values=valued,
        has_spare=moves,
    )


def _or_never(levels: Levels) -> np.ndarray:
    """The rule of transshipment of a plan; of one without, that nothing is shipped."""
    if levels.has_spare:
        return levels.spare
    never = np.zeros((1, 1, 1, len(SPARE)))
    never[..., 0], never[..., -1] = np.inf, 1
    return never


def _mixed_sizes(mine: np.ndarray, theirs: np.ndarray, pick: np.ndarray) -> np.ndarray:
    """Sizes of orders of two plans; `pick [offers]` are those of theirs."""
    if not len(mine) and not len(theirs):
        return mine
    mine, theirs = (sizes if len(sizes) else np.zeros(len(pick), np.int64) for sizes in (mine, theirs))
    return np.where(pick, theirs, mine)


def read_run(folder: str | Path) -> PlanTable:
    """The plan of a run folder: `plan/targets`, `protection`, `shares`, `node_values` and `prices`, where they exist.

    Raises:
        InputError: If the run is not finished, or its levels are of no inventory position: the simulator follows these.
    """
    folder = Path(folder)
    table = read_own_table(folder, "plan/targets")
    if table is None:
        place = str(folder / "plan" / "targets.parquet")
        raise bad(place, "", "", "the targets of a finished run", None, "run `meio solve` first")
    there = lambda name: read_own_table(folder, name)
    policy = _policy_of(folder)
    if policy in _OF_EXPECTED_STOCK:
        expected = "a policy whose levels are of the inventory position"
        remedy = "give a run of another policy, or let the planner order every morning: `meio backtest`"
        raise bad(str(folder / "config.yaml"), "policy", "name", expected, policy, remedy)
    echelon = frozenset(table["node_id"].unique().to_list()) if policy == "echelon" else frozenset()
    return PlanTable(
        targets=table,
        protection=there("plan/protection"),
        shares=there("plan/shares"),
        sizes=there("plan/order_sizes"),
        vendors=there("plan/vendor_orders"),
        prices=there("prices"),
        values=there("plan/node_values"),
        transshipment=there("plan/transshipment"),
        echelon=echelon,
        name=folder.name,
    )


def _policy_of(folder: Path) -> str:
    """`policy.name` of a run's configuration; empty if it does not say."""
    config = folder / "config.yaml"
    part = ""
    # A byte that is no text is in another line, or the name is none that is known.
    text = config.read_text(encoding="utf-8", errors="replace") if config.exists() else ""
    for line in text.splitlines():
        if line[:1].strip():
            part = line.partition(":")[0].strip()
        words = line.translate(str.maketrans("{},'\"", "     ")).split()
        if part == "policy" and "name:" in words:
            return " ".join(words[words.index("name:") + 1 :][:1])
    return ""
