"""An explanation as a person reads it in a terminal: tables, and one paragraph."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table

from meio_jax.cli.console import escape
from meio_jax.items.explain import Change, Explanation
from meio_jax.tables.measures import unit_words

_FLOORS = {"service": "service floors", "in_stock": "floors of stock"}
_NAMES = {
    "lost_sale": "lost sales",
    "backorder": "backorders",
    "downgrade": "downgrades",
    "outbound": "outbound shipping",
    "handling": "handling",
    "transfer": "transfers between sites",
    "inbound": "inbound freight and receiving",
    "purchase": "purchase",
    "terminal": "credit for stock left at the end",
    "holding": "holding",
    "waste": "disposal of what expires",
    "ordering": "fixed costs of orders",
    "objective": "risk, revenue and carbon",
}
_BALANCED = 0.05
_NOTHING = 1e-6
_SITES = 12


def money(value: float) -> str:
    """Money with its sign left to words; small amounts keep their digits."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:,.2f}" if size >= 0.1 else f"{value:.4f}"


def _terms(one: Explanation) -> Table:
    what = f"{escape(one.called(one.item_id))} at {escape(one.called(one.node_id))}"
    table = Table(title=f"One unit more of {what}, in every bucket", title_justify="left")
    table.add_column("what it does")
    table.add_column(f"{escape(one.currency)} per unit", justify="right")
    rows = [(_NAMES.get(name, name), value) for name, value in one.terms.items()]
    rows += [(_capacity(one, kind), value) for kind, value in one.charges.items()]
    # What is below a thousandth of what moves is put together: it explains nothing.
    large = [row for row in rows if abs(row[1]) >= 1e-3 * one.gross]
    rest = sum((value for _, value in rows), 0.0) - sum((value for _, value in large), 0.0)
    for name, value in sorted(large, key=lambda row: row[1]):
        table.add_row(name, _signed(value))
    if abs(rest) >= 1e-3 * one.gross:
        table.add_row("all that is smaller", _signed(rest))
    table.add_section()
    table.add_row("sum (zero where the search has settled)", money(one.slope), style="bold")
    return table


def _signed(value: float) -> str:
    return f"{'saves' if value < 0 else 'costs'} {money(abs(value))}"


def _capacity(one: Explanation, kind: str) -> str:
    """What a charge is for."""
    if kind in _FLOORS:
        return f"{_FLOORS[kind]}, at their price"
    if kind != "storage" or one.storage_rent == 0:
        return f"{kind} capacity, at its price"
    size = f": price × {one.storage_size:.4g} {unit_words(one.storage_measure)}"
    size = size if one.storage_measure not in ("", "units") else ""
    return f"storage capacity ({money(one.storage_rent)} a unit and {one.period}{size})"


def _neighbours(one: Explanation) -> Table:
    table = Table(title="In whole units", title_justify="left")
    for name in ("level", "cost changes by", "priced capacity by", "together"):
        table.add_column(name, justify="right" if name != "level" else "left")
    for name, step in (("one unit more", one.plus_one), ("one unit less", one.minus_one)):
        figures = (step["terms"], step["charges"], step["terms"] + step["charges"])
        table.add_row(name, *(f"{'+' if value > 0 else ''}{money(value)}" for value in figures))
    return table


def _changes(changes: list[Change]) -> Table:
    table = Table(title="What would change the answer, all else equal", title_justify="left")
    table.add_column("figure")
    for name in ("now", "one more pays", "one less pays"):
        table.add_column(name, justify="right")
    for change in changes:
        more = _beyond(change.now, change.more_at, change.more_when)
        less = _beyond(change.now, change.less_at, change.less_when)
        table.add_row(f"{escape(change.name)}, {change.unit}", money(change.now), more, less)
    return table


def _beyond(now: float, at: float | None, when: str) -> str:
    """Where a figure tips the balance, and whether it is there already."""
    if at is None:
        return "no value"
    there = now > at if when == "above" else now < at
    return f"{when} {money(at)}{', as now' if there else ''}"


