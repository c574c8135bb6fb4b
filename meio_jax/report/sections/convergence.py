"""How the search went: cost and Lagrangian value, capacity violation by kind, coupling gap."""

from __future__ import annotations

from typing import Any

import polars as pl

from meio_jax.errors import InputError
from meio_jax.report.charts import Axes, Level, Series, line_chart
from meio_jax.report.html import Markup, tag
from meio_jax.report.numbers import number, share
from meio_jax.report.parts import cards, section
from meio_jax.runs.data import RunData
from meio_jax.tables.plain_yaml import parse_yaml

_PREFIX = "violation_"


def _tolerance(config: str, name: str) -> float | None:
    """A tolerance from the resolved configuration, if it can be read."""
    try:
        solve: Any = (parse_yaml(config, "config.yaml") or {}).get("solve", {})
    except (InputError, AttributeError):
        return None
    value = solve.get(name) if isinstance(solve, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _levels(name: str, value: float | None) -> list[Level]:
    return [] if value is None else [Level(name, value)]


def _cost(metrics: pl.DataFrame, data: RunData) -> Markup:
    steps = metrics["step"].to_list()
    certificate = data.certificate
    lines = [
        Series("cost of the iterate", steps, metrics["cost"].to_list(), 1),
        Series(f"Lagrangian value ({certificate['lagrangian_label']})", steps, _near(metrics), 2),
    ]
    levels = _levels("holdout", certificate["holdout_cost"])
    levels += _levels("clairvoyant bound", certificate["clairvoyant_bound"])
    axes = Axes("step", f"Cost and bound, {data.currency}")
    return tag("div", line_chart(lines, axes, levels, label="Cost, Lagrangian value and bounds by step"), class_="card")


def _near(metrics: pl.DataFrame) -> list[float | None]:
    """The Lagrangian value where it is near the cost; the first steps lie far off and would flatten all else."""
    cost, value = metrics["cost"].to_list(), metrics["lagrangian"].to_list()
    return [v if v is not None and abs(v - c) <= 0.35 * abs(c) else None for c, v in zip(cost, value, strict=True)]


def _violation(metrics: pl.DataFrame, data: RunData) -> Markup:
    steps = metrics["step"].to_list()
    kinds = [name for name in metrics.columns if name.startswith(_PREFIX)]
    lines = [
        Series(name.removeprefix(_PREFIX), steps, [max(v or 0.0, 1e-4) for v in metrics[name].to_list()], at + 1)
        for at, name in enumerate(kinds)
    ]
    axes = Axes("step", "Largest violation by kind (logarithmic)", lambda v: share(v, 2 if v < 0.01 else 0), log=True)
    levels = _levels("tolerance", _tolerance(data.config, "violation"))
    return tag("div", line_chart(lines, axes, levels, label="Capacity violation by kind and step"), class_="card")


def _gap(metrics: pl.DataFrame, data: RunData) -> Markup:
    values = [None if v is None else max(v, 1e-4) for v in metrics["gap"].to_list()]
    lines = [Series("coupling gap", metrics["step"].to_list(), values, 1)]
    axes = Axes("step", "Coupling gap (logarithmic)", lambda v: share(v, 2 if v < 0.01 else 0), log=True)
    levels = _levels("tolerance", _tolerance(data.config, "gap"))
    return tag("div", line_chart(lines, axes, levels, label="Coupling gap by step"), class_="card")


def convergence(data: RunData) -> Markup:
    """Three charts over the steps of the search."""
    metrics = data.table("metrics")
    seconds = data.certificate["seconds"]
    lead = (
        f"{metrics.height} steps, {number(seconds)} seconds with the holdout. Cost in sample settles while violation "
        "and gap fall below their tolerances; what counts is the holdout."
    )
    return section(
        "convergence",
        "Convergence",
        cards(_cost(metrics, data), _violation(metrics, data), _gap(metrics, data)),
        lead=lead,
    )
