"""What expected demand leaves of stock and of what is under way, day by day: shortages before anything new arrives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float

from meio_jax.distributed.kept_programs import kept_jit
from meio_jax.instance import Instance
from meio_jax.model.network import Network
from meio_jax.plans.decisions import joined
from meio_jax.tables.open_days import next_open

# Items looked at together: a table by period, node and item of them stays small.
_TOGETHER = 2048


@dataclass(frozen=True)
class Late:
    """A receipt that comes too late: units missing by the day before, the day on which stock is empty, units due."""

    item: int
    node: int
    units: float
    empty: int
    due: int
    coming: float


@dataclass(frozen=True)
class Ahead:
    """Facts of every item by expected demand.

    `sourced` says whether a vendor can be ordered from; `first_receipt` is the period in which an order of today
    arrives at the earliest, and `gap` the units that the whole network lacks before it. `late` are receipts after a
    shortage.
    """

    sourced: np.ndarray
    first_receipt: np.ndarray
    gap: np.ndarray
    late: list[Late]


@kept_jit
def _echelon(network: Network) -> Float[Array, "nodes nodes"]:
    return network.echelon_matrix()


def supply_ahead(instance: Instance) -> Ahead:
    """Look ahead at every item of an instance, by expected demand and what is under way today."""
    block, periods = instance.catalog.block, instance.network.periods
    demand = joined(instance, block.mean_demand)[:periods].astype(float)
    own, on_hand = joined(instance, block.own_share), joined(instance, block.on_hand)
    pipelines = joined(instance, block.vendor_pipeline), joined(instance, block.lane_pipeline)
    active = joined(instance, block.offer_active) > 0
    first = np.minimum(
        np.where(active, _first_arrivals(instance), periods).min(0, initial=periods), periods - 1
    ).astype(int)
    gap, late = np.zeros(len(instance.items)), []
    for start in range(0, len(instance.items), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        coming = _receipts(instance, (pipelines[0][..., some], pipelines[1][..., some]))
        short = np.cumsum(demand[:, some] - coming.sum(1), axis=0) - on_hand[:, some].sum(0)
        before = np.arange(periods)[:, None] < first[some]
        gap[some] = np.where(before, short, 0).max(0, initial=0)
        late += _late(instance, start, demand[:, some], (own[:, some], on_hand[:, some]), coming)
    return Ahead(np.any(active, axis=0), first, gap, late)


def _first_arrivals(instance: Instance) -> np.ndarray:
    """Period in which what is ordered of each offer slot as soon as possible arrives, `[offers, items]`."""
    network, block = instance.network, instance.catalog.block
    lead, calendar = np.maximum(np.rint(joined(instance, block.offer_lead)), 1).astype(int), network.calendar
    if calendar is None:
        return lead
    ordered = next_open(np.asarray(calendar.offer))[0]
    vendor = joined(instance, block.offer_vendor).astype(int)
    slot, node = np.arange(network.offers)[:, None], np.asarray(network.offer_node, int)[:, None]
    due = ordered[np.asarray(calendar.of_vendor)[vendor], slot] + lead
    received = np.asarray(calendar.received)
    return received[np.minimum(due, received.shape[0] - 1), node]


def _receipts(instance: Instance, pipelines: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Units that arrive at each node in each period, `[periods, nodes, items]`."""
    network = instance.network
    table = np.zeros((network.periods, network.nodes, pipelines[0].shape[-1]), np.float32)
    for rows, pipeline in zip((network.vendor_nodes, network.lane_nodes), pipelines, strict=True):
        reach = min(network.periods, pipeline.shape[1])
        for row, node in enumerate(rows):
            table[:reach, node] += pipeline[row, :reach]
    return table


def _late(
    instance: Instance, start: int, demand: np.ndarray, places: tuple[np.ndarray, np.ndarray], coming: np.ndarray
) -> list[Late]:
    """The first receipt of every node (with the nodes that it supplies) that comes after stock has run out."""
    echelon = np.asarray(_echelon(instance.network), float)
    own, on_hand = places
    found = []
    for node in range(instance.network.nodes):
        if not coming[:, node].any():
            continue
        receipts = np.einsum("n,pni->pi", echelon[node], coming)
        asked = np.cumsum(demand * (echelon[node] @ own), axis=0)
        left = echelon[node] @ on_hand + np.cumsum(receipts, axis=0) - asked
        for item in np.flatnonzero((coming[:, node].sum(0) > 0) & (left.min(0) < 0)):
            empty = int(np.argmax(left[:, item] < 0))
            later = np.flatnonzero(coming[empty + 1 :, node, item] > 0)
            if not later.size:
                continue
            due = empty + 1 + int(later[0])
            units = float(coming[due, node, item])
            missing = float(-left[empty:due, item].min())
            found.append(Late(start + int(item), node, min(missing, units), empty, due, units))
    return found
