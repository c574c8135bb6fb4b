"""Transshipment as a plan says: before the nodes of a tier order they get what other nodes can spare."""

import math

import numpy as np
import polars as pl

from meio_jax.backtest.compiled import inlined
from meio_jax.backtest.lookup import bad, integers, numbers, rows_of
from meio_jax.backtest.lots import able_to_ship
from meio_jax.backtest.supply import asks

SPARE = ("keep_units", "cover_units", "used_units", "sender_rate", "sender_days")
"""Columns of a table of transshipment: units above its level that a sender keeps (empty: all); what a receiver is
raised to that will have less when a shipment of now arrives (0: it is not), and what it sells until then; what the
sender sells a day, and the days for which it has to do with what comes."""
_KEEP, _COVER, _USED, _RATE, _DAYS = range(5)

# A hair below a whole number of units is that number.
_HAIR = 1e-3


def spare_rules(table: pl.DataFrame, world) -> np.ndarray:
    """The rule of a plan `[B, items, lanes, columns]`; buckets past the last one listed repeat it.

    Raises:
        InputError: If a column is missing, or a row names an item or a lane that the instance lacks.
    """
    lanes = {pair: lane for lane, pair in enumerate(zip(world.supply.lane_from, world.supply.lane_to, strict=True))}
    out = np.zeros((world.buckets, len(world.items), len(lanes), len(SPARE)))
    out[..., _KEEP], out[..., _DAYS] = np.inf, 1
    if not table.height:
        return out
    for name in ("item_id", "from_node", "to_node", "bucket", *SPARE):
        if name not in table.columns:
            raise bad("transshipment", "", name, "the columns of plan/transshipment", None, "take the table of a run")
    item = rows_of(table["item_id"], world.items, "transshipment")
    ends = [rows_of(table[name], world.nodes, "transshipment") for name in ("from_node", "to_node")]
    lane = np.array([lanes.get(pair, -1) for pair in zip(*ends, strict=True)], np.int64)
    if (lane < 0).any():
        row = int(np.argmin(lane))
        found = " -> ".join(table.row(row, named=True)[name] for name in ("from_node", "to_node"))
        raise bad("transshipment", f"row {row + 1}", "from_node, to_node", "a lane of the instance", found)
    value = np.stack([numbers(table, name, np.inf if name == SPARE[0] else 0.0) for name in SPARE], axis=-1)
    bucket = integers(table, "bucket")
    own = bucket < world.buckets
    out[bucket[own], item[own], lane[own]] = value[own]
    last = int(bucket.max())
    if last < world.buckets - 1:
        out[last + 1 :] = out[last]
    return out


@inlined
def _due(kept, item, node, day):
    """Units due on a day, of those that were under way before today's decisions."""
    state, out, first = kept
    row = state.due_row[item, node]
    units = state.due[row, day] if row >= 0 and day < state.due.shape[1] else 0
    for k in range(first, out.filled[0]):
        if out.node[k] == node and out.due[k] == day:
            units -= out.units[k]
    return units


@inlined
def _spare_units(supply, kept, rule, node, when):
    """What a node can give without running out before more comes; `when` is (item, day, 1 in the morning)."""
    item, day, morning = when
    state = kept[0]
    left = float(state.on_hand[item, node] - state.waiting[item, node])
    least = left - morning * rule[_RATE]
    for ahead in range(1, int(rule[_DAYS])):
        left += _due(kept, item, node, day + ahead)
        least = min(least, left - (ahead + morning) * rule[_RATE])
    free = min(able_to_ship(supply, state, item, node, day), state.on_hand[item, node] - morning * rule[_RATE])
    return max(min(least, free), 0.0)


@inlined
def _near_units(supply, kept, rule, lane, when):
    """What the receiver of a lane has when a shipment of now arrives."""
    item, day, _morning = when
    state = kept[0]
    node = supply.lane_to[lane]
    near = max(state.on_hand[item, node] - rule[_USED], 0.0) - state.waiting[item, node]
    for ahead in range(1, math.floor(supply.lane_mean[lane] + 0.5) + 1):
        near += _due(kept, item, node, day + ahead)
    return near


