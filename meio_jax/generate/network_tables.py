"""Tables of the network and of items, and the text of instance.yaml."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import yaml

from meio_jax.generate.items import Items
from meio_jax.generate.shares import Profiles
from meio_jax.generate.supply import KINDS, Network

CARBON_KG_PER_KG_KM = 1.0e-4  # about 100 g CO2 per tonne-kilometre, a long-haul truck
CARBON_PARCEL_KG = 0.15  # the last mile of a parcel


def network_tables(network: Network) -> dict[str, pl.DataFrame]:
    """Tables nodes, lanes, regions, speeds, transit, cutoffs."""
    return {
        "nodes": _nodes(network),
        "lanes": _lanes(network),
        "regions": pl.DataFrame(
            {
                "region_id": network.region_id, "latitude": np.round(network.region.lat, 5),
                "longitude": np.round(network.region.lon, 5),
                "population": np.round(network.region.population),
                "region_group": network.group, "country": network.region.country,
            }
        ),
        "speeds": pl.DataFrame(
            {
                "speed_id": network.speeds.name, "promise_days": network.speeds.promise_days,
                "deliver_by_hour": network.speeds.deliver_by_hour, "cost_factor": network.speeds.cost_factor,
            }
        ),
        "transit": _transit(network),
        "cutoffs": _cutoffs(network),
    }  # fmt: skip


def _nodes(network: Network) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "node_id": network.node_id,
            "kind": np.array(KINDS)[network.tier],
            "latitude": np.round(network.site.lat, 5),
            "longitude": np.round(network.site.lon, 5),
            "country": network.site.country,
            "storage_classes": [None if cold else "ambient" for cold in network.chilled],
            "holding_factor": network.holding_factor,
            "handling_cost": network.handling,
            "inbound_cost": network.inbound_cost,
            "review_period": network.review,
            "review_offset": network.review_offset,
            "allocation": ["proportional"] * len(network.tier),
        },
        schema_overrides={"storage_classes": pl.String},
    )


def _lanes(network: Network) -> pl.DataFrame:
    road = network.lane_km * 1.2
    return pl.DataFrame(
        {
            "from_node": network.node_id[network.lane_from],
            "to_node": network.node_id[network.lane_to],
            "lead_time": network.lane_days,
            "lead_time_sd": network.lane_sd,
            "cost_per_unit": np.round(0.05 + 0.00004 * road, 4),
            "cost_per_kg": np.round(0.02 + 0.00006 * road, 4),
            "carbon_kg_per_kg": np.round(CARBON_KG_PER_KG_KM * road, 5),
            "share": network.lane_share,
        },
        schema_overrides={"from_node": pl.String, "to_node": pl.String},
    )


def _transit(network: Network) -> pl.DataFrame:
    node, region = np.nonzero(network.connected)
    road = network.km[node, region] * 1.2
    return pl.DataFrame(
        {
            "node_id": network.node_id[node],
            "region_id": network.region_id[region],
            "hours": network.hours[node, region],
            "zone": network.zone[node, region],
            "cost_per_unit": network.ship_unit[node, region],
            "cost_per_kg": network.ship_kg[node, region],
            "carbon_kg_per_unit": np.round(CARBON_PARCEL_KG + CARBON_KG_PER_KG_KM * road, 4),
        }
    )


def _cutoffs(network: Network) -> pl.DataFrame:
    node, speed = np.nonzero(~np.isnan(network.cutoff))
    return pl.DataFrame(
        {
            "node_id": network.node_id[node],
            "speed_id": network.speeds.name[speed],
            "cutoff_hour": network.cutoff[node, speed],
        }
    )


def items_table(items: Items, ids: np.ndarray, profiles: Profiles) -> pl.DataFrame:
    """The table `items`."""
    return pl.DataFrame(
        {
            "item_id": ids,
            "volume_m3": items.volume,
            "weight_kg": items.weight,
            "price": items.price,
            "unit_cost": items.unit_cost,
            "holding_cost": items.holding,
            "lost_sale_cost": items.lost_cost,
            "backorder_cost": items.backorder_cost,
            "unmet": np.where(items.backordered, "backorder", "lost"),
            "downgrade_share": items.downgrade_share,
            "downgrade_cost": items.downgrade_cost,
            "storage_class": np.where(items.chilled, "chilled", "ambient"),
            "profile": profiles.name[items.profile],
        }
    )


def describe(*, name: str, start_date: date, periods: int, bucket_periods: int, wave_ends: np.ndarray,
             forecast: str, **more) -> str:  # fmt: skip
    """Text of instance.yaml; `more` adds keys."""
    content = {
        "name": name, "start_date": start_date, "periods": periods, "bucket_periods": bucket_periods,
        "wave_ends": [float(hour) for hour in wave_ends], "currency": "USD", "forecast": forecast,
        "shared_factor_cv": 0.1, "terminal_credit": 1.0, **more,
    }  # fmt: skip
    return yaml.safe_dump(content, sort_keys=False)
