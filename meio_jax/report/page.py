"""The page: sections, style and script in one file that asks the network for nothing."""

from __future__ import annotations

import datetime
from importlib import metadata
from pathlib import Path

from meio_jax.folders import used
from meio_jax.report.backtest_page import is_backtest, write_backtest_report
from meio_jax.report.curve_page import is_curve, write_curve_report
from meio_jax.report.figures import compute
from meio_jax.report.geography import outline_source
from meio_jax.report.html import Markup, tag
from meio_jax.report.sections.capacity import capacity
from meio_jax.report.sections.convergence import convergence
from meio_jax.report.sections.cost import cost
from meio_jax.report.sections.decisions import decisions
from meio_jax.report.sections.items import items
from meio_jax.report.sections.network import network
from meio_jax.report.sections.overview import overview, verdict
from meio_jax.report.sections.service import service
from meio_jax.report.sections.settings import settings
from meio_jax.report.sections.stock import stock
from meio_jax.report.shell import check_target, framed, made_of, theme
from meio_jax.runs.data import RunData, damage_told, read_run
from meio_jax.tables import write_text

_PARTS = {
    "overview": "Overview",
    "network": "Network",
    "convergence": "Convergence",
    "capacity": "Capacity",
    "cost": "Cost",
    "service": "Service",
    "stock": "Stock",
    "items": "Items",
    "decisions": "Decisions",
    "settings": "Settings",
}


def _header(data: RunData) -> Markup:
    words, mood = verdict(data.certificate)
    chosen = data.network.settings
    last = chosen.end_date - datetime.timedelta(days=1)
    line = f"Run {data.folder.resolve().name} · {chosen.start_date:%d %b %Y} to {last:%d %b %Y} · {chosen.currency}"
    return tag(
        "header",
        tag("div", tag("h1", chosen.name), tag("p", line, class_="subtitle")),
        tag("div", tag("span", words, class_=f"badge {mood}"), theme(), class_="aside"),
        class_="page-head",
    )


def render(data: RunData, *, now: datetime.datetime | None = None) -> str:
    """The whole page as text.

    Args:
        data: A finished run.
        now: Time to print at the foot; None: the time of the call.
    """
    figures = compute(data)
    sections = [
        overview(data, figures),
        network(data, figures),
        convergence(data),
        capacity(data, figures),
        cost(data, figures),
        service(data),
        stock(data, figures),
        items(data, figures),
        decisions(data),
        settings(data),
    ]
    made = (now or datetime.datetime.now()).strftime("%d %b %Y %H:%M")
    foot = f"meio-jax {metadata.version('meio-jax')} · written {made} · outlines: {outline_source()}"
    title = f"{data.network.settings.name} – plan report"
    return framed(title, _header(data), _PARTS, sections, foot)


def write_report(run: Path, out: Path | None = None, instance: Path | None = None) -> Path:
    """Write the report of a run, of a backtest, or of a service-cost curve.

    Args:
        run: A run folder.
        out: File to write; None: `report.html` in the run folder.
        instance: Folder of the instance, if it has moved since.

    Returns:
        The file written.

    Raises:
        InputError: If the run or its instance cannot be read, or the file is something else; then nothing is written.
    """
    path = out or run / "report.html"
    with used(run, "meio report"):
        check_target(path)
        if is_backtest(run):
            return write_backtest_report(run, path)
        if is_curve(run):
            return write_curve_report(run, path)
        with made_of(run, "what a finished run wrote", "solve anew"), damage_told(run):
            return write_text(render(read_run(run, instance)), path)