@inlined
def _moved(supply, desk, node, side):
    """Units that are sent from a node so far (side 0), or to it (1)."""
    total = 0
    for lane in supply.beside:
        end = supply.lane_from[lane] if side == 0 else supply.lane_to[lane]
        if end == node:
            total += desk.moved[lane]
    return total


@inlined
def _able(supply, kept, rules, desk, origin, task):
    """What a node can still give, by any lane that the plan uses."""
    for lane in supply.beside:
        used = rules[lane, _COVER] > 0.0 or rules[lane, _KEEP] < np.inf
        if supply.lane_from[lane] == origin and used:
            spare = _spare_units(supply, kept, rules[lane], origin, task)
            return max(spare - _moved(supply, desk, origin, 0), 0.0)
    return 0.0


@inlined
def _wish(supply, kept, rules, desk, below, at):
    """What a lane is asked for, and what is above the level of its origin; `at` is (lane, purpose, task)."""
    lane, purpose, task = at
    origin, target = supply.lane_from[lane], supply.lane_to[lane]
    over = max(-below[origin] - _moved(supply, desk, origin, 0) - rules[lane, _KEEP], 0.0)
    if not desk.into[target] or not desk.due[target] or not supply.open[task[0], lane]:
        return 0.0, over
    if not asks(supply, lane, task[1]):
        return 0.0, over
    got = _moved(supply, desk, target, 1)
    if purpose == 1:
        return max(min(below[target] - got, over), 0.0), over
    if rules[lane, _COVER] <= 0.0:
        return 0.0, over
    short = max(rules[lane, _COVER] - _near_units(supply, kept, rules[lane], lane, task), 0.0)
    return max(short - got, 0.0), over


@inlined
def _give(supply, desk, turn, origin, able):
    """Share what a node can give among the lanes that ask it: in proportion, in whole units of the running sum."""
    asked = 0.0
    for lane in supply.beside:
        if supply.turn[lane] == turn and supply.lane_from[lane] == origin:
            asked += desk.wish[lane]
    part = min(1.0, able / asked) if asked > 0.0 else 0.0
    most, upto, done = math.floor(able + _HAIR), 0.0, 0
    for lane in supply.beside:
        desk.gift[lane] = desk.gift[lane] if supply.lane_from[lane] != origin else 0
        if supply.turn[lane] == turn and supply.lane_from[lane] == origin:
            upto += part * desk.wish[lane]
            whole = min(math.floor(upto + 0.5), most)
            desk.gift[lane] = whole - done
            done = whole


@inlined
def level_out(supply, kept, rules, desk, below, task):
    """Units that the lanes of transshipment bring to the nodes of a tier, into `desk.moved`.

    First nodes that will run out before more comes are raised to what the plan says, from stock that others do not
    need; then positions below their level from positions above theirs. Cheaper lanes come first.

    Args:
        supply: Lanes.
        kept: Stock, what is sent today, and the number of its first entry of the item.
        rules: The plan's rule, `[lanes, columns]`.
        desk: Scratch; `into` marks the nodes of the tier.
        below: By how much positions are below their levels, `[nodes]`.
        task: `(item, day, 1 in the morning)`.
    """
    desk.moved[:] = 0
    for purpose in range(2):
        for turn in range(supply.turns):
            desk.over[:] = 0.0
            for lane in supply.beside:
                if supply.turn[lane] == turn:
                    desk.wish[lane], over = _wish(supply, kept, rules, desk, below, (lane, purpose, task))
                    origin = supply.lane_from[lane]
                    if desk.into[supply.lane_to[lane]]:
                        desk.over[origin] = max(desk.over[origin], over)
            for origin in range(len(below)):
                able = _able(supply, kept, rules, desk, origin, task)
                _give(supply, desk, turn, origin, able if purpose == 0 else min(able, desk.over[origin]))
            for lane in supply.beside:
                if supply.turn[lane] == turn:
                    desk.moved[lane] += desk.gift[lane]
