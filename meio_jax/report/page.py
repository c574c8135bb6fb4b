"""The page: sections, style and script in one file that asks the network for nothing."""

from __future__ import annotations

import base64
import datetime
import hashlib
from importlib import metadata, resources
from pathlib import Path

from meio_jax.errors import Note, Problem, Refusal
from meio_jax.folders import used
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
from meio_jax.runs.data import RunData, read_run
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

_GENERATOR = "meio-jax report"
# The head of a page holds its style, which is some kilobytes.
_LOOKED_AT = 2_000


def _asset(name: str) -> str:
    return resources.files("meio_jax.report").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"


def _head(title: str, style: str, script: str) -> Markup:
    # Only this style and this script may run, and nothing may be fetched, whatever a name in the data says.
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="generator", content=_GENERATOR),
        tag("meta", name_="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Markup(style)),
    )


def _header(data: RunData) -> Markup:
    words, mood = verdict(data.certificate)
    chosen = data.network.settings
    last = chosen.end_date - datetime.timedelta(days=1)
    line = f"Run {data.folder.resolve().name} · {chosen.start_date:%d %b %Y} to {last:%d %b %Y} · {chosen.currency}"
    return tag(
        "header",
        tag("div", tag("h1", chosen.name), tag("p", line, class_="subtitle")),
        tag("div", tag("span", words, class_=f"badge {mood}"), _theme(), class_="aside"),
        class_="page-head",
    )


def _theme() -> Markup:
    return tag("button", "Dark", type="button", id="theme", class_="scripted", aria_pressed="false")


def render(data: RunData, *, now: datetime.datetime | None = None) -> str:
    """The whole page as text.

    Args:
        data: A finished run.
        now: Time to print at the foot; None: the time of the call.
    """
    figures = compute(data)
    style, script = _asset("report.css"), _asset("report.js")
    links = [tag("a", words, href=f"#{name}") for name, words in _PARTS.items()]
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
    body = tag(
        "body",
        tag("a", "Skip to content", href="#main", class_="skip"),
        _header(data),
        tag("nav", links, aria_label="Sections"),
        tag("main", sections, id="main", tabindex=-1),
        tag("footer", foot),
        tag("script", Markup(script)),
    )
    title = f"{data.network.settings.name} – plan report"
    return "<!doctype html>\n" + tag("html", _head(title, style, script), body, lang="en")


def write_report(run: Path, out: Path | None = None, instance: Path | None = None) -> Path:
    """Write the report of a run.

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
        _check_target(path)
        return write_text(render(read_run(run, instance)), path)


def _check_target(path: Path) -> None:
    """The file to write is new, or an earlier report."""
    try:
        with path.open(encoding="utf-8") as file:
            own = _GENERATOR in file.read(_LOOKED_AT)
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        own = False
    if not own:
        found = Note("a folder" if path.is_dir() else "a file that is no report of this program")
        raise Refusal(Problem(str(path), "--out", "", found, "a new file, or an earlier report", "give another name"))
