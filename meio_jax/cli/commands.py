"""The command `meio`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from meio_jax.cli.arguments import check_texts
from meio_jax.cli.backtest import backtest
from meio_jax.cli.console import messages, output
from meio_jax.cli.curve import curve
from meio_jax.cli.endings import BAD_INPUT, ending
from meio_jax.cli.serve import Host, MaxBody, Port, Run, TokenFile, Waiting, answer, run_server
from meio_jax.cli.signals import LISTENER as _LISTENER
from meio_jax.cli.signals import Ended, Listener, deaf_at_exit
from meio_jax.errors import InputError
from meio_jax.progress import ProcessLost
from meio_jax.results import Result

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Plan multi-echelon inventory with shared capacity: what to buy, where to place it, what capacity is worth.",
)

_out, _err = output(), messages()

Strict = Annotated[bool, typer.Option("--strict", help="Take warnings about the input for errors.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def _progress(quiet: bool):
    from meio_jax.cli.terminal import choose_progress
    from meio_jax.distributed.processes import starts_first

    return choose_progress(_err, _LISTENER.get(), quiet=quiet or not starts_first())


@app.command()
def validate(
    folder: Annotated[Path, typer.Argument(help="Folder of an instance.")],
    strict: Strict = False,
) -> None:
    """Check an instance folder: every problem, what is probably not meant, and a summary of what was read."""
    from meio_jax.cli.terminal import show_warning
    from meio_jax.tables import read_instance
    from meio_jax.tables.summary import summary_of_tables

    tables = read_instance(folder)
    for one in tables.warnings:
        show_warning(_err, str(one))
    if strict and tables.warnings:
        raise InputError.from_warnings(tables.warnings)
    _out.print(f"{folder} is valid.\n{summary_of_tables(tables)}", markup=False, highlight=False)


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(help="Folder to write the instance to.")],
    items: Annotated[int, typer.Option(help="Number of items.")] = 500,
    nodes: Annotated[str, typer.Option(help="Nodes per tier: dc,fc,same_day.")] = "2,5,3",
    regions: Annotated[int, typer.Option(help="Customer regions.")] = 8,
    speeds: Annotated[int, typer.Option(help="Delivery promises.")] = 3,
    waves: Annotated[int, typer.Option(help="Order waves a day.")] = 2,
    periods: Annotated[int, typer.Option(help="Horizon, days.")] = 42,
    seed: Annotated[int, typer.Option(help="Master seed.")] = 0,
    shape: Annotated[str, typer.Option(help="local, national or global.")] = "national",
    forecast: Annotated[str, typer.Option(help="mean, paths, quantiles or history.")] = "mean",
    tightness: Annotated[float, typer.Option(help="Capacity as a share of the need.")] = 1.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an instance generated there before.")] = False,
) -> None:
    """Write a synthetic instance."""
    from pydantic import ValidationError

    from meio_jax.errors import Problem
    from meio_jax.generate import GenerateOptions, generate_instance

    try:
        options = GenerateOptions.model_validate(
            {
                "items": items,
                "nodes_per_tier": tuple(int(part) for part in nodes.split(",")),
                "regions": regions,
                "speeds": speeds,
                "waves": waves,
                "periods": periods,
                "seed": seed,
                "shape": shape,
                "forecast": forecast,
                "tightness": tightness,
            }
        )
    except ValidationError as error:
        raise InputError(
            [
                Problem("meio generate", "", f"--{'.'.join(map(str, one['loc']))}", one["input"], one["msg"], "")
                for one in error.errors()
            ]
        ) from None
    except ValueError:
        raise InputError(
            [
                Problem(
                    "meio generate",
                    "",
                    "--nodes",
                    nodes,
                    "three whole numbers such as 2,5,3",
                    "correct the option",
                )
            ]
        ) from None
    folder = generate_instance(options, out, overwrite=overwrite)
    _out.print(f"Wrote {options.items} items to {folder}.", markup=False, highlight=False)


@app.command()
def solve(
    config: Annotated[
        Path, typer.Argument(help="Configuration file (YAML), or an instance folder: every setting at its default.")
    ],
    quiet: Quiet = False,
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder; overrides the configuration; of an instance folder default runs/ and its name."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed; overrides the configuration.")] = None,
    warm_start: Annotated[Path | None, typer.Option(help="Earlier run to start from.")] = None,
    strict: Strict = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in the folder, once this one is complete.")
    ] = False,
) -> None:
    """Solve an instance and write a run folder."""
    from meio_jax.config.of_folder import config_of, defaults_text
    from meio_jax.distributed.processes import starts_first
    from meio_jax.runs.run import run_solve

    changes = {key: value for key, value in {"run": run, "seed": seed}.items() if value is not None}
    loaded = config_of(config).model_copy(update=changes)
    if config.is_dir() and not quiet and starts_first():
        _say(defaults_text(loaded, loaded.run))
    _solve_and_show(
        lambda progress: run_solve(loaded, progress, warm_start=warm_start, strict=strict, overwrite=overwrite), quiet
    )


@app.command()
def resume(run: Annotated[Path, typer.Argument(help="Run folder.")], quiet: Quiet = False) -> None:
    """Continue an interrupted run from its newest checkpoint."""
    from meio_jax.runs.run import config_to_resume, run_solve

    config = config_to_resume(run)
    _solve_and_show(lambda progress: run_solve(config, progress, resume=True), quiet)


def _solve_and_show(work, quiet: bool) -> None:
    progress = _progress(quiet)
    try:
        plan = work(progress)
    finally:
        progress.close()
    from meio_jax.cli.summary import summary, unreachable
    from meio_jax.distributed.processes import starts_first
    from meio_jax.runs.folder import without_nan

    if not quiet and starts_first():
        _out.print(summary(without_nan(plan.certificate.as_dict()), str(plan.model.config.run)))
    if plan.result.value and starts_first():
        _say(plan.certificate.message)
        for line in unreachable(without_nan(plan.certificate.as_dict())) if quiet else ():
            _say(line)
    raise typer.Exit(plan.result.value)


@app.command()
def replan(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    items: Annotated[Path, typer.Option(help="Folder of changed item tables, or one of them, such as forecast.csv.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default RUN/replan.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps of the search.")] = 20,
    instance: Annotated[Path | None, typer.Option(help="Folder of the instance, if it has moved.")] = None,
) -> None:
    """Plan the items of some tables again at a run's prices, without touching the rest."""
    from meio_jax.items.replan_run import replan_run

    text, warnings = replan_run(run, items, out, steps, instance)
    _out.print(text, markup=False, highlight=False)
    for warning in warnings:
        _err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)


