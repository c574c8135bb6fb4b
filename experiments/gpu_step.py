"""Question: how long does a joint step take on the device at hand, and which share of its bandwidth does it reach?

    python experiments/gpu_step.py --out experiments/results/gpu_step.json

Generated catalogs (5 + 30 + 15 nodes, 100 regions, 3 speeds, 4 weeks) of growing size are made ready as a solve does
it, and the part of a joint step that simulates the items is run some times. `bytes` and `launches` are counted in the
program that runs (`gpu_parts/count.py`; of a CPU program they mean little); the bandwidth beside them is a triad's.
Preference rounds are one kernel (`fused`) or several (`sparse`); on the device at hand both must give the same totals.
With `--instance` a folder is measured in place of generated catalogs, by the settings of `--config`.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import equinox as eqx
import jax
import numpy as np
import typer
from gpu_parts.count import count
from gpu_parts.timing import seconds_of, triad
from provenance import provenance
from rich.console import Console
from rich.table import Table

from meio_jax.config import Config, load_config, make_config
from meio_jax.generate import GenerateOptions, generate_instance
from meio_jax.planner import Model, prepare
from meio_jax.solver.solve import _moment, initial_state
from meio_jax.solver.store import part_step
from meio_jax.tables import Tables, read_instance

SIZES, PER_STEP = (500, 5_000), 16
AGREEMENT = 1e-4
FORMS = ("fused", "sparse")


@dataclass(frozen=True)
class Row:
    """Seconds of a step are the least of some; `bandwidth_share` is of the triad measured beside it."""

    items: int
    form: str
    block_items: int
    blocks: int
    launches: int
    bytes: int
    compile_s: float
    step_s: float
    bandwidth_share: float
    cost: float


def with_form(config: Config, form: str) -> Config:
    """The configuration on one device, in a form of the preference rounds."""
    changes = {"solve": {"devices": 1}, "fulfilment": {"form": form}, "scenarios": {"store_gib": 0.0}}
    parts = {name: getattr(config, name).model_copy(update=change) for name, change in changes.items()}
    return config.model_copy(update=parts)


def tables_of(items: int) -> Tables:
    """A generated catalog."""
    options = GenerateOptions(
        items=items, nodes_per_tier=(5, 30, 15), regions=100, speeds=3, waves=1, periods=28, vendors=40
    )
    with TemporaryDirectory() as folder:
        return read_instance(generate_instance(options, Path(folder)))


def models_of(items: int, instance: Path | None, config: Path | None) -> list[Model]:
    """A generated catalog, or that of a folder, ready to solve in both forms."""
    few = {"train": PER_STEP, "per_step": PER_STEP}
    settings = make_config(scenarios=few) if config is None else load_config(config)
    tables = tables_of(items) if instance is None else read_instance(instance)
    return [prepare(tables, with_form(settings, form)) for form in FORMS]


def program_of(model: Model) -> tuple[Any, Any, float]:
    """The compiled part of a joint step that simulates the items, its arrays, and the seconds of its compilation."""
    state = initial_state(model.store, model.method)
    at = _moment(model.method, model.store.damping, state.shared)
    arrays, static = eqx.partition((model.problem, state.items, at), eqx.is_array)
    program = jax.jit(lambda arrays: part_step(*eqx.combine(arrays, static)))
    begun = time.perf_counter()
    return program.lower(arrays).compile(), arrays, time.perf_counter() - begun


def measure(model: Model, form: str, ready: tuple[Any, Any, float], bandwidth: float, repeats: int) -> Row:
    """One catalog in one form."""
    compiled, arrays, compile_s = ready
    seconds = float(seconds_of(lambda: compiled(arrays), repeats).min())
    whole = count(compiled.as_text())
    blocks, each = model.problem.catalog.keys.shape[:2]
    return Row(
        items=len(model.instance.items),
        form=form,
        block_items=each,
        blocks=blocks,
        launches=whole.launches,
        bytes=whole.bytes,
        compile_s=compile_s,
        step_s=seconds,
        bandwidth_share=whole.bytes / seconds / bandwidth,
        cost=float(compiled(arrays)[0].value),
    )


def show(rows: list[Row]) -> Table:
    """The rows as a table."""
    table = Table(*Row.__dataclass_fields__)
    for row in rows:
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in asdict(row).values()))
    return table


def main(
    out: Annotated[Path | None, typer.Option(help="JSON file of the results.")] = None,
    items: Annotated[list[int] | None, typer.Option(help="Catalog sizes; default 500, 5,000.")] = None,
    repeats: Annotated[int, typer.Option(help="Timed steps.")] = 5,
    instance: Annotated[Path | None, typer.Option(help="Instance folder; default: generated catalogs.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration of the folder's solve.")] = None,
) -> None:
    """Measure and write."""
    bandwidth, rows = triad(), []
    for size in [0] if instance is not None else items or SIZES:
        models = models_of(size, instance, config)
        with ThreadPoolExecutor(len(models)) as pool:
            ready = list(pool.map(program_of, models))
        given = zip(models, FORMS, ready, strict=True)
        both = [measure(model, form, one, bandwidth, repeats) for model, form, one in given]
        rows += both
        Console(width=160).print(show(both))
        if not np.isclose(both[0].cost, both[1].cost, rtol=AGREEMENT):
            raise SystemExit(f"{size} items: the forms differ, cost {both[0].cost} and {both[1].cost}")
    command = " ".join(["python", "experiments/gpu_step.py", *sys.argv[1:]])
    about = {"command": command, "date": time.strftime("%Y-%m-%d"), **provenance()}
    if out is not None:
        report = {**about, "triad_bytes_per_s": bandwidth, "rows": [asdict(row) for row in rows]}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
