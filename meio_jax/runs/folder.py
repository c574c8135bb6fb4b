"""What every run folder has besides the tables of its plan: configuration, what was solved, and the certificate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from meio_jax.certify.certificate import Certificate
from meio_jax.config.settings import Config, dump_config
from meio_jax.instance import Instance
from meio_jax.tables import write_text


def begin_folder(config: Config, instance: Instance, folder: Path, digests: dict[str, str], **more: Any) -> None:
    """Take away what an earlier run left, and write down what this one solves.

    Args:
        config: The configuration as resolved.
        instance: The instance, or a part of it.
        folder: Where the instance is.
        digests: Hash of every table.
        more: Further entries of `instance.json`.
    """
    _clear(config.run)
    config.run.mkdir(parents=True, exist_ok=True)
    write_text(dump_config(config), config.run / "config.yaml")
    ids = instance.ids
    about = {
        "digests": digests,
        "name": instance.tables.settings.name,
        "path": str(folder),
        "items": instance.census.items,
        "nodes": len(ids.nodes),
        "regions": len(ids.regions),
        **more,
    }
    write_text(json.dumps(about, indent=1), config.run / "instance.json")
    write_text(json.dumps(instance.census.as_dict()), config.run / "census.json")


def _clear(folder: Path) -> None:
    """Take away what an earlier run left in the folder, so that no table of it can be mistaken for this run's."""
    for name in ("plan", "checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("certificate.json", "prices.parquet", "metrics.parquet", "report.html"):
        (folder / name).unlink(missing_ok=True)


def write_certificate(certificate: Certificate, folder: Path) -> None:
    """Write `certificate.json`."""
    write_text(json.dumps(_plain(certificate.as_dict()), indent=1, allow_nan=False), folder / "certificate.json")


def _plain(value: Any) -> Any:
    """JSON has no infinities and no NaN: they become null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value
