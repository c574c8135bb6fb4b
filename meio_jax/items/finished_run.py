"""The folder of a finished run whose items are planned again, and that of its instance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meio_jax.config.settings import Config, load_config
from meio_jax.errors import InputError, Note, Problem
from meio_jax.instance.census import Census
from meio_jax.runs.data import instance_of
from meio_jax.runs.files import read_about, read_census, read_certificate
from meio_jax.runs.resume import table_digests
from meio_jax.tables.read import NETWORK_TABLES
from meio_jax.tables.settings import SETTINGS_FILE


def read_finished(run: Path) -> tuple[Config, dict[str, Any], Census]:
    """Configuration, what is known of the instance, and the census of a finished run."""
    config = load_config(run / "config.yaml")
    read_certificate(run)
    return config, read_about(run), read_census(run)


def unchanged_instance(run: Path, about: Mapping[str, Any], given: Path | None) -> Path:
    """The folder of a run's instance, whose network must be what it was."""
    folder = instance_of(run, about, given)
    wanted = (*NETWORK_TABLES, SETTINGS_FILE.split(".")[0])
    before = {name: digest for name, digest in about["digests"].items() if name.split(".")[0] in wanted}
    now = table_digests(folder, wanted)
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            remedy = "solve the new network with `meio solve --warm-start`"
            found = Note("another table than the run had")
            raise InputError([Problem(str(folder / name), "", "", found, "the network that the run planned", remedy)])
    return folder
