"""The one place that wires things: configuration and instance folder in, run folder out."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import jax

from meio_jax.checkpoint import Checkpoints
from meio_jax.config import Config, dump_config, load_config
from meio_jax.errors import InputError, Problem
from meio_jax.generate import generate_instance
from meio_jax.planner import Model, Plan, certify, prepare, search
from meio_jax.progress import AbstractProgress, Step
from meio_jax.solve import State, Trace, initial_state
from meio_jax.tables import Tables, read_instance, write_table, write_text

_IRRELEVANT = ("run", "checkpoint")


def instance_digest(folder: Path) -> str:
    """Hash of the files of an instance folder."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def ensure_instance(config: Config, progress: AbstractProgress) -> Path:
    """The instance folder; generated first if it does not exist and the configuration says how."""
    folder = config.instance.path
    if (folder / "instance.yaml").exists():
        return folder
    if config.instance.generate is not None:
        progress.stage(f"generating the instance {folder}")
        return generate_instance(config.instance.generate, folder)
    if config.instance.us is not None:
        from meio_jax.generate.us import build_us_instance

        progress.stage(f"building the US instance {folder}")
        options = config.instance.us
        return build_us_instance(
            options.data,
            folder,
            options.size,
            seed=options.seed,
            form=options.form,
            periods=options.periods,
            tightness=options.tightness,
        )
    remedy = config.instance.hint or "check `instance.path`, or give `instance.generate`"
    raise InputError([Problem(str(folder), "", "instance.path", None, "an instance folder", remedy)])


def _identity(config: Config, digest: str) -> dict[str, Any]:
    """What a checkpoint must agree with: every setting that changes numbers, and the instance."""
    settings = {k: v for k, v in config.model_dump(mode="json").items() if k not in _IRRELEVANT}
    flat = {"instance digest": digest, "devices": "any"}
    for key, value in settings.items():
        flat.update({f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value})
    flat.pop("instance.path", None)
    return flat


def configure_jax(config: Config) -> None:
    """Precision and compilation cache, before any array is made."""
    jax.config.update("jax_enable_x64", config.precision == "float64")


def load_tables(config: Config, progress: AbstractProgress) -> tuple[Tables, Path]:
    """Read and validate the instance of a configuration."""
    folder = ensure_instance(config, progress)
    return read_instance(folder), folder


def run_solve(
    config: Config, progress: AbstractProgress, *, resume: bool = False, warm_start: Path | None = None
) -> Plan:
    """Solve a configuration and write its run folder.

    Args:
        config: The configuration.
        progress: Where to report.
        resume: Continue from the newest readable checkpoint of the run folder.
        warm_start: Run folder whose parameters and prices the search starts from.

    Raises:
        InputError: If the instance or configuration is wrong; then nothing has been written.
    """
    configure_jax(config)
    tables, folder = load_tables(config, progress)
    progress.stage("preparing arrays and scenarios")
    model = prepare(tables, config)
    if not resume:
        _fresh(config.run)
    config.run.mkdir(parents=True, exist_ok=True)
    digest = instance_digest(folder)
    counts = {"items": tables.items.height, "nodes": tables.nodes.height, "regions": tables.regions.height}
    write_text(dump_config(config), config.run / "config.yaml")
    write_text(
        json.dumps({"digest": digest, "name": tables.settings.name, "path": str(folder), **counts}, indent=1),
        config.run / "instance.json",
    )
    solution = _search_with_checkpoints(model, config, digest, progress, resume)
    finished = certify(model, solution, progress=progress)
    write_plan(finished, config.run)
    return finished


def _fresh(folder: Path) -> None:
    """Take away what an earlier run left in the folder, so that no table of it can be mistaken for this run's."""
    for name in ("plan", "checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("certificate.json", "prices.parquet", "metrics.parquet", "report.html"):
        (folder / name).unlink(missing_ok=True)


def _search_with_checkpoints(model: Model, config: Config, digest: str, progress: AbstractProgress, resume: bool):
    state: State = initial_state(model.problem, model.method)
    history: list[Step] = []
    if not config.checkpoint.every and not resume:
        return search(model, state, progress=progress)
    checkpoints = Checkpoints(
        config.run / "checkpoints",
        every=config.checkpoint.every,
        keep=config.checkpoint.keep,
        identity=_identity(config, digest),
    )
    try:
        if resume:
            state, history, notes = checkpoints.restore(state)
            for note in notes:
                progress.stage(note)
            progress.stage(f"continuing after step {int(state.step)}")
        seen = list(history)

        def on_step(now: State, step: Step, trace: Trace) -> None:
            del trace
            seen.append(step)
            checkpoints.on_step(now, seen)
            if progress.should_stop():
                checkpoints.save(now, seen)

        solution = search(model, state, progress=progress, on_step=on_step, history=tuple(history))
        checkpoints.save(solution.state, solution.history)
        return solution
    finally:
        checkpoints.close()


def write_plan(plan: Plan, folder: Path) -> None:
    """Write all tables of a plan and its certificate, each under a temporary name first."""
    (folder / "plan").mkdir(parents=True, exist_ok=True)
    for name, frame in plan.frames().items():
        write_table(frame, folder / f"{name}.parquet")
    text = json.dumps(_plain(plan.certificate.as_dict()), indent=1, allow_nan=False)
    write_text(text, folder / "certificate.json")


def _plain(value: Any) -> Any:
    """JSON has no infinities and no NaN: they become null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value


def config_of_run(run: Path) -> Config:
    """The configuration that a run folder was made with, pointed at that folder."""
    return load_config(run / "config.yaml").model_copy(update={"run": run})


def read_certificate(run: Path) -> dict[str, Any]:
    """The certificate of a run.

    Raises:
        InputError: If the folder holds no finished run.
    """
    path = run / "certificate.json"
    if not path.exists():
        problem = Problem(str(path), "", "", None, "the certificate of a finished run", "give the folder of a run")
        raise InputError([problem])
    return json.loads(path.read_text(encoding="utf-8"))
