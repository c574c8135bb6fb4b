"""The network on a map: flows to customers and between sites, and what the capacity of each site is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.report.figures import TIER_COLOURS, TIER_NAMES, TIERS, Figures
from meio_jax.report.geography import apart, border_path, frame_of, label_places, land_path
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import number, share, whole
from meio_jax.report.parts import Column, called, cell, details, heat, name_cell, section, table
from meio_jax.runs.data import RunData

_WIDTH, _HEIGHT = 1040.0, 600.0
_ARCS = 400
_LABELS = 40
_LETTER, _LETTERS = 7.6, 18


@dataclass(frozen=True)
class _Places:
    """Where every site and region is drawn, and whether that is where it is on earth."""

    site: dict[str, tuple[float, float]]
    region: dict[str, tuple[float, float]]
    real: bool
    backdrop: Markup | None


def _places(data: RunData) -> _Places:
    nodes, regions = data.network.nodes, data.network.regions
    sites = nodes["node_id"].to_list()
    known = regions.filter(pl.col("latitude").is_not_null() & pl.col("longitude").is_not_null())
    if nodes["latitude"].null_count() or nodes["longitude"].null_count():
        return _Places(_rows(data), {}, False, None)
    longitude = np.concatenate([nodes["longitude"].to_numpy(), known["longitude"].to_numpy()])
    latitude = np.concatenate([nodes["latitude"].to_numpy(), known["latitude"].to_numpy()])
    frame = frame_of(longitude, latitude, _WIDTH, _HEIGHT)
    x, y = frame.project(longitude, latitude)
    crowd = 30.0 if len(sites) <= 40 else 14.0
    x[: len(sites)], y[: len(sites)] = apart(x[: len(sites)], y[: len(sites)], crowd)
    countries = set(nodes["country"].to_list()) | set(regions["country"].to_list())
    american = bool(countries & {"US", "USA", "United States"}) and frame.east - frame.west < 80
    backdrop = tag(
        "g",
        tag("path", class_="land", d=land_path(frame)),
        tag("path", class_="border", d=border_path(frame, states=False)),
        tag("path", class_="state", d=border_path(frame, states=True)) if american else None,
        aria_hidden="true",
    )
    at = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    return _Places(
        dict(zip(sites, at[: len(sites)], strict=True)),
        dict(zip(known["region_id"].to_list(), at[len(sites) :], strict=True)),
        True,
        backdrop,
    )


def _rows(data: RunData) -> dict[str, tuple[float, float]]:
    """A site's place where the instance says nothing of it: a row for each kind."""
    kinds = data.network.nodes["kind"].to_list()
    used = [kind for kind in TIERS if kind in kinds]
    place = {}
    for row, kind in enumerate(used):
        own = [node for node, k in zip(data.network.nodes["node_id"].to_list(), kinds, strict=True) if k == kind]
        for at, node in enumerate(own):
            place[node] = ((at + 1) * _WIDTH / (len(own) + 1), (row + 1) * _HEIGHT / (len(used) + 1))
    return place


