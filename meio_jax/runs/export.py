"""The tables of a run in another format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import polars as pl

from meio_jax.errors import Note, Problem, Refusal
from meio_jax.folders import Claim, check_claim, used, written_beside
from meio_jax.runs.files import read_certificate
from meio_jax.runs.folder import made_of
from meio_jax.tables import guard_cells, write_table, write_text
from meio_jax.tables.sources import READ_ERRORS, first_line


def export_run(
    run: Path, out: Path | None = None, format: Literal["csv", "parquet"] = "csv", *, guard: bool = True
) -> Path:
    """Write the tables of a run, and its certificate, to a folder.

    Args:
        run: Folder of a finished run.
        out: Folder to write to; an earlier export of the run in it is replaced. None: `export` in the run folder.
        format: Of the tables.
        guard: In CSV, whether texts that a spreadsheet would run as formulas get an apostrophe before them.

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
                frame = _read(path)
                frame = guard_cells(frame) if guard and format == "csv" else frame
                write_table(frame, coming / path.relative_to(run).with_suffix(f".{format}"))
            write_text(json.dumps(certificate, indent=1), coming / "certificate.json")
    return target


def _read(path: Path) -> pl.DataFrame:
    """A table of a run; each file alone, for a name that looks like a pattern is a name."""
    try:
        return pl.read_parquet(path, glob=False, hive_partitioning=False)
    except READ_ERRORS as error:
        found = Note(first_line(error))
        raise Refusal(Problem(str(path), "", "", found, "a whole Parquet file", "solve anew")) from None
