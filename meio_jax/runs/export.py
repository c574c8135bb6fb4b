"""The tables of a run in another format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import polars as pl

from meio_jax.folders import Claim, check_claim, used, written_beside
from meio_jax.runs.folder import made_of
from meio_jax.runs.run import read_certificate
from meio_jax.tables import write_table, write_text


def export_run(run: Path, out: Path | None = None, format: Literal["csv", "parquet"] = "csv") -> Path:
    """Write the tables of a run, and its certificate, to a folder.

    Args:
        run: Folder of a finished run.
        out: Folder to write to; an earlier export of the run in it is replaced. None: `export` in the run folder.
        format: Of the tables.

    Returns:
        The folder.

    Raises:
        InputError: If the run cannot be read, or the folder holds anything else; then nothing is written.
    """
    certificate = read_certificate(run)
    target = run / "export" if out is None else out
    claim = Claim("export", "--out", made_of(run, target), flag=False)
    with used(run, "meio export"):
        check_claim(target, claim)
        with written_beside(target, claim) as coming:
            # The tables by item of a streamed run are folders of parts, and stay so.
            for path in sorted([*run.glob("*.parquet"), *run.glob("plan/*.parquet"), *run.glob("plan/*/*.parquet")]):
                write_table(pl.read_parquet(path), coming / path.relative_to(run).with_suffix(f".{format}"))
            write_text(json.dumps(certificate, indent=1), coming / "certificate.json")
    return target
