"""The command `meio backtest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from meio_jax.cli.backtest_text import DayLines, backtest_text
from meio_jax.cli.console import messages, output
from meio_jax.cli.signals import LISTENER, Listener
from meio_jax.cli.terminal import show_warning
from meio_jax.progress import Silent

_out, _err = output(), messages()


class _Told(Silent):
    """What is told of a backtest besides its days: warnings about the input, and how it is continued."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def warning(self, text: str) -> None:
        # Those of the solves that follow are about the same input.
        if self._listener.onward is None:
            show_warning(_err, text)

    def begun(self, run: Path, how: str | None = None) -> None:
        self._listener.begun(run, how)


def backtest(
    config: Annotated[
        Path, typer.Argument(help="Configuration file (YAML), or an instance folder: every setting at its default.")
    ],
    run: Annotated[
        Path | None, typer.Option(help="Folder to write; default the run folder's name + `_backtest`.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days to live; overrides the configuration.")] = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Days from one full plan to the next; overrides the configuration.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of customers and vendors; overrides.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a backtest that was cut off.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the backtest that the folder holds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Live by daily plans, order by order, and compare with baselines that are planned anew every day as well."""
    from meio_jax.backtest_loop import run_backtest
    from meio_jax.config.of_folder import config_of, defaults_text

    loaded = config_of(config)
    given = {"days": days, "every": every, "seed": seed}
    part = loaded.backtest.model_copy(update={key: value for key, value in given.items() if value is not None})
    loaded = loaded.model_copy(update={"backtest": part})
    folder = loaded.run.with_name(f"{loaded.run.name}_backtest") if run is None else run
    if config.is_dir() and not quiet:
        _err.print(defaults_text(loaded, folder), markup=False, highlight=False)
    lines = DayLines(_err, quiet=quiet)
    try:
        found = run_backtest(
            loaded, folder, resume=resume, overwrite=overwrite, on_day=lines.update, progress=_Told(LISTENER.get())
        )
    finally:
        lines.close()
    if as_json:
        typer.echo(json.dumps(found.summary, indent=1))
    else:
        _out.print(backtest_text(found.summary, str(folder)))
