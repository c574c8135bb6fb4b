"""Small instances that differ in what makes an order hard to execute as it was simulated.

Every instance has equal items, so many samples of one system: the sum of their costs has a narrow interval. Landed cost
is the same at every place, so that a unit left at the end is worth the same to planner and simulator.
"""

from __future__ import annotations

import datetime
import itertools
from dataclasses import dataclass, field

import polars as pl

from meio_jax.tables import Tables
from meio_jax.tables.settings import settings_from_mapping

UNIT_COST = 5.0


@dataclass(frozen=True)
class Case:
    """One instance: items of a kind, how they are supplied, and with which policy they are planned.

    Attributes:
        mean, dispersion: Demand of an item and day, negative binomial.
        offers: Vendors of the first node, as rows of `offers` without item and node.
        nodes: Rows of `nodes` from the first (which buys) to the last (which serves), each supplied by the one before.
        lane_days: Lead time between one node and the next.
        item: Further columns of the items.
        settings: Further settings of the instance.
        policy: Name of the policy.
    """

    name: str
    mean: float = 4.0
    dispersion: float = 0.0
    offers: tuple[dict, ...] = ({"lead_time_mean": 2.0},)
    nodes: tuple[dict, ...] = ({},)
    lane_days: int = 1
    item: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    policy: str = "base_stock"

    def tables(self, items: int = 24, days: int = 14) -> Tables:
        """The instance, checked."""
        names = [f"{self.name}-{k:02d}" for k in range(items)]
        nodes = [f"n{k}" for k in range(len(self.nodes))]
        rows = {
            "items": [{"item_id": name} | _ITEM | self.item for name in names],
            "nodes": [{"node_id": n, "kind": "fc"} | own for n, own in zip(nodes, self.nodes, strict=True)],
            "lanes": [
                {"from_node": above, "to_node": below, "lead_time": self.lane_days}
                for above, below in itertools.pairwise(nodes)
            ],
            "regions": [{"region_id": "r"}],
            "speeds": [{"speed_id": "s", "promise_days": 2, "deliver_by_hour": 24.0}],
            "transit": [{"node_id": nodes[-1], "region_id": "r", "hours": 1.0, "cost_per_unit": 0.5}],
            "cutoffs": [{"node_id": nodes[-1], "speed_id": "s", "cutoff_hour": 24.0}],
            "offers": [
                {"item_id": name, "vendor_id": f"v{k}", "node_id": nodes[0], "unit_cost": UNIT_COST} | offer
                for name in names
                for k, offer in enumerate(self.offers)
            ],
            "shares": [{"profile": "p", "region_id": "r", "speed_id": "s", "wave": 0, "share": 1.0}],
            "forecast": [
                {"item_id": name, "period": t, "mean": self.mean, "dispersion": self.dispersion}
                for name in names
                for t in range(days)
            ],
            "on_hand": [
                {"item_id": name, "node_id": node, "units": units}
                for name in names
                for node, units in zip(nodes, self._stock(), strict=True)
                if units
            ],
            "on_order": [
                {"item_id": name, "node_id": nodes[0], "period_due": day, "units": float(round(self.mean))}
                for name in names
                for day in range(1, self._lead())
                if round(self.mean)
            ],
            "lead_times": [{"vendor_id": "v0", "days": d, "weight": w} for d, w in ((4, 1.0), (6, 2.0), (9, 1.0))],
        }
        base = {
            "name": self.name,
            "start_date": datetime.date(2025, 6, 2),
            "periods": days,
            "wave_ends": [24.0],
            "forecast": "mean",
        }
        frames = {name: pl.DataFrame(table, infer_schema_length=None) for name, table in rows.items() if table}
        return Tables.from_frames(settings_from_mapping(base | self.settings), **frames)

    def _lead(self) -> int:
        return round(min(offer["lead_time_mean"] for offer in self.offers))

    def _stock(self) -> list[float]:
        """Demand of the days until a node can be supplied again, and two more."""
        review = [own.get("review_period", 1) for own in self.nodes]
        ahead = [1, *[self.lane_days] * (len(self.nodes) - 1)]
        return [float(round(self.mean * (lead + every + 1))) for lead, every in zip(ahead, review, strict=True)]


_ITEM = {
    "volume_m3": 0.01,
    "weight_kg": 1.0,
    "price": 12.0,
    "unit_cost": UNIT_COST,
    "holding_cost": 0.1,
    "lost_sale_cost": 14.0,
    "profile": "p",
}

CASES = (
    Case("lead-1", mean=10.0, offers=({"lead_time_mean": 1.0},)),
    Case("lead-7", offers=({"lead_time_mean": 7.0},)),
    Case("lead-21", offers=({"lead_time_mean": 21.0},)),
    Case("weekly-review", nodes=({"review_period": 7, "review_offset": 2},)),
    Case("pack-12", mean=1.0, offers=({"lead_time_mean": 3.0, "pack_size": 12},)),
    Case("pack-48", mean=6.0, dispersion=0.3, offers=({"lead_time_mean": 5.0, "pack_size": 48},)),
    Case("slow-in-packs", mean=0.2, offers=({"lead_time_mean": 2.0, "pack_size": 6, "min_order": 10},)),
    Case(
        "two-vendors",
        dispersion=0.5,
        offers=({"lead_time_mean": 9.0}, {"lead_time_mean": 2.0, "unit_cost": UNIT_COST + 1.5}),
        policy="dual_index",
    ),
    Case("shared-vendors", offers=({"lead_time_mean": 3.0, "pack_size": 4}, {"lead_time_mean": 3.0, "pack_size": 1})),
    Case("three-tiers", nodes=({"kind": "dc"}, {}, {"kind": "same_day"}), lane_days=2),
    Case("three-tiers-weekly", nodes=({"kind": "dc", "review_period": 7}, {"review_period": 2}, {}), lane_days=1),
    Case("backorders", offers=({"lead_time_mean": 3.0},), item={"unmet": "backorder", "backorder_cost": 1.0}),
    Case("gamma-lead", offers=({"lead_time_mean": 6.0, "lead_time_sd": 2.0, "lead_time_law": "gamma"},)),
    Case("recorded-lead", offers=({"lead_time_mean": 6.25, "lead_time_law": "empirical"},)),
)  # fmt: skip


def case(name: str) -> Case:
    """The instance of that name."""
    return {one.name: one for one in CASES}[name]
