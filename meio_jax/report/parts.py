"""Pieces that sections share: cards, tables, tabs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meio_jax.plans.names import called as called
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import Real


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, whether it holds figures, and what the figure means."""

    name: str
    figures: bool = False
    hint: str | None = None


def section(name: str, title: str, *children: Any, lead: str | None = None) -> Markup:
    """A section of the page with its heading; `name` is where the navigation leads."""
    intro = None if lead is None else tag("p", lead, class_="lead")
    return tag(
        "section", tag("h2", title, id=f"{name}-title"), intro, children, id=name, aria_labelledby=f"{name}-title"
    )


def card(title: str, *children: Any, wide: bool = False) -> Markup:
    """A framed piece of a section."""
    return tag("div", tag("h3", title), children, class_="card wide" if wide else "card")


def cards(*children: Any) -> Markup:
    """Cards beside each other where there is room."""
    return tag("div", children, class_="cards")


def cell(
    value: Any, *, figure: bool = False, sort: Real | None = None, class_: str = "", hint: str | None = None
) -> Markup:
    """A table cell; `sort` is the number that it is sorted by."""
    classes = " ".join(part for part in ("figure" if figure else "", class_) if part)
    return tag("td", value, class_=classes or None, data_sort=None if sort is None else f"{sort:.6g}", title=hint)


def name_cell(name: str) -> Markup:
    """The heading of a row; a long name breaks after its joints, and is whole in its hint."""
    pieces = [piece for piece in re.split(r"(?<=[_\-/.: ])", name) if piece]
    broken = [[tag("wbr") if at else None, piece] for at, piece in enumerate(pieces)]
    return tag("th", tag("span", broken, class_="name", title=name), scope="row")


def table(columns: Sequence[Column], rows: Sequence[Sequence[Markup]], *, label: str, sortable: bool = True) -> Markup:
    """A table that scrolls inside its frame, by keyboard too, and can be sorted by each column."""
    head = []
    for column in columns:
        title = tag("button", column.name, type="button", class_="sort") if sortable and len(rows) > 1 else column.name
        head.append(tag("th", title, scope="col", class_="figure" if column.figures else None, title=column.hint))
    body = tag("tbody", [tag("tr", row) for row in rows])
    whole = tag("table", tag("caption", label, class_="unseen"), tag("thead", tag("tr", head)), body)
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=label)


def details(summary: Any, *children: Any, open_: bool = False) -> Markup:
    """Something that opens when asked for."""
    return tag("details", tag("summary", summary), children, open_=open_)


def tabs(group: str, label: str, panels: Sequence[tuple[str, Markup]]) -> Markup:
    """Panels of which one is seen at a time; without scripts all are seen, one below the other."""
    buttons, bodies = [], []
    for at, (name, content) in enumerate(panels):
        button, panel = f"{group}-tab-{at}", f"{group}-panel-{at}"
        buttons.append(
            tag(
                "button",
                name,
                type="button",
                role="tab",
                id=button,
                aria_controls=panel,
                aria_selected="true" if at == 0 else "false",
                tabindex=0 if at == 0 else -1,
            )
        )
        title = tag("h3", name, class_="tab-title")
        bodies.append(tag("div", title, content, role="tabpanel", id=panel, aria_labelledby=button, class_="panel"))
    return tag("div", tag("div", buttons, role="tablist", aria_label=label), bodies, class_="tabs")


def empty(words: str) -> Markup:
    """What stands where there is nothing to show."""
    return tag("p", words, class_="quiet")


def heat(load: Real | None) -> str:
    """Class of a cell by how much of a capacity is used: 0 (idle) to 10 (full), 11 above it."""
    if load is None or load != load:
        return "heat-0"
    return "heat-11" if load > 1.005 else f"heat-{min(int(max(load, 0.0) * 10), 10)}"