def _arc(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A curve that bends to its left, so that both directions of a pair are seen."""
    (x0, y0), (x1, y1) = start, end
    bend_x, bend_y = (x0 + x1) / 2 + 0.14 * (y1 - y0), (y0 + y1) / 2 - 0.14 * (x1 - x0)
    return f"M{x0:.1f} {y0:.1f}Q{bend_x:.1f} {bend_y:.1f} {x1:.1f} {y1:.1f}"


def _arcs(flows: pl.DataFrame, kind: str, places: _Places, number_of: dict[str, int]) -> Markup:
    """The largest flows of one kind as curves whose width grows with the units."""
    ends = places.region if kind == "customer" else places.site
    own = flows.filter(kind=kind).group_by("from_id", "to_id").agg(pl.col("units").sum())
    own = own.filter(pl.col("from_id").is_in(list(places.site)) & pl.col("to_id").is_in(list(ends)))
    own = own.sort("units", descending=True).head(_ARCS)
    largest = float(own["units"].max() or 1.0)  # type: ignore[arg-type]
    drawn = []
    for row in reversed(list(own.iter_rows(named=True))):
        size = row["units"] / largest
        width = 0.5 + 5.5 * np.sqrt(size)
        path = tag(
            "path",
            tag("title", f"{row['from_id']} → {row['to_id']}: {whole(row['units'])} units"),
            d=_arc(places.site[row["from_id"]], ends[row["to_id"]]),
            stroke_width=f"{width:.1f}",
            class_="faint" if size < 0.04 else None,
            data_from=number_of[row["from_id"]],
            data_to=number_of.get(row["to_id"]) if kind == "lane" else None,
        )
        drawn.append(path)
    return tag("g", drawn, class_=f"arcs {kind}", data_layer=kind)


def _tip(row: dict, currency: str) -> str:
    parts = [
        f"{called(row, 'node_id')} ({TIER_NAMES.get(row['kind'], row['kind'])})",
        f"ships {whole(row['shipped'])} units to customers",
        f"holds {number(row['mean_m3'])} m³ on average",
        f"capacity worth {number(row['rent'])} {currency}",
    ]
    return "; ".join(parts)


def _sites(figures: Figures, places: _Places, number_of: dict[str, int], currency: str) -> list[Markup]:
    """Circles whose area grows with the units handled, halos with what capacity is worth; the largest are named."""
    sites = figures.sites.with_columns((pl.col("shipped") + pl.col("received")).alias("moved"))
    sites = sites.sort("moved", "node_id", descending=[True, False])
    top_moved, top_rent = (max([*sites[name].to_list(), 1e-9]) for name in ("moved", "rent"))
    x, y = (np.asarray([places.site[name][axis] for name in sites["node_id"]]) for axis in (0, 1))
    radius = 5 + 9 * np.sqrt(sites["moved"].to_numpy() / top_moved)
    names = [row["node_name"] or row["node_id"] for row in sites.iter_rows(named=True)]
    width = np.asarray([_LETTER * min(len(name), _LETTERS) + 4 for name in names])
    labels = label_places(x, y, radius, width, 14.0)
    halos, drawn = [], []
    for at, row in enumerate(sites.iter_rows(named=True)):
        centre = {"cx": f"{x[at]:.1f}", "cy": f"{y[at]:.1f}"}
        if row["rent"] > 0:
            size = radius[at] + 3 + 15 * np.sqrt(row["rent"] / top_rent)
            halos.append(tag("circle", class_="rent", data_layer="rent", **centre, r=f"{size:.1f}"))
        place = labels[at] or (x[at], y[at] - radius[at] - 4, "middle")
        name = tag(
            "text",
            _short(names[at]),
            x=f"{place[0]:.1f}",
            y=f"{place[1]:.1f}",
            text_anchor=place[2],
            class_="minor" if labels[at] is None or at >= _LABELS else None,
        )
        circle = tag("circle", class_=f"site c{TIER_COLOURS.get(row['kind'], 4)}", **centre, r=f"{radius[at]:.1f}")
        drawn.append(tag("g", tag("title", _tip(row, currency)), circle, name, data_site=number_of[row["node_id"]]))
    return [*halos, *drawn]


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def _regions(data: RunData, places: _Places) -> Markup:
    service = data.optional("plan/service")
    wanted = {} if service is None else dict(service.group_by("region_id").agg(pl.col("wanted").sum()).iter_rows())
    top = max([*wanted.values(), 1e-9])
    drawn = []
    for name, (x, y) in places.region.items():
        size = 2.5 + 5 * np.sqrt(wanted.get(name, 0.0) / top)
        words = f"{name}: wants {whole(wanted[name])} units" if name in wanted else name
        shape = {
            "x": f"{x - size:.1f}",
            "y": f"{y - size:.1f}",
            "width": f"{2 * size:.1f}",
            "height": f"{2 * size:.1f}",
        }
        drawn.append(tag("rect", tag("title", words), **shape))
    return tag("g", drawn, class_="regions")


def _controls(sites: list[str], layers: list[tuple[str, str]]) -> Markup:
    boxes = [
        tag("label", tag("input", type="checkbox", checked=True, data_toggle=layer), " ", words)
        for layer, words in layers
    ]
    named = [tag("option", name, value=at) for at, name in enumerate(sites)]
    options = [tag("option", "all sites", value=""), *named]
    picker = tag("label", "Site ", tag("select", options, id="map-site"))
    return tag("div", boxes, picker, class_="controls scripted")


def _legend(places: _Places) -> Markup:
    keys = [tag("li", tag("span", class_=f"key dot c{TIER_COLOURS[kind]}"), TIER_NAMES[kind]) for kind in TIERS]
    if places.real:
        keys.append(tag("li", tag("span", class_="key square"), "customer region"))
    keys.append(tag("li", tag("span", class_="key ring"), "halo: what capacity is worth"))
    return tag("ul", keys, class_="legend")


def site_table(figures: Figures, currency: str) -> Markup:
    """Every site with its flows, stock, use and worth of capacity."""
    columns = [
        Column("Site"),
        Column("Kind"),
        Column("Shipped", True, "units to customers over the horizon"),
        Column("Received", True, "units over the horizon"),
        Column("Mean stock, m³", True),
        Column("Today, m³", True),
        Column("Fullest capacity", True, "use of the site's most used capacity, in its worst bucket"),
        Column(f"Capacity worth, {currency}", True, "price × use of all its capacities over the horizon"),
    ]
    rows = []
    for row in figures.sites.sort("rent", "shipped", descending=True).iter_rows(named=True):
        values = [(row[name], number(row[name])) for name in ("shipped", "received", "mean_m3", "today_m3")]
        load = row["load"]
        rows.append(
            [
                name_cell(called(row, "node_id")),
                cell(TIER_NAMES.get(row["kind"], row["kind"])),
                *[cell(shown, figure=True, sort=value) for value, shown in values],
                cell(share(load), figure=True, sort=load or 0.0, class_=heat(load)),
                cell(number(row["rent"]), figure=True, sort=row["rent"]),
            ]
        )
    return table(columns, rows, label="Sites")


def network(data: RunData, figures: Figures) -> Markup:
    """Map, its controls, and the same figures as a table."""
    places = _places(data)
    flows = data.optional("plan/flows")
    sites = figures.sites["node_id"].to_list()
    number_of = {name: at for at, name in enumerate(sites)}
    layers = [("rent", "capacity worth")]
    arcs = []
    if flows is not None:
        arcs = [_arcs(flows, "lane", places, number_of), _arcs(flows, "customer", places, number_of)]
        layers = [("customer", "to customers"), ("lane", "between sites"), *layers]
    picture = tag(
        "svg",
        places.backdrop,
        arcs,
        _regions(data, places),
        _sites(figures, places, number_of, data.currency),
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        role="img",
        aria_label="Map of sites, customer regions and flows; the table below holds the same figures.",
        class_="map",
        id="map",
    )
    lead = f"Expected flows over {data.days} {data.period}s: wider is more. Halos grow with "
    lead += "what the capacity of a site is worth."
    if not places.real:
        lead += " Some sites have no latitude and longitude, so they are drawn in rows by kind."
    return section(
        "network",
        "Network",
        _controls([called(row, "node_id") for row in figures.sites.iter_rows(named=True)], layers),
        tag("div", picture, class_="map-frame", tabindex=0, role="region", aria_label="Map"),
        _legend(places),
        details("All sites as a table", site_table(figures, data.currency)),
        lead=lead,
    )
