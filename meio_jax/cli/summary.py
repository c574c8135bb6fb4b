"""The summary of a run as a person reads it in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from meio_jax.cli.console import escape
from meio_jax.plans.names import called
from meio_jax.results import Result
from meio_jax.runs.today import (
    Today,
    next_order_text,
    read_exceptions,
    read_overrides,
    read_today,
    read_vendor_orders,
    vendor_orders_text,
)
from meio_jax.tables.schema import FLOOR_KINDS

EXCEPTIONS_SHOWN = OVERRIDES_SHOWN = 10


def _money(value: float | None) -> str:
    return "not available" if value is None else f"{value:,.0f}"


def _plain(value: float | None, form: str) -> str:
    return "not available" if value is None else format(value, form)


def _headline(certificate: dict[str, Any], run: str) -> Table:
    table = Table(box=None, show_header=False, title=f"Plan in {escape(run)}", title_justify="left")
    low, high = certificate["holdout_cost_ci95"]
    rows = [
        ("outcome", certificate["result"].lower().replace("_", " ")),
        ("steps, seconds", f"{certificate['steps']}, {_plain(certificate['seconds'], '.1f')}"),
        (
            "cost on holdout",
            f"{_money(certificate['holdout_cost'])}  (95 % interval {_money(low)} to {_money(high)}, "
            f"{certificate['holdout_scenarios']} scenarios)",
        ),
        ("cost in sample", _money(certificate["in_sample_cost"])),
        (f"Lagrangian value ({certificate['lagrangian_label']})", _money(certificate["lagrangian"])),
        ("total gap", f"{_plain(certificate.get('total_gap', certificate['coupling_gap']), '.2%')} of gross cost"),
        ("  coupling gap", _plain(certificate["coupling_gap"], ".3%")),
        ("  slack of the items", _slack(certificate)),
        ("clairvoyant bound", _money(certificate["clairvoyant_bound"])),
        ("largest violation", _share(certificate["largest_violation"], _beyond(certificate))),
    ]
    # Runs of earlier versions do not say it.
    if certificate.get("docks"):
        rows.append(("waits at docks", docks_line(certificate["docks"])))
    rows += _risk(certificate)
    for name, value in rows:
        table.add_row(name, value)
    return table


def docks_line(docks: dict[str, Any]) -> str:
    """How long goods wait at docks that queue, in words."""
    mean = f"{docks['waited_share']:.1%} of what is brought to them, {docks['mean_wait']:.2f} periods on average"
    if docks["node"] is None:
        return "nothing"
    longest = f"{docks['longest_wait']:.1f} periods at {docks['node']} ({docks['direction']}, bucket {docks['bucket']})"
    moving = "" if docks["settled"] else "; queues and plan do not agree yet"
    return escape(f"{mean}; longest {longest}{moving}")


def _risk(certificate: dict[str, Any]) -> list[tuple[str, str]]:
    """The risk of the total cost, where one was asked for."""
    risk = certificate.get("total_risk")
    if risk is None:
        return []
    measure = f"CVaR at {risk['parameter']:.0%}" if risk["measure"] == "cvar" else f"entropic, {risk['parameter']:g}"
    error = 1.96 * risk["risk_error"]
    return [
        (
            f"risk of the total ({measure})",
            f"{_money(risk['risk'])} ± {_money(error)} (95 %), {_money(risk['risk'] - risk['mean'])} above the mean",
        )
    ]


def _held(held: list[dict[str, Any]]) -> Table:
    """Capacities that are held in a share of the scenarios, in the bucket in which each is kept least."""
    title = "Capacities held in a share of the scenarios, where each is kept least (holdout)"
    table = Table(title=title, title_justify="left")
    for name in ("kind", "resource", "bucket"):
        table.add_column(name)
    for name in ("kept in", "asked", "use there", "mean use"):
        table.add_column(name, justify="right")
    for row in held:
        kept = f"{row['kept']:.1%} ± {1.96 * row['kept_error']:.1%}"
        uses = (f"{row[name] / max(row['capacity'], 1e-12):.1%}" for name in ("use", "mean_use"))
        place = (escape(str(row[name])) for name in ("kind", "resource", "bucket"))
        table.add_row(*place, kept, f"{row['asked']:.1%}", *uses)
    return table


def _slack(certificate: dict[str, Any]) -> str:
    """What items could still save, with its error."""
    if certificate.get("slack") is None:
        return "not estimated"
    error = 1.96 * certificate["slack_error"]
    return f"{certificate['slack']:.2%} ± {error:.2%} (95 %, {certificate['slack_items']} items searched further)"


def _share(value: float | None, beyond: str = "infinite") -> str:
    return beyond if value is None else f"{max(value, 0):.2%}"


def _beyond(certificate: dict[str, Any]) -> str:
    """What a share is that is no number: infinite, unless nothing of the run is a number."""
    return "not available" if certificate["result"] == Result.NUMERICAL_FAILURE.name else "infinite"


def _violations(certificate: dict[str, Any]) -> Table:
    table = Table(title="Tightest resource of each kind (holdout)", title_justify="left")
    for name in ("kind", "resource", "bucket"):
        table.add_column(name)
    table.add_column("use of capacity", justify="right")
    table.add_column("violation", justify="right")
    beyond = _beyond(certificate)
    for row in certificate["violations"]:
        relative = row["relative"]
        use = beyond if relative is None else f"{1 + relative:.1%}"
        if row["kind"] in FLOOR_KINDS and relative is not None:
            use = f"{1 - relative:.1%} of floor"
        table.add_row(
            *(escape(str(row[name])) for name in ("kind", "resource", "bucket")), use, _share(relative, beyond)
        )
    return table


def _terms(certificate: dict[str, Any]) -> Table:
    table = Table(title="Expected cost by term (holdout)", title_justify="left")
    table.add_column("term")
    table.add_column("money", justify="right")
    for name, value in certificate["cost_terms"].items():
        table.add_row(escape(name.replace("_", " ")), _money(value))
    return table


def summary(certificate: dict[str, Any], run: str) -> RenderableType:
    """Outcome, cost with its interval, bounds, violations by kind, cost by term, and what to do today."""
    parts: list[RenderableType] = [_headline(certificate, run), _violations(certificate)]
    if certificate.get("held"):
        parts.append(_held(certificate["held"]))
    parts.append(_terms(certificate))
    parts += [Text(line, style="red") for line in unreachable(certificate)]
    overrides = read_overrides(Path(run))
    if overrides.height:
        parts.append(_overrides(overrides))
    listed, count = read_exceptions(Path(run), EXCEPTIONS_SHOWN)
    if count:
        parts.append(_exceptions(listed, count))
    parts += [Text(line) for line in today_lines(read_today(Path(run)))]
    if rules := vendor_orders_text(read_vendor_orders(Path(run))):
        parts.append(Text(rules))
    return Group(*parts)


def _exceptions(listed: pl.DataFrame, count: int) -> Table:
    """What to look at first."""
    title = f"Exceptions, the {listed.height} with the most money at stake of {count:,} (plan/exceptions)"
    table = Table(title=title, title_justify="left")
    for name in ("kind", "item, node", "money", "what, and what would mend it"):
        table.add_column(name, justify="right" if name == "money" else "left")
    for row in listed.iter_rows(named=True):
        place = " at ".join(name for name in (called(row, "item_id"), called(row, "node_id")) if name)
        text = f"{escape(row['what'])}; {escape(row['mend'])}"
        table.add_row(row["kind"].replace("_", " "), escape(place), f"{row['money']:,.0f}", text)
    return table


def _overrides(found: pl.DataFrame) -> Table:
    """Decisions of planners and what they cost."""
    total = float(found["cost_a_week"].sum())
    shown = found.head(OVERRIDES_SHOWN)
    some = f", the {shown.height} that cost most" if shown.height < found.height else ""
    title = f"Overrides: {found.height:,}, costing {total:,.0f} a week one by one{some} (plan/overrides)"
    table = Table(title=title, title_justify="left")
    for name in ("override", "kind", "item, node", "cost a week", "reason"):
        table.add_column(name, justify="right" if name == "cost a week" else "left")
    for row in shown.iter_rows(named=True):
        priced = row["status"] if row["cost_a_week"] is None else f"{row['cost_a_week']:,.0f}"
        place = f"{called(row, 'item_id')} at {called(row, 'node_id')}"
        cells = (row["override_id"], row["kind"], place, priced, row["reason"])
        table.add_row(*(escape(text) for text in cells))
    return table


def today_lines(today: Today | None) -> list[str]:
    """What is to be bought today, and when the next order is expected."""
    if today is None:
        return []
    if today.items:
        first = f"To buy today: {today.units:,} units of {today.items:,} items, for {today.cost:,.2f}."
    else:
        first = "Nothing to buy today."
    return [f"{first} {next_order_text(today.next)}"]


def unreachable(certificate: dict[str, Any]) -> list[str]:
    """A line for every capacity that no plan found can meet."""
    return [
        f"{row['resource']} in bucket {row['bucket']} cannot be met by any plan found: at best "
        f"{_share(row['relative'])} over (least use {_plain(row['least_usage'], ',.1f')}, "
        f"capacity {_plain(row['capacity'], ',.1f')}).{_fixed(row.get('fixed_orders', []))}"
        for row in certificate["infeasible"]
    ]


def _fixed(orders: list[dict[str, Any]]) -> str:
    """The orders of planners that take from a capacity: those that are more than it holds by themselves, or a few."""
    alone = [row for row in orders if row["alone"]]
    named = ", ".join(
        f"{row['override_id']} ({row['units']:,.0f} of {row['item_id']})" for row in (alone or orders)[:3]
    )
    if not named:
        return ""
    if alone:
        return f" Fixed by overrides, and more than the capacity by itself: {named}."
    return f" Fixed by overrides, and counted in it: {named}."
