"""The small files of a run folder, read with what is said where they are missing, damaged or of something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meio_jax.errors import InputError, Note, Problem, Refusal
from meio_jax.folders import check_free
from meio_jax.instance.census import Census
from meio_jax.results import Result

_FIGURES = (
    "holdout_cost",
    "holdout_objective",
    "in_sample_cost",
    "lagrangian",
    "coupling_gap",
    "largest_violation",
    "clairvoyant_bound",
)
_LISTS = {"violations": ("kind", "resource", "bucket", "relative"), "infeasible": ("resource", "bucket", "relative")}


_ANEW = "solve anew with `meio solve --overwrite`"
_MOST_DIGITS = 18


def read_json(path: Path, what: str, remedy: str = _ANEW) -> dict[str, Any]:
    """A file of keys and values.

    Args:
        path: The file.
        what: What it is, in words.
        remedy: What to do where it is damaged.

    Raises:
        InputError: If it is missing or damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_int=_whole)
    except FileNotFoundError:
        raise Refusal(Problem(str(path), "", "", None, what, "give the folder of a finished run")) from None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, " ".join(str(error).split()), what, remedy) from None
    if not isinstance(found, dict):
        raise _damaged(path, f"a {type(found).__name__}", what, remedy)
    return found


def read_words(path: Path, remedy: str = _ANEW) -> str:
    """A text file of a run folder; empty where it is missing.

    Args:
        path: The file.
        remedy: What to do where it is damaged.

    Raises:
        InputError: If it holds what is no text.
    """
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except UnicodeDecodeError as error:
        raise _damaged(path, " ".join(str(error).split()), "a text file", remedy) from None


def _whole(digits: str) -> int:
    """A whole number of a file; ValueError where it is beyond all that is counted, and beyond floats perhaps."""
    if len(digits.removeprefix("-")) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def read_certificate(run: Path) -> dict[str, Any]:
    """The certificate of a run; figures that are no numbers are None.

    Raises:
        InputError: If the folder holds no finished run, or the file is damaged.
    """
    path, what = run / "certificate.json", "the certificate of a finished run"
    if not path.is_file() and (run / "config.yaml").is_file():
        check_free(run)
        found, remedy = Note("a run that has not ended"), f"continue it with `meio resume {run}`"
        raise Refusal(Problem(str(run), "", "", found, "a finished run", remedy))
    found_in = read_json(path, what)
    wrong = _wrong(found_in)
    if wrong is not None:
        raise _damaged(path, wrong, what)
    return found_in


def _wrong(certificate: Mapping[str, Any]) -> str | None:
    """What is wrong with a certificate, in words."""
    result = certificate.get("result")
    if not isinstance(result, str) or result not in Result.__members__:
        return "no known result"
    for name in (*_FIGURES, "seconds"):
        value = certificate.get(name, "")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            return f"no figure {name}"
    for name in ("steps", "holdout_scenarios"):
        if not isinstance(certificate.get(name), int):
            return f"no number {name}"
    interval, terms = certificate.get("holdout_cost_ci95"), certificate.get("cost_terms")
    if not isinstance(interval, list) or len(interval) != 2 or not isinstance(terms, dict):
        return "no interval or no terms of the cost"
    for name, keys in _LISTS.items():
        rows = certificate.get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() >= {*keys} for row in rows):
            return f"no list {name}"
    return None if isinstance(certificate.get("message"), str) else "no message"


def read_about(run: Path) -> dict[str, Any]:
    """What a run says of its instance: at least `path` (text) and `digests` (text by file).

    Raises:
        InputError: If the file is missing or damaged.
    """
    path, what = run / "instance.json", "what the run says of its instance"
    found = read_json(path, what)
    digests = found.get("digests")
    if not isinstance(found.get("path"), str) or not isinstance(digests, dict):
        raise _damaged(path, "no path or no digests", what)
    return found


def read_census(run: Path) -> Census:
    """What a run knows of its whole catalog.

    Raises:
        InputError: If the file is missing or damaged.
    """
    path, what = run / "census.json", "the census of the run's catalog"
    found = read_json(path, what)
    try:
        return Census.from_dict(found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}", what) from None


def _damaged(path: Path, found: str, what: str, remedy: str = _ANEW) -> InputError:
    return Refusal(Problem(str(path), "", "", Note(found), what, remedy))
