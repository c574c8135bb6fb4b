"""Today's orders as files for the vendors: a workbook for each of them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import polars as pl

from meio_jax.tables.write_excel import write_workbook

_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
_LINES = (
    "item_id",
    "item_name",
    "units",
    "unit_cost",
    "cost",
    "node_id",
    "node_name",
    "order_date",
    "due_date",
)


def write_purchase_orders(orders: pl.DataFrame, folder: Path) -> list[Path]:
    """Write one workbook for each vendor of whom anything is ordered: the lines, and what they add up to.

    Args:
        orders: Table `plan/orders`; names of items, nodes and vendors are taken where it has them.
        folder: Where to.

    Returns:
        The files, in order of the vendors' ids.

    Raises:
        InputError: If the library that writes workbooks is not installed.
    """
    written = []
    for vendor in sorted(orders["vendor_id"].unique().to_list()):
        own = orders.filter(pl.col("vendor_id") == vendor)
        lines = own.select([name for name in _LINES if name in own.columns]).sort("due_date", "node_id", "item_id")
        sheets = [("order", lines), ("summary", _summary(vendor, own))]
        written.append(write_workbook(sheets, folder / f"{file_name(vendor)}.xlsx"))
    return written


def file_name(vendor: str) -> str:
    """A name of a file for a vendor: its id where that is a plain name, else what is left of it and a hash of it.

    So ids such as `../x` name no other folder, and no two vendors share a file, also where case makes no difference.
    """
    plain = _PLAIN.sub("_", vendor).strip("._")[:_LONGEST]
    if plain and plain == vendor == vendor.lower() and not _is_reserved(vendor):
        return vendor
    return f"{plain or 'vendor'}-{hashlib.blake2b(vendor.encode(), digest_size=4).hexdigest()}"


def _is_reserved(name: str) -> bool:
    """Names that stand for devices on some systems."""
    return name.split(".")[0].lower() in _DEVICES


def _summary(vendor: str, own: pl.DataFrame) -> pl.DataFrame:
    """A row for each node that the goods go to: lines, units and money, with the days of order and arrival."""
    names = [name for name in ("vendor_name", "node_name") if name in own.columns]
    found = own.group_by("node_id").agg(
        *(pl.col(name).first() for name in names),
        pl.len().alias("lines"),
        pl.col("units").sum(),
        pl.col("cost").sum(),
        pl.col("order_date").min(),
        pl.col("due_date").min().alias("first_due"),
        pl.col("due_date").max().alias("last_due"),
    )
    figures = ("lines", "units", "cost", "order_date", "first_due", "last_due")
    found = found.with_columns(pl.lit(vendor).alias("vendor_id"))
    ids = [name for name in ("vendor_id", "vendor_name", "node_id", "node_name") if name in found.columns]
    return found.select(*ids, *figures).sort("node_id")