@app.command()
def show(run: Annotated[Path, typer.Argument(help="Run folder.")]) -> None:
    """Print the summary of a run."""
    from meio_jax.cli.summary import summary
    from meio_jax.runs.files import read_certificate

    _out.print(summary(read_certificate(run), str(run)))


@app.command()
def diff(
    run_a: Annotated[Path, typer.Argument(help="Folder of the earlier run.")],
    run_b: Annotated[Path, typer.Argument(help="Folder of the later run.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default RUN_B/diff.")] = None,
    items: Annotated[
        int, typer.Option(min=0, help="Items planned again to say why their orders changed, most money first; 0: none.")
    ] = 500,
    instance_a: Annotated[Path | None, typer.Option(help="Instance of the earlier run, if it has moved.")] = None,
    instance_b: Annotated[Path | None, typer.Option(help="Instance of the later run, if it has moved.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say what changed from one run to another and why: orders, targets, prices, service, in money."""
    from meio_jax.cli.diff_text import diff_text
    from meio_jax.report.diff_page import write_diff

    progress = _progress(quiet)
    try:
        found, target = write_diff(
            run_a, run_b, out, instances=(instance_a, instance_b), items=items, progress=progress
        )
    finally:
        progress.close()
    if as_json:
        typer.echo(json.dumps({**found.summary, "notes": found.notes}, indent=1))
    else:
        _out.print(diff_text(found, str(target)))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write to; default RUN/export.")] = None,
    format: Annotated[
        Literal["csv", "parquet", "xlsx"],
        typer.Option(help="csv, parquet or xlsx: one workbook of all tables, and one of orders for each vendor."),
    ] = "csv",
    guard: Annotated[
        bool,
        typer.Option(help="In CSV, put ' before texts that spreadsheets would run as formulas (= + - @)."),
    ] = True,
) -> None:
    """Write the tables of a run in another format."""
    from meio_jax.runs.export import export_run

    target = export_run(run, out, format, guard=guard)
    _out.print(f"Wrote the tables of {run} to {target}.", markup=False, highlight=False)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="File to write; default RUN/report.html.")] = None,
    instance: Annotated[Path | None, typer.Option(help="Folder of the instance, if it has moved.")] = None,
) -> None:
    """Write the report of a run or a backtest: one HTML file that opens anywhere, offline."""
    from meio_jax.report import write_report

    _out.print(f"Wrote {write_report(run, out, instance)}.", markup=False, highlight=False)


