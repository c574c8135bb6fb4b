"""The data contract: reading, checking and writing the tables of an instance."""

from meio_jax.errors import InputError, Problem
from meio_jax.tables.columns import Column, Reference, Table
from meio_jax.tables.quantiles import quantile_levels, quantile_name
from meio_jax.tables.read import (
    count_item_rows,
    item_block_from_frames,
    network_from_frames,
    read_instance,
    read_item_block,
    read_network,
    scan_item_ids,
)
from meio_jax.tables.schema import FORECASTS, ITEM_TABLES, TABLE_NAMES, table_schema
from meio_jax.tables.settings import InstanceSettings, read_settings
from meio_jax.tables.tables import Tables
from meio_jax.tables.write import guard_cells, write_instance, write_settings, write_table, write_text

__all__ = [
    "FORECASTS",
    "ITEM_TABLES",
    "TABLE_NAMES",
    "Column",
    "InputError",
    "InstanceSettings",
    "Problem",
    "Reference",
    "Table",
    "Tables",
    "count_item_rows",
    "guard_cells",
    "item_block_from_frames",
    "network_from_frames",
    "quantile_levels",
    "quantile_name",
    "read_instance",
    "read_item_block",
    "read_network",
    "read_settings",
    "scan_item_ids",
    "table_schema",
    "write_instance",
    "write_settings",
    "write_table",
    "write_text",
]
