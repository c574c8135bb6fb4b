"""Service: which share of demand is delivered as promised, by promise, region group, region and week."""

from __future__ import annotations

import polars as pl

from meio_jax.report.charts import Axes, Series, line_chart
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import share, whole
from meio_jax.report.parts import Column, card, cards, cell, details, empty, name_cell, section, table
from meio_jax.runs.data import RunData

_REGIONS = 150


def _speeds(data: RunData) -> list[str]:
    return data.network.speeds.sort("promise_days", "deliver_by_hour")["speed_id"].to_list()


def _grade(value: float | None) -> str:
    """Class of a cell by the share served as promised."""
    if value is None:
        return "heat-0"
    return next(
        name for limit, name in ((0.98, "s4"), (0.95, "s3"), (0.9, "s2"), (0.8, "s1"), (-1, "s0")) if value >= limit
    )


def _rates(frame: pl.DataFrame, by: str, speeds: list[str]) -> list[tuple[str, list[float | None], float]]:
    """For each value of column `by`: the share served as promised by speed, and the demand."""
    sums = frame.group_by(by, "speed_id").agg(pl.col("wanted", "promised").sum())
    table_: dict[str, dict[str, tuple[float, float]]] = {}
    for row in sums.iter_rows(named=True):
        table_.setdefault(row[by], {})[row["speed_id"]] = (row["wanted"], row["promised"])
    found = []
    for name in sorted(table_):
        own = table_[name]
        pairs = [own.get(speed, (0.0, 0.0)) for speed in speeds]
        found.append((name, [p / w if w > 0 else None for w, p in pairs], sum(w for w, _ in pairs)))
    return found


def _table(first: str, rows: list[tuple[str, list[float | None], float]], speeds: list[str]) -> Markup:
    columns = [Column(first), *[Column(speed, True) for speed in speeds], Column("demand, units", True)]
    body = [
        [
            name_cell(name),
            *[
                cell(share(rate), figure=True, sort=-1.0 if rate is None else rate, class_=_grade(rate))
                for rate in rates
            ],
            cell(whole(wanted), figure=True, sort=wanted),
        ]
        for name, rates, wanted in rows
    ]
    return table(columns, body, label=f"Served as promised by {first.lower()} and promise")


def _by_bucket(frame: pl.DataFrame, speeds: list[str], word: str) -> Markup:
    sums = frame.group_by("speed_id", "bucket").agg(pl.col("wanted", "promised").sum()).sort("bucket")
    lines = []
    for at, speed in enumerate(speeds):
        own = sums.filter((pl.col("speed_id") == speed) & (pl.col("wanted") > 0))
        rate = (own["promised"] / own["wanted"]).to_list()
        lines.append(Series(speed, [bucket + 1 for bucket in own["bucket"].to_list()], rate, at + 1))
    axes = Axes(word, f"Served as promised by {word}", lambda value: share(value, 0))
    return line_chart(lines, axes, label=f"Share of demand served as promised, by promise and {word}")


def service(data: RunData) -> Markup:
    """Service by promise and region group, by week, and by region on request."""
    frame = data.optional("plan/service")
    if frame is None:
        return section("service", "Service", empty("This run does not record service; solve anew to see it."))
    speeds = _speeds(data)
    overall = _rates(frame.with_columns(pl.lit("all regions").alias("all")), "all", speeds)
    groups = _rates(frame, "region_group", speeds)
    regions = _rates(frame, "region_id", speeds)
    worst = sorted(regions, key=lambda row: min((rate for rate in row[1] if rate is not None), default=1.0))
    more = None
    if len(regions) > _REGIONS:
        more = empty(f"The {_REGIONS} worst of {len(regions)} regions.")
    lead = (
        "Share of demand that is delivered at the promise that was asked for. What is downgraded, late or lost does "
        "not count."
    )
    return section(
        "service",
        "Service",
        cards(
            tag("div", _by_bucket(frame, speeds, data.bucket_word), class_="card"),
            card("By promise and region group", _table("Region group", [*overall, *groups], speeds)),
        ),
        details(f"All {len(regions)} regions, worst first", _table("Region", worst[:_REGIONS], speeds), more),
        lead=lead,
    )
