"""The page of a service-cost curve: what service costs in money and in stock."""

from __future__ import annotations

import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.folders import read_mark
from meio_jax.report.charts import Axes, Series, line_chart
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import number, share, whole
from meio_jax.report.parts import Column, cards, cell, name_cell, section, table
from meio_jax.report.shell import framed, made_of, theme
from meio_jax.runs.curves import ANEW, KIND, read_curve
from meio_jax.tables import write_text

_PARTS = {"curve": "Curve", "points": "Points", "terms": "Cost by term"}


def is_curve(folder: Path) -> bool:
    """Whether a folder holds a service-cost curve."""
    mark = read_mark(folder)
    return mark is not None and mark.kind == KIND


def write_curve_report(folder: Path, out: Path | None = None) -> Path:
    """Write the page of a finished curve; returns the file.

    Raises:
        InputError: If the folder holds no finished curve, or one that is damaged.
    """
    about, found = read_curve(folder)
    with made_of(folder, "what a finished curve holds", ANEW):
        page = render_curve(about, found)
    return write_text(page, out or folder / "report.html")


def render_curve(about: dict[str, Any], found: pl.DataFrame) -> str:
    """The whole page as text."""
    sections = [_charts(about, found), _points(found), _terms(found)]
    line = f"{about['name']} · {found.height} levels of {', '.join(about['floors'])}"
    aside = tag("div", theme(), class_="aside")
    title = tag("div", tag("h1", "Service and cost"), tag("p", line, class_="subtitle"))
    head = tag("header", title, aside, class_="page-head")
    made = datetime.datetime.now().strftime("%d %b %Y %H:%M")
    foot = f"meio-jax {metadata.version('meio-jax')} · written {made}"
    return framed(f"{about['name']} – service and cost", head, _PARTS, sections, foot)


def _charts(about: dict[str, Any], found: pl.DataFrame) -> Markup:
    money = about["currency"]
    reached, asked = (100 * found["achieved"]).to_list(), (100 * found["service"]).to_list()
    ends = {name: (100 * found[f"achieved{end}"]).to_list() for name, end in _ENDS.items()}
    charts = [
        _chart(reached, {"cost": found["cost"].to_list()}, f"Expected cost, {money}"),
        _chart(reached, {"mean stock": found["stock_units"].to_list()}, "Mean stock, units"),
        _chart(reached, {"mean stock": found["stock_money"].to_list()}, f"Mean stock, {money}"),
        _chart(asked, {"dearest floor": found["price"].to_list()}, f"Price of a unit of service, {money}", _ASKED),
        _chart(asked, ends, "Service achieved, %", _ASKED),
    ]
    lead = "Every point is a plan of its own; costs and shares are those on scenarios that no plan was made with."
    return section("curve", "Curve", cards(*charts), lead=lead)


_ASKED = "service asked, %"
_ENDS = {"achieved": "", "lower end of 95 %": "_low", "upper end of 95 %": "_high"}


def _chart(x: list[float], lines: dict[str, list[float]], title: str, across: str = "service achieved, %") -> Markup:
    series = [Series(name, x, y, at + 1) for at, (name, y) in enumerate(lines.items())]
    return tag("div", line_chart(series, Axes(across, title), label=f"{title}, by {across}"), class_="card")


def _points(found: pl.DataFrame) -> Markup:
    names = ("service asked", "achieved", "from", "to (95 %)", "cost", "price", "stock, units", "stock, money")
    columns = [Column(name, figures=True) for name in (*names, "days of cover", "seconds")] + [Column("status")]
    shares = ("service", "achieved", "achieved_low", "achieved_high")
    figures = ("cost", "price", "stock_units", "stock_money", "days_of_cover", "seconds")
    rows = []
    for row in found.iter_rows(named=True):
        cells = [cell(share(row[key], 2), figure=True, sort=row[key]) for key in shares]
        cells += [cell("–" if row[key] is None else number(row[key]), figure=True, sort=row[key]) for key in figures]
        rows.append([*cells, name_cell(row["status"])])
    return section("points", "Points", table(columns, rows, label="Points of the curve"))


def _terms(found: pl.DataFrame) -> Markup:
    interval = ("cost_low", "cost_high")
    terms = [name for name in found.columns if name.startswith("cost_") and name not in interval]
    columns = [Column("service asked", figures=True)]
    columns += [Column(name.removeprefix("cost_").replace("_", " "), figures=True) for name in terms]
    rows = [
        [cell(share(row["service"], 2), figure=True, sort=row["service"])]
        + [cell(whole(row[name]), figure=True, sort=row[name]) for name in terms]
        for row in found.iter_rows(named=True)
    ]
    return section("terms", "Cost by term", table(columns, rows, label="Cost by term"))
