"""The frame of every page: style and script in one file that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import polars as pl

from meio_jax.errors import InputError, Note, Problem, Refusal, first_line
from meio_jax.report.html import Markup, tag

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


def framed(title: str, header: Markup, parts: Mapping[str, str], sections: Sequence[Markup], foot: str) -> str:
    """A whole page as text.

    Args:
        title: Title of the window.
        header: What stands above the navigation.
        parts: Names and headings of the sections.
        sections: The sections.
        foot: Line at the end.
    """
    style, code = _asset("report.css"), _asset("report.js")
    links = [tag("a", words, href=f"#{name}") for name, words in parts.items()]
    body = tag(
        "body",
        tag("a", "Skip to content", href="#main", class_="skip"),
        header,
        tag("nav", links, aria_label="Sections"),
        tag("main", list(sections), id="main", tabindex=-1),
        tag("footer", foot),
        tag("script", Markup(code)),
    )
    return "<!doctype html>\n" + tag("html", _head(title, style, code), body, lang="en")


def theme() -> Markup:
    """The switch between light and dark."""
    return tag("button", "Dark", type="button", id="theme", class_="scripted", aria_pressed="false")


@contextmanager
def made_of(folder: Path, what: str, remedy: str) -> Iterator[None]:
    """Tell in one line that a page cannot be made of what somebody changed in a folder.

    Args:
        folder: The folder.
        what: What it should hold, in words.
        remedy: What to do.

    Raises:
        Refusal: If an entry or a column is missing, or of another kind than it should be.
    """
    try:
        yield
    except InputError:
        raise
    except KeyError as error:
        raise Refusal(Problem(str(folder), "", "", Note(f"no entry {error}"), what, remedy)) from None
    except (TypeError, AttributeError, ValueError, ArithmeticError, pl.exceptions.PolarsError) as error:
        found = Note(f"values of another kind ({first_line(error)})")
        raise Refusal(Problem(str(folder), "", "", found, what, remedy)) from None


def check_target(path: Path) -> None:
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
