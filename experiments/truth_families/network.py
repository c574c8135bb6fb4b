"""Small networks as the tables of an instance: sites that sell to a region of their own, lanes and vendor offers."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from meio_jax.tables import InstanceSettings, Tables

START = datetime.date(2025, 1, 6)
_SPEED = "any"


@dataclass(frozen=True)
class Site:
    """A stocking location; one that `sells` serves a region of its own, at no cost and on the same day."""

    name: str
    holding_factor: float = 1.0
    sells: bool = True
    review_period: int = 1


@dataclass(frozen=True)
class Item:
    """An item whose demand is split over the selling sites by `shares` (which add up to 1)."""

    name: str
    shares: dict[str, float]
    holding: float
    penalty: float
    unmet: str = "lost"
    volume: float = 1.0


@dataclass(frozen=True)
class Offer:
    """What a vendor delivers to a site."""

    item: str
    site: str
    lead_time: int
    unit_cost: float = 0.0
    vendor: str = "vendor"
    share: float = 1.0


@dataclass(frozen=True)
class Setting:
    """Everything that an instance consists of; `lanes` are (from, to, lead time), `on_hand` (item, site, units)."""

    settings: dict
    sites: Sequence[Site]
    items: Sequence[Item]
    offers: Sequence[Offer]
    forecast: pl.DataFrame
    lanes: Sequence[tuple[str, str, int]] = ()
    resources: Sequence[dict] = field(default_factory=list)
    on_hand: Sequence[tuple[str, str, float]] = ()


def _items(items: Sequence[Item]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "item_id": item.name,
                "volume_m3": item.volume,
                "weight_kg": 1.0,
                "price": 0.0,
                "unit_cost": 0.0,
                "holding_cost": item.holding,
                "lost_sale_cost": item.penalty if item.unmet == "lost" else 0.0,
                "backorder_cost": item.penalty if item.unmet == "backorder" else 0.0,
                "unmet": item.unmet,
                "profile": item.name,
            }
            for item in items
        ]
    )


def build(setting: Setting) -> Tables:
    """The checked tables of an instance.

    Raises:
        InputError: If a row of a truth table describes something that is no instance.
    """
    selling = [site.name for site in setting.sites if site.sells]
    frames = {
        "items": _items(setting.items),
        "nodes": pl.DataFrame(
            [
                {
                    "node_id": site.name,
                    "kind": "fc" if site.sells else "dc",
                    "holding_factor": float(site.holding_factor),
                    "review_period": site.review_period,
                }
                for site in setting.sites
            ]
        ),
        "regions": pl.DataFrame({"region_id": selling}),
        "speeds": pl.DataFrame({"speed_id": [_SPEED], "promise_days": [1], "deliver_by_hour": [24.0]}),
        "transit": pl.DataFrame({"node_id": selling, "region_id": selling, "hours": 1.0, "cost_per_unit": 0.0}),
        "cutoffs": pl.DataFrame({"node_id": selling, "speed_id": _SPEED, "cutoff_hour": 24.0}),
        "shares": pl.DataFrame(
            [
                {"profile": item.name, "region_id": site, "speed_id": _SPEED, "wave": 0, "share": float(share)}
                for item in setting.items
                for site, share in item.shares.items()
            ]
        ),
        "offers": pl.DataFrame(
            [
                {
                    "item_id": offer.item,
                    "vendor_id": offer.vendor,
                    "node_id": offer.site,
                    "unit_cost": float(offer.unit_cost),
                    "lead_time_mean": float(offer.lead_time),
                    "share": offer.share,
                }
                for offer in setting.offers
            ]
        ),
        "forecast": setting.forecast,
    }
    if setting.lanes:
        frames["lanes"] = pl.DataFrame(setting.lanes, schema=["from_node", "to_node", "lead_time"], orient="row")
    if setting.resources:
        frames["resources"] = pl.DataFrame(setting.resources)
    if setting.on_hand:
        frames["on_hand"] = pl.DataFrame(setting.on_hand, schema=["item_id", "node_id", "units"], orient="row")
    # Published systems order after the period's demand, and end with it.
    usual = {"ordering": "evening", "terminal": "liquidate"}
    settings = InstanceSettings(start_date=START, wave_ends=(24.0,), **(usual | setting.settings))
    return Tables.from_frames(settings, **frames)
