"""Checks of the calendar: rows that say when, known weekdays and vendors, and days that are left open."""

from __future__ import annotations

import numpy as np
import polars as pl

from meio_jax.tables.context import Context
from meio_jax.tables.findings import View
from meio_jax.tables.open_days import longest_pause, open_days, weekday_names
from meio_jax.tables.schema import WEEKDAYS


def check_calendar(context: Context) -> None:
    """Run every check of this module."""
    if not (found := context.get("calendar")) or found[0].frame.is_empty():
        return
    (calendar,) = found
    known = len(context.findings.problems)
    _check_rows(context, calendar)
    _check_vendors(context, calendar)
    if len(context.findings.problems) == known:
        _check_pauses(context, calendar)


def _check_rows(context: Context, calendar: View) -> None:
    findings = context.findings
    misspelt = pl.col("weekdays").map_elements(
        lambda text: any(name not in WEEKDAYS for name in weekday_names(text)), return_dtype=pl.Boolean
    )
    names = ";".join(WEEKDAYS)
    findings.add_rows(
        calendar, calendar.rows(misspelt), "weekdays", f"days parted by `;`: {names}", "correct the value"
    )
    findings.add_rows(
        calendar,
        calendar.rows((pl.col("weekdays") == "") & pl.col("date").is_null() & pl.col("last_date").is_null()),
        "date",
        "a date, or weekdays",
        "say when; where an item is never ordered, write stocked=false into the table assortment",
    )
    findings.add_rows(
        calendar,
        calendar.rows(pl.col("last_date").is_not_null() & pl.col("date").is_null()),
        "date",
        "the first day as well as the last ({last_date})",
        "give both, or weekdays alone",
    )
    findings.add_rows(
        calendar,
        calendar.rows(pl.col("last_date") < pl.col("date")),
        "last_date",
        "no day before date ({date})",
        "correct one of the two",
    )
    findings.add_rows(
        calendar,
        calendar.rows(pl.col("vendor_id").is_not_null() & pl.col("activity").is_in(["receipts", "shipments"])),
        "activity",
        "orders (or all) where a vendor is named: the days on which it takes orders",
        "give receipts and shipments of nodes in rows without a vendor",
    )


def _check_vendors(context: Context, calendar: View) -> None:
    """Vendors that nothing is bought from may be misspelt ones; that is said, since offers may come and go."""
    if not (found := context.get("offers", "lead_times")):
        return
    known = pl.concat([view.frame.get_column("vendor_id") for view in found]).unique()
    strange = calendar.rows(pl.col("vendor_id").is_not_null() & ~pl.col("vendor_id").is_in(known.implode()))
    context.findings.warn_rows(
        calendar,
        strange,
        "vendors without offers",
        "rows of the calendar name vendors that offer nothing, and change nothing",
        "vendor {vendor_id}",
        "write the id as in the table offers",
    )


def _check_pauses(context: Context, calendar: View) -> None:
    """A node that receives nothing for longer than any lead time, or a vendor that never takes orders, is a slip."""
    if context.settings is None or not (found := context.get("nodes")):
        return
    settings, nodes = context.settings, found[0].frame["node_id"].to_list()
    days = open_days(calendar.frame, settings, nodes, settings.periods + 2 * settings.lead_time_limit)
    if days is None:
        return
    longest = longest_pause(days.receipts)
    for node in np.flatnonzero(longest > settings.lead_time_limit).tolist():
        context.findings.add(
            calendar.source.label,
            f"node_id={nodes[node]}",
            "date",
            int(longest[node]),
            f"at most {settings.lead_time_limit} periods in a row without receipts (lead_time_limit in instance.yaml)",
            "shorten the closure, or leave out the node, its lanes and offers",
        )
    never = np.asarray(~days.taken[: settings.periods].any(axis=(0, 2)))
    for name in [vendor for vendor, none in zip(days.vendors, never[1:].tolist(), strict=True) if none]:
        context.findings.warn(
            "vendors that take no orders",
            1,
            "vendors take no orders in the whole horizon",
            f"{calendar.source.label}, vendor_id={name}",
            "give its order days with status only, or leave its offers out",
        )
