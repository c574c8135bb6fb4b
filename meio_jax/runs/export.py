"""The tables of a run in another format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl

from meio_jax.folders import Claim, check_claim, used, written_beside
from meio_jax.runs.files import read_certificate
from meio_jax.runs.folder import made_of
from meio_jax.runs.purchase_orders import write_purchase_orders
from meio_jax.tables import guard_cells, write_table, write_text
from meio_jax.tables.own_files import read_own
from meio_jax.tables.write_excel import write_workbook


def export_run(
    run: Path, out: Path | None = None, format: Literal["csv", "parquet", "xlsx"] = "csv", *, guard: bool = True
) -> Path:
    """Write the tables of a run, and its certificate, to a folder.

    Args:
        run: Folder of a finished run.
        out: Folder to write to; an earlier export of the run in it is replaced. None: `export` in the run folder.
        format: Of the tables. `xlsx`: all of them as sheets of `plan.xlsx`, and today's orders in a workbook for each
            vendor, in `orders/`.
        guard: In CSV, whether texts that a spreadsheet would run as formulas get an apostrophe before them.

    Returns:
        The folder.

    Raises:
        InputError: If the run cannot be read, the folder holds anything else, or the library that writes workbooks is
            not installed; then nothing is written.
    """
    certificate = read_certificate(run)
    target = run / "export" if out is None else out
    claim = Claim("export", "--out", made_of(run, target), flag=False)
    with used(run, "meio export"):
        check_claim(target, claim)
        with written_beside(target, claim) as coming:
            if format == "xlsx":
                write_workbook(_sheets(run), coming / "plan.xlsx")
                write_purchase_orders(_whole(run, "plan/orders"), coming / "orders")
            else:
                _write_tables(run, coming, format, guard=guard)
            write_text(json.dumps(certificate, indent=1), coming / "certificate.json")
    return target


def _write_tables(run: Path, folder: Path, format: Literal["csv", "parquet"], *, guard: bool) -> None:
    # The tables by item of a streamed run are folders of parts, and stay so.
    for path in _files(run):
        frame = read_own(path)
        frame = guard_cells(frame) if guard and format == "csv" else frame
        write_table(frame, folder / path.relative_to(run).with_suffix(f".{format}"))


def _files(run: Path) -> list[Path]:
    return sorted([*run.glob("*.parquet"), *run.glob("plan/*.parquet"), *run.glob("plan/*/*.parquet")])


def _sheets(run: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    """All tables of the run by the name of their sheet, those of the plan first."""
    names = dict.fromkeys(_table_name(path.relative_to(run)) for path in _files(run))
    for name in sorted(names, key=lambda name: (not name.startswith("plan/"), name)):
        yield Path(name).name, _whole(run, name)


def _table_name(path: Path) -> str:
    """Name of the table that a file, or a part of a folder, belongs to."""
    return "/".join(path.with_suffix("").parts[:2])


def _whole(run: Path, name: str) -> pl.DataFrame:
    """A table of the run, all of its parts together."""
    return pl.concat(read_own(path) for path in _files(run) if _table_name(path.relative_to(run)) == name)
