"""Files of trained networks: read, written, and the one that comes with the package."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from meio_jax.errors import InputError, Note, Problem
from meio_jax.model.correction import Correction
from meio_jax.policy.neural import check_network
from meio_jax.tables import write_text
from meio_jax.tables.plain_yaml import as_text, parse_yaml, read_small

PACKAGED = "lost_sales.json"
"""Name of the network that comes with the package (what it was trained on: docs/policies.md)."""


def read_correction(path: Path) -> Correction:
    """Read a network that `write_correction` wrote.

    Args:
        path: The file.

    Raises:
        InputError: If it is missing, or holds no whole network.
    """
    expected, remedy = "the file of a trained network", "give a file that `learn_network` wrote"
    absent = Problem(str(path), "", "", None, expected, remedy)
    content = parse_yaml(as_text(read_small(Path(path), str(path), absent), str(path)), str(path))
    try:
        return check_network(Correction.of(content))
    except ValueError as error:
        raise InputError([Problem(str(path), "", "", Note("another content"), str(error), remedy)]) from None


def write_correction(correction: Correction, path: Path) -> None:
    """Write a network to a JSON file, under a temporary name first."""
    write_text(json.dumps(correction.as_dict(), indent=1) + "\n", path)


def packaged_correction() -> Correction:
    """The network that comes with the package."""
    text = files("meio_jax.policy").joinpath("networks", PACKAGED).read_text(encoding="utf-8")
    return Correction.of(json.loads(text))


def correction_of(given: Any) -> Any:
    """The network that a configuration holds, or names by its file.

    Raises:
        ValueError: If it is no network; the message says what was expected.
    """
    if given is None or isinstance(given, Correction):
        return given
    if isinstance(given, str | Path):
        try:
            return read_correction(Path(given))
        except InputError as error:
            absent = "; there is no such file" if error.problems[0].value is None else ""
            raise ValueError("; ".join(f"{one.expected} ({one.remedy}{absent})" for one in error.problems)) from None
    return check_network(Correction.of(given))
