"""Instances from a seed, and the parts from which an instance of real data can be put together."""

from meio_jax.generate.build import generate_instance
from meio_jax.generate.capacity import Need, accumulate_need, by_bucket, resources_table
from meio_jax.generate.files import write_frame, write_text
from meio_jax.generate.geography import Places, choose_sites, distance_km, parcel_zone, region_groups
from meio_jax.generate.items import Items
from meio_jax.generate.network_tables import describe, items_table, network_tables
from meio_jax.generate.options import RESOURCE_KINDS, GenerateOptions
from meio_jax.generate.shares import Profiles, finish_profiles, shares_table, wave_shares
from meio_jax.generate.stock import due_by_bucket, plan_stock, starting_stock, stock_tables
from meio_jax.generate.supply import Network, assemble, default_speeds
from meio_jax.generate.vendors import Vendors, offers_table

__all__ = [
    "RESOURCE_KINDS", "GenerateOptions", "Items", "Need", "Network", "Places", "Profiles", "Vendors",
    "accumulate_need", "assemble", "by_bucket", "choose_sites", "default_speeds", "describe",
    "distance_km", "due_by_bucket", "finish_profiles", "generate_instance", "items_table", "network_tables",
    "offers_table",
    "parcel_zone", "plan_stock", "region_groups", "resources_table", "shares_table", "starting_stock",
    "stock_tables", "wave_shares", "write_frame", "write_text",
]  # fmt: skip
