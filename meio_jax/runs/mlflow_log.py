"""A finished run in an MLflow store: configuration, metrics by step, certificate, and the tables of the plan."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl

from meio_jax.config.settings import Config
from meio_jax.errors import InputError, Note, Problem, first_line, visible
from meio_jax.progress import AbstractProgress
from meio_jax.results import Result
from meio_jax.runs.data import read_table
from meio_jax.runs.files import read_certificate
from meio_jax.tables.extras import optional_library

# The most that a store takes at once, and the longest value of a parameter that every store takes.
_PARAMETERS, _METRICS, _LONGEST = 100, 1000, 500
_FILES = ("certificate.json", "config.yaml", "instance.json", "prices.parquet", "metrics.parquet")
_ENDED = {Result.INTERRUPTED: "KILLED", Result.NUMERICAL_FAILURE: "FAILED"}


@dataclass(frozen=True)
class MlflowStore:
    """An experiment of an MLflow store that is open for runs."""

    client: Any
    experiment: str
    tables: bool
    begun: int

    def log(self, config: Config, run: Path, progress: AbstractProgress) -> None:
        """Log a finished run; where the store fails now, a warning says so, and the run folder is as it is.

        Args:
            config: The configuration of the run, as resolved.
            run: Its folder.
            progress: Where to report.
        """
        from mlflow.exceptions import MlflowException

        progress.stage("logging to MLflow")
        try:
            self._log(config, run)
        except (MlflowException, OSError) as error:
            progress.warning(
                f"{run} is complete, but MLflow took it in part or not at all: {first_line(error)[:_LONGEST]}"
            )

    def _log(self, config: Config, run: Path) -> None:
        from mlflow.entities import Metric, Param

        certificate = read_certificate(run)
        tags = {
            "meio.result": str(certificate["result"]),
            "meio.version": metadata.version("meio-jax"),
            "meio.folder": str(run.resolve()),
        }
        # The library prints the name to the terminal when a run in a store of HTTP ends.
        name = visible(run.resolve().name)
        made = self.client.create_run(self.experiment, start_time=self.begun, tags=tags, run_name=name).info.run_id
        ended = "FAILED"
        try:
            parameters = [Param(key, value) for key, value in flat_parameters(config.model_dump(mode="json"))]
            for some in _batches(parameters, _PARAMETERS):
                self.client.log_batch(made, params=some)
            now = int(time.time() * 1000)
            found = [Metric(key, value, now, 0) for key, value in certificate_metrics(certificate)]
            found += [Metric(key, value, self.begun + at, step) for key, value, at, step in _by_step(run)]
            for some in _batches(found, _METRICS):
                self.client.log_batch(made, metrics=some)
            for file in _FILES:
                if (run / file).is_file():
                    self.client.log_artifact(made, str(run / file))
            if self.tables:
                self.client.log_artifacts(made, str(run / "plan"), "plan")
            ended = _ENDED.get(Result[certificate["result"]], "FINISHED")
        finally:
            self.client.set_terminated(made, ended)


def open_store(config: Config) -> MlflowStore | None:
    """The store that a configuration names; None where it names none.

    Raises:
        InputError: If the library is missing, or the store cannot be reached or has no room for the experiment.
    """
    part = config.mlflow
    if not part.experiment:
        return None
    # The library tells its makers how it is used, unless it is told not to.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    library = optional_library("mlflow", "mlflow", "configuration, mlflow.experiment", "to log to MLflow")
    from mlflow.exceptions import MlflowException

    try:
        client = library.MlflowClient(tracking_uri=part.uri)
        known = client.get_experiment_by_name(part.experiment)
        place = known.experiment_id if known else client.create_experiment(part.experiment, part.artifacts)
    except (MlflowException, OSError, ImportError) as error:
        expected = "an MLflow store that can be reached"
        remedy = "correct mlflow.uri (or MLFLOW_TRACKING_URI), or leave mlflow.experiment out"
        where = part.uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        problem = Problem(
            "configuration", "", "mlflow.uri", Note(f"{where}: {first_line(error)[:_LONGEST]}"), expected, remedy
        )
        raise InputError([problem]) from None
    return MlflowStore(client, str(place), part.tables, int(time.time() * 1000))


def flat_parameters(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Settings by their dotted keys, as texts; those that are left empty are left out, long ones are cut."""
    for key, value in content.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from flat_parameters(value, f"{name}.")
        elif value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            yield name, text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def certificate_metrics(content: Mapping[str, Any], above: str = "certificate.") -> Iterator[tuple[str, float]]:
    """Figures of a certificate by their dotted keys; of lists (intervals, violations) nothing."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from certificate_metrics(value, f"{above}{key}.")
        elif isinstance(value, int | float) and math.isfinite(value):
            yield f"{above}{key}", float(value)


def _by_step(run: Path) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, milliseconds since the start, and step of every figure of the search."""
    table = read_table(run, "metrics")
    names = [name for name, kind in table.schema.items() if kind.is_numeric() and name not in ("step", "seconds")]
    for row in table.select(pl.col("step", "seconds", *names)).iter_rows(named=True):
        for name in names:
            if row[name] is not None and math.isfinite(row[name]):
                yield f"search.{name}", float(row[name]), int(1000 * row["seconds"]), int(row["step"])


def _batches(rows: list[Any], most: int) -> Iterable[list[Any]]:
    return (rows[first : first + most] for first in range(0, len(rows), most))
