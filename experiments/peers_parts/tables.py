"""The state of many episodes as one instance of the planner: an episode is an item, and items share nothing.

The suite orders before it receives and sells, on the stock of the period before: that is the planner's `evening` of the
period before, and a lead time of L periods is L + 1 mornings from there. Exact but for two things that a table cannot
say: what a factory can ship in a period (left out; the suite cuts what is beyond), and the cost of units under way,
which is charged whole when they leave although an episode may end before they arrive.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import numpy as np
import polars as pl

from meio_jax.tables import InstanceSettings, Tables
from peers_parts.demand import PERIODS
from peers_parts.networks import PENALTY, PRICE, Link, PeerNetwork
from peers_parts.world import World

_SPEED = "any"
_START = datetime.date(2025, 1, 6)


def site_id(number: int) -> str:
    """Name of a site in the tables."""
    return f"site {number}"


def vendor_id(number: int) -> str:
    """Name of a source of raw material in the tables."""
    return f"raw {number}"


def tables_of(worlds: Mapping[str, World]) -> Tables:
    """What the planner is told when a period begins: as many periods as an episode has, without demand after its end.

    Args:
        worlds: Episodes by item name, all in one network and at the same period.
    """
    first = next(iter(worlds.values()))
    network = first.setting.network
    settings = InstanceSettings(
        name=f"peers {network.name}",
        start_date=_START + datetime.timedelta(days=first.period),
        periods=PERIODS,
        bucket_periods=1,
        wave_ends=(24.0,),
        forecast="mean",
        ordering="evening",
        terminal="liquidate",
        terminal_credit=0.0,
    )
    frames = _fixed(network) | _items(worlds, network) | _state(worlds, network)
    lanes = [link for link in network.links if not network.bought(link)]
    return Tables.from_frames(settings, lanes=_lanes(network, lanes), **frames)


def _fixed(network: PeerNetwork) -> dict[str, pl.DataFrame]:
    shop = site_id(network.retailer)
    sites = network.sites.items()
    kinds = ["fc" if number == network.retailer else "dc" for number, _ in sites]
    holding = [site.holding for _, site in sites]
    return {
        "nodes": pl.DataFrame(
            {"node_id": [site_id(number) for number, _ in sites], "kind": kinds, "holding_factor": holding}
        ),
        "regions": pl.DataFrame({"region_id": ["market"]}),
        "speeds": pl.DataFrame({"speed_id": [_SPEED], "promise_days": [1], "deliver_by_hour": [24.0]}),
        "transit": pl.DataFrame({"node_id": [shop], "region_id": ["market"], "hours": [1.0], "cost_per_unit": [0.0]}),
        "cutoffs": pl.DataFrame({"node_id": [shop], "speed_id": [_SPEED], "cutoff_hour": [24.0]}),
        "shares": pl.DataFrame(
            {"profile": ["all"], "region_id": ["market"], "speed_id": [_SPEED], "wave": [0], "share": [1.0]}
        ),
    }


def _lanes(network: PeerNetwork, links: list[Link]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "from_node": site_id(link.seller),
                "to_node": site_id(link.buyer),
                "lead_time": link.lead + 1,
                "cost_per_unit": network.sites[link.seller].operating + link.lead * link.under_way,
            }
            for link in links
        ]
    )


def _items(worlds: Mapping[str, World], network: PeerNetwork) -> dict[str, pl.DataFrame]:
    rows, offers, forecast = [], [], []
    for name, world in worlds.items():
        owed, certain = world.setting.backlog, world.setting.demand.recorded
        rows.append(
            {
                "item_id": name,
                "volume_m3": 0.0,
                "weight_kg": 0.0,
                "price": PRICE,
                "unit_cost": 0.0,
                "holding_cost": 1.0,
                "lost_sale_cost": PRICE + PENALTY,
                "backorder_cost": PENALTY if owed else 0.0,
                "unmet": "backorder" if owed else "lost",
                "profile": "all",
            }
        )
        offers += [
            {
                "item_id": name,
                "vendor_id": vendor_id(link.seller),
                "node_id": site_id(link.buyer),
                "unit_cost": link.price,
                "freight_cost": link.lead * link.under_way,
                "lead_time_mean": link.lead + 1.0,
            }
            for link in network.links
            if network.bought(link)
        ]
        law = "fixed" if certain else "negative_binomial"
        forecast += [
            {"item_id": name, "period": period, "mean": float(mean), "law": law}
            for period, mean in enumerate(np.append(world.means(), np.zeros(world.period)))
        ]
    return {"items": pl.DataFrame(rows), "offers": pl.DataFrame(offers), "forecast": pl.DataFrame(forecast)}


def _state(worlds: Mapping[str, World], network: PeerNetwork) -> dict[str, pl.DataFrame]:
    on_hand = [(n, site_id(s), units) for n, world in worlds.items() for s, units in world.stock.items()]
    on_order = [
        (name, site_id(link.buyer), due, units)
        for name, world in worlds.items()
        for number, link in enumerate(network.links)
        for due, units in world.due(number).items()
    ]
    owed = [(name, world.owed) for name, world in worlds.items() if world.owed > 0]
    states = {"on_hand": pl.DataFrame(on_hand, schema=["item_id", "node_id", "units"], orient="row")}
    if on_order:
        columns = ["item_id", "node_id", "period_due", "units"]
        states["on_order"] = pl.DataFrame(on_order, schema=columns, orient="row")
    if owed:
        states["backlog"] = pl.DataFrame(owed, schema=["item_id", "units"], orient="row")
    return states
