"""The command `meio curve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import typer
from rich.table import Table

from meio_jax.cli.console import messages, output
from meio_jax.cli.signals import LISTENER

_out, _err = output(), messages()


def curve(
    config: Annotated[
        Path, typer.Argument(help="Configuration file (YAML), or an instance folder: every setting at its default.")
    ],
    service: Annotated[str, typer.Option(help="Shares asked for, LOW:HIGH or LOW:HIGH:STEP, such as 0.90:0.99.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; default the run folder's name + `_curve`.")] = None,
    floor: Annotated[
        list[str] | None, typer.Option(help="Floor that moves, by its resource_id; repeat for several; default all.")
    ] = None,
    kind: Annotated[Literal["service", "in_stock"] | None, typer.Option(help="Only floors of this kind move.")] = None,
    item_class: Annotated[str | None, typer.Option(help="Only floors of this class of items move.")] = None,
    node_group: Annotated[str | None, typer.Option(help="Only floors of this group of nodes move.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a curve that was cut off.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the curve that the folder holds.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Solve at rising service levels, each warm from the one before, and write what service costs."""
    from meio_jax.cli.terminal import choose_progress
    from meio_jax.config.of_folder import config_of
    from meio_jax.items.curve import Chosen, run_curve, service_levels
    from meio_jax.results import Result

    levels, loaded = service_levels(service), config_of(config)
    folder = loaded.run.with_name(f"{loaded.run.name}_curve") if out is None else out
    chosen = Chosen(tuple(floor or ()), kind, item_class, node_group)
    progress = choose_progress(_err, LISTENER.get(), quiet=quiet)
    try:
        found = run_curve(loaded, folder, levels, chosen, progress, resume=resume, overwrite=overwrite)
    finally:
        progress.close()
    _out.print(curve_table(found))
    _out.print(f"Wrote {folder}: curve.parquet, and a run for every level in points/.", markup=False, highlight=False)
    raise typer.Exit(max(Result[status].value for status in found["status"].to_list()))


def curve_table(found: pl.DataFrame) -> Table:
    """The curve as a person reads it in a terminal."""
    table = Table(title="What service costs", title_justify="left")
    names = ("service asked", "achieved", "95 %", "cost", "price", "stock, units", "stock, money", "days", "status")
    for name in names:
        table.add_column(name, justify="left" if name == "status" else "right")
    for row in found.iter_rows(named=True):
        days = "none" if row["days_of_cover"] is None else f"{row['days_of_cover']:,.1f}"
        table.add_row(
            f"{row['service']:.2%}",
            f"{row['achieved']:.2%}",
            f"{row['achieved_low']:.2%} to {row['achieved_high']:.2%}",
            f"{row['cost']:,.0f}",
            f"{row['price']:,.4g}",
            f"{row['stock_units']:,.0f}",
            f"{row['stock_money']:,.0f}",
            days,
            row["status"],
        )
    return table
