"""The page of two compared runs, and the folder of `meio diff`."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import polars as pl

from meio_jax.folders import Claim, check_claim, used, written_beside
from meio_jax.items.diff import MOST_ITEMS, Diff, diff_runs
from meio_jax.items.reasons_text import WORDS
from meio_jax.progress import AbstractProgress
from meio_jax.report.charts import Bar, bar_chart
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import Real, number, share, whole
from meio_jax.report.parts import Column, called, card, cards, cell, empty, name_cell, section, table
from meio_jax.report.shell import framed, theme
from meio_jax.runs.folder import made_of
from meio_jax.tables import write_table, write_text

_PARTS = {"cost": "Cost", "orders": "Orders", "targets": "Targets", "prices": "Prices"}
_ROWS = 40


def write_diff(
    a: Path,
    b: Path,
    out: Path | None = None,
    *,
    instances: tuple[Path | None, Path | None] = (None, None),
    items: int = MOST_ITEMS,
    progress: AbstractProgress | None = None,
) -> tuple[Diff, Path]:
    """Compare two runs, and write tables, `summary.json` and the page `diff.html` to a folder.

    Args:
        a: Folder of the earlier run.
        b: Folder of the later run.
        out: Folder to write to; an earlier comparison in it is replaced. None: `diff` in the folder of run B.
        instances: Folders of their instances, where they have moved.
        items: Items planned again to say why their orders changed.
        progress: Where to report.

    Returns:
        The differences, and the folder.

    Raises:
        InputError: If a run cannot be read, or the folder holds anything else; then nothing is written.
    """
    target = b / "diff" if out is None else out
    claim = Claim("diff", "--out", made_of(b, target), flag=False)
    with used(b, "meio diff"):
        check_claim(target, claim)
        found = diff_runs(a, b, instances=instances, items=items, progress=progress)
        with written_beside(target, claim) as coming:
            for name, frame in found.frames.items():
                write_table(frame, coming / f"{name}.parquet")
            write_text(json.dumps({**found.summary, "notes": found.notes}, indent=1), coming / "summary.json")
            write_text(render_diff(found), coming / "diff.html")
    return found, target


def render_diff(found: Diff) -> str:
    """The whole page as text."""
    summary = found.summary
    names = [Path(summary[key]).resolve().name for key in ("run_a", "run_b")]
    line = f"{names[0]} → {names[1]} · {summary['days_between']} periods apart · {summary['currency']}"
    head = tag(
        "header",
        tag("div", tag("h1", "What changed"), tag("p", line, class_="subtitle")),
        tag("div", theme(), class_="aside"),
        class_="page-head",
    )
    sections = [_cost(found), _orders(found), _targets(found), _prices(found)]
    made = datetime.datetime.now().strftime("%d %b %Y %H:%M")
    foot = f"meio-jax {metadata.version('meio-jax')} · written {made}"
    return framed(f"{names[0]} – {names[1]}", head, _PARTS, sections, foot)


def _figure(value: Real | None, show: Callable[[Real | None], str] = number) -> Markup:
    return cell("–" if value is None else show(value), figure=True, sort=value)


def _cost(found: Diff) -> Markup:
    columns = [Column("Term"), Column("Earlier", True), Column("Later", True), Column("Change", True)]
    rows = [
        [name_cell(row["term"].replace("_", " ")), *(_figure(row[key]) for key in ("cost_a", "cost_b", "change"))]
        for row in found.frames["cost"].iter_rows(named=True)
    ]
    served = [
        [name_cell(row["speed_id"]), *(_figure(row[key], _percent) for key in ("promised_a", "promised_b", "change"))]
        for row in found.frames["service"].iter_rows(named=True)
    ]
    promised = table([Column("Promise"), *columns[1:]], served, label="Share served as promised")
    return section(
        "cost",
        "Cost and service",
        cards(
            card("Expected cost by term", table(columns, rows, label="Expected cost by term")),
            card("Served as promised", promised) if served else None,
        ),
        lead="Means over the holdout scenarios of each run.",
    )


def _percent(value: Real | None) -> str:
    return share(value, 2)


def _orders(found: Diff) -> Markup:
    notes = [tag("p", note, class_="warning", role="note") for note in found.notes]
    currency = found.summary["currency"]
    parts: list[Markup] = []
    if found.summary.get("reasons"):
        bars = [Bar(_short(row["reason"]), row["cost"]) for row in found.summary["reasons"]]
        label = f"Change of today's orders by reason, {currency}"
        parts.append(card(label, bar_chart(bars, label=label)))
    lead = (
        "A reason's part is what changes when its data alone are those of the later run, averaged over all orders in "
        "which the reasons can be changed. Parts add up to the change."
    )
    return section("orders", "Today's orders", notes, cards(*parts, _lines(found)), lead=lead)


def _short(reason: str) -> str:
    return {"not analysed": "others", "rest": "search"}.get(reason, reason)


def _lines(found: Diff) -> Markup:
    """Changes by item and node, with the parts of the reasons."""
    if "reasons" not in found.frames:
        return _plain_lines(found)
    reasons = found.frames["reasons"]
    if not reasons.height:
        return card("By item", empty("No order of today changed."))
    names = [name for name in WORDS if name in set(reasons["reason"].to_list())]
    keys = ["item_id", "node_id"]
    words = pl.col("^(item|node)_name$").first()
    sums = reasons.group_by(keys).agg(pl.col("units", "cost").sum(), words, size=pl.col("cost").abs().sum())
    top = sums.sort("size", *keys, descending=[True, False, False]).head(_ROWS)
    by = {tuple(row[:3]): row[3] for row in reasons.select(*keys, "reason", "units").iter_rows()}
    rows = [
        [
            name_cell(called(row, "item_id")),
            cell(called(row, "node_id")),
            _figure(row["units"], whole),
            _figure(row["cost"]),
            *(_figure(by.get((row["item_id"], row["node_id"], name), 0.0)) for name in names),
        ]
        for row in top.iter_rows(named=True)
    ]
    hints = [Column(f"{_short(name)}, units", True, WORDS[name]) for name in names]
    columns = [Column("Item"), Column("Node"), Column("Units", True), Column(found.summary["currency"], True), *hints]
    more = empty(f"{sums.height - _ROWS} more in reasons.parquet.") if sums.height > _ROWS else None
    return card("By item and node", table(columns, rows, label="Changes of orders and their reasons"), more, wide=True)


def _plain_lines(found: Diff) -> Markup:
    rows = [
        [
            name_cell(called(row, "item_id")),
            cell(f"{called(row, 'vendor_id')} → {called(row, 'node_id')}"),
            *(_figure(row[key], whole) for key in ("units_a", "units_b")),
            _figure(row["cost_change"]),
        ]
        for row in found.frames["orders"].head(_ROWS).iter_rows(named=True)
    ]
    columns = [Column("Item"), Column("From, to"), Column("Earlier", True), Column("Later", True)]
    columns.append(Column(found.summary["currency"], True))
    return card("Order lines", table(columns, rows, label="Changed order lines"), wide=True)


def _targets(found: Diff) -> Markup:
    frame = found.frames["targets"]
    if not frame.height:
        return section("targets", "Targets", empty("No level changed by half a unit or more."))
    rows = [
        [
            name_cell(called(row, "item_id")),
            cell(called(row, "node_id")),
            cell(f"{row['first']:%d %b}"),
            *(_figure(row[key]) for key in ("target_a", "target_b", "change", "value")),
        ]
        for row in frame.head(_ROWS).iter_rows(named=True)
    ]
    columns = [Column("Item"), Column("Node"), Column("From"), Column("Earlier", True), Column("Later", True)]
    columns += [Column("Change", True), Column(f"{found.summary['currency']} at cost", True)]
    count = whole(frame.height)
    lead = f"{count} levels changed by half a unit or more on days that both runs plan; largest values first."
    return section("targets", "Targets", table(columns, rows, label="Changed levels"), lead=lead)


def _prices(found: Diff) -> Markup:
    frame = found.frames["prices"]
    if not frame.height:
        return section("prices", "Prices", empty("No price of a capacity changed."))
    rows = [
        [
            name_cell(row["resource_id"]),
            cell(f"{row['first']:%d %b}"),
            *(_figure(row[key]) for key in ("price_a", "price_b", "change", "rent_change")),
        ]
        for row in frame.head(_ROWS).iter_rows(named=True)
    ]
    columns = [Column("Capacity"), Column("From"), Column("Earlier", True), Column("Later", True)]
    columns += [Column("Change", True), Column("× use, a day", True)]
    return section("prices", "Prices of capacity", table(columns, rows, label="Changed prices"))