@app.command()
def explain(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    item: Annotated[str, typer.Option(help="Which item.")],
    node: Annotated[str | None, typer.Option(help="Which node; default the one that holds most.")] = None,
    scenarios: Annotated[
        int | None, typer.Option(min=1, help="Holdout scenarios; default as the run, at most 512.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    instance: Annotated[Path | None, typer.Option(help="Folder of the instance, if it has moved.")] = None,
) -> None:
    """Explain why an item has the stock it has at a node, and what would change the answer."""
    from meio_jax.cli.explain_text import explanation_text
    from meio_jax.items.explain import explain_run

    found = explain_run(run, item, node, instance=instance, scenarios=scenarios, progress=_progress(quiet=True))
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
    else:
        _out.print(explanation_text(found))


@app.command()
def forecast(
    source: Annotated[
        Path, typer.Argument(help="Instance with past sales, or a CSV or Parquet file: item_id, ds, units.")
    ],
    out: Annotated[Path, typer.Option(help="New folder: the instance with sample paths, or their table alone.")],
    periods: Annotated[
        int | None, typer.Option(help="Periods to forecast, for a file; default 42 days, 13 weeks or 6 months.")
    ] = None,
    period: Annotated[
        Literal["day", "week", "month"] | None,
        typer.Option(help="Length of a period of a file (an instance says its own); default a day."),
    ] = None,
    paths: Annotated[
        int | None, typer.Option(help="Sample paths per item; default 1,000, fewer in large catalogs.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Master seed: same seed, same sales, same paths of an item.")] = 0,
    history_days: Annotated[int, typer.Option(help="Most recent days of sales that are used.")] = 1098,
    holdout: Annotated[
        int | None,
        typer.Option(help="Last periods to judge the forecast on; default 28 days, 8 weeks or 6 months; 0: none."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="Events of past and horizon, CSV or Parquet: event, ds and perhaps item_id.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Selling prices of past and horizon, CSV or Parquet: item_id, ds, price.")
    ] = None,
    block_items: Annotated[int, typer.Option(help="Items in memory together.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier forecast in the folder.")] = False,
    quiet: Quiet = False,
) -> None:
    """Turn past sales into sample paths of demand, and say how well such paths would have fitted."""
    from meio_jax.forecast import ForecastOptions, forecast_run
    from meio_jax.forecast.text import forecast_text

    options = ForecastOptions(periods, paths, seed, history_days, holdout, block_items, period)
    progress = _progress(quiet)
    try:
        found = forecast_run(source, out, options, progress, events=events, prices=prices, overwrite=overwrite)
    finally:
        progress.close()
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
    else:
        _out.print(forecast_text(found))


@app.command()
def whatif(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    resource: Annotated[str, typer.Option(help="Which capacity.")],
    capacity: Annotated[str, typer.Option(help="+10%, -10%, +25 or -25 (in its unit), or the new capacity: 120.")],
    bucket: Annotated[list[int] | None, typer.Option(help="In which bucket; repeat for several; default all.")] = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="Solve again with the change, and compare.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each re-solve; default `warm.max_steps`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    instance: Annotated[Path | None, typer.Option(help="Folder of the instance, if it has moved.")] = None,
    quiet: Quiet = False,
) -> None:
    """Say what another capacity would do to the cost, by its prices; check it by solving again on request."""
    from meio_jax.cli.whatif_text import whatif_text
    from meio_jax.items.whatif import whatif_run

    progress = _progress(quiet)
    try:
        found = whatif_run(
            run, resource, capacity, bucket, instance=instance, resolve=resolve, steps=steps, progress=progress
        )
    finally:
        progress.close()
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=1))
    else:
        _out.print(whatif_text(found))


@app.command()
def serve(
    run: Run,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    token_file: TokenFile = None,
    max_body_mib: MaxBody = 16.0,
    waiting: Waiting = 64,
    instance: Annotated[Path | None, typer.Option(help="Folder of the instance, if it has moved.")] = None,
) -> None:
    """Serve prices, explanations and re-plans of a run over HTTP, from one process, until told to end."""
    listener = _LISTENER.get()
    heard, server = run_server(run, host, port, token_file, (max_body_mib, waiting), instance)
    listener.heard = heard
    answer(server)


app.command()(backtest)
app.command()(curve)


def main() -> None:
    """Entry point: what users can mend ends with one message and a documented status, and so do signals."""
    listener = Listener(Result.INTERRUPTED.value)
    _LISTENER.set(listener)
    try:
        with listener.listening():
            check_texts(sys.argv[1:])
            app()
    except Ended:
        _say(listener.last_words())
        raise SystemExit(Result.INTERRUPTED.value) from None
    except Exception as error:
        found = ending(error, listener.onward)
        if found is None:
            raise
        status, text = found
        _say(text, style="red" if status == BAD_INPUT or isinstance(error, ProcessLost) else None)
        if isinstance(error, ProcessLost):
            sys.stderr.flush()
            # The usual end would wait for the process that is gone.
            os._exit(status)
        raise SystemExit(status) from None
    finally:
        deaf_at_exit()


def _say(text: str, style: str | None = None) -> None:
    """A message to standard error, as it is."""
    _err.print(text, style=style, markup=False, highlight=False)