def _places(one: Explanation) -> Table:
    table = Table(title=f"All sites of {escape(one.called(one.item_id))}", title_justify="left")
    table.add_column("site")
    for name in ("level", "in stock today", "mean stock", f"sum, {escape(one.currency)} per unit"):
        table.add_column(name, justify="right")
    for place in one.places[:_SITES]:
        figures = (place.target, place.today, place.mean_on_hand)
        style = "bold" if place.node_id == one.node_id else None
        table.add_row(
            escape(one.called(place.node_id)), *(f"{value:,.1f}" for value in figures), money(place.slope), style=style
        )
    return table


def _level(one: Explanation) -> str:
    low, high = min(one.units), max(one.units)
    return f"{low} units" if low == high else f"{low} to {high} units, by bucket,"


def _why(one: Explanation) -> str:
    """What a unit more saves and costs, the largest parts first."""
    tied = one.terms.get("purchase", 0.0) + one.terms.get("terminal", 0.0)
    parts = {_NAMES.get(n, n): v for n, v in one.terms.items() if n not in ("purchase", "terminal")}
    parts["purchase net of what is left at the end"] = tied
    parts |= {_FLOORS.get(kind, f"{kind} capacity"): v for kind, v in one.charges.items()}
    order = sorted(parts.items(), key=lambda pair: -abs(pair[1]))
    listed = lambda sign: ", ".join(f"{money(abs(v))} on {name}" for name, v in order[:8] if v * sign > 0)
    return f"A unit more would save {listed(-1) or 'nothing'}, and cost {listed(1) or 'nothing'}"


def _verdict(one: Explanation) -> str:
    more = one.plus_one["terms"] + one.plus_one["charges"]
    less = one.minus_one["terms"] + one.minus_one["charges"]
    if one.gross < _NOTHING:
        return f"the level decides nothing here. {_idle(one)}"
    total, part = f"{money(one.slope)} in all", abs(one.slope) / one.gross
    way, gain = ("more", -more) if more < less else ("less", -less)
    if max(one.targets) < 0.5 and one.slope > 0:
        return f"{total}, so the level is 0."
    if part <= _BALANCED and gain <= _BALANCED * one.gross:
        return f"{total}, {part:.1%} of what moves: that is why the level is where it is."
    if gain <= 0:
        best = "In whole units the level is the best"
        return f"{total}. {best}: one more would cost {money(more)}, one less {money(less)}."
    unsettled = "so the search has not settled this level" if part > _BALANCED else "but not so in whole units"
    return f"{total}, {part:.0%} of what moves, {unsettled}: one unit {way} would save {money(gain)}."


def _idle(one: Explanation) -> str:
    """Why a unit more or less changes nothing, as far as the figures say."""
    if one.ordered >= _NOTHING:
        return (
            f"A unit more or less changes no cost in these scenarios, although {one.ordered:,.1f} units are ordered on "
            "average."
        )
    if one.today > max(one.targets):
        return f"In no scenario is anything ordered: {one.today:,.0f} units are in stock, more than the level."
    return "In no scenario is anything ordered."


def paragraph(one: Explanation) -> str:
    """Why this many units, in words."""
    start = (
        f"{one.called(one.node_id)} orders {one.called(one.item_id)} up to {_level(one)} and holds "
        f"{one.mean_on_hand:,.1f} on average over "
        f"{one.days} {one.period}s ({one.today:,.0f} today)."
    )
    today = f"A unit more in stock there today would be worth {money(one.worth_today)} {one.currency}."
    return f"{start} {_why(one)}: {_verdict(one)} {today}"


def explanation_text(one: Explanation) -> RenderableType:
    """Everything, for a terminal."""
    parts: list[RenderableType] = [escape(paragraph(one)), "", _terms(one), _neighbours(one)]
    if one.changes:
        parts.append(_changes(one.changes))
    parts.append(_places(one))
    parts.append(
        f"[dim]Means over {one.scenarios} holdout scenarios; {escape(one.currency)} over {one.days} {one.period}s; "
        "fulfilment lists and capacity prices as the run left them.[/dim]"
    )
    return Group(*parts)
