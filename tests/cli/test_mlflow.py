"""A run in an MLflow store: what is logged is what the run folder has, and trouble with the store loses no run."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from small_runs import Command, Finished, config_content, usual_promotion, write_config

from meio_jax.config import load_config, make_config
from meio_jax.errors import InputError
from meio_jax.progress import Silent
from meio_jax.runs.mlflow_log import certificate_metrics, flat_parameters, open_store
from meio_jax.runs.run import run_solve

mlflow = pytest.importorskip("mlflow", reason="needs the extra `mlflow`")
pytest.importorskip("sqlalchemy", reason="needs the extra `mlflow`")
pytest.importorskip("alembic", reason="needs the extra `mlflow`")

# Of the libraries' own: what they use of each other may be out of date.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

EXPERIMENT = "weekly plans"


def section(home: Path, **changes: Any) -> dict[str, Any]:
    store = {"experiment": EXPERIMENT, "uri": f"sqlite:///{home}/mlflow.db", "artifacts": f"file://{home}/files"}
    return {**store, **changes}


@pytest.fixture(scope="module")
def home(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run, and the store that it was logged to."""
    home = tmp_path_factory.mktemp("logged")
    # The library's migrations of a new database would fill the log.
    logging.disable(logging.INFO)
    content = config_content(tiny_folder, home / "run", mlflow=section(home))
    with usual_promotion():
        run_solve(load_config(write_config(home / "config.yaml", content)), Silent())
    yield home
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def logged(home: Path) -> tuple[Any, Any]:
    """The client, and the one run of the experiment."""
    client = mlflow.MlflowClient(tracking_uri=section(home)["uri"])
    experiment = client.get_experiment_by_name(EXPERIMENT)
    (run,) = client.search_runs([experiment.experiment_id])
    return client, run


def test_parameters_are_the_configuration(home: Path, logged: tuple[Any, Any]) -> None:
    resolved = yaml.safe_load((home / "run" / "config.yaml").read_text(encoding="utf-8"))
    found = logged[1].data.params
    assert found["solve.max_steps"] == str(resolved["solve"]["max_steps"]) == "6"
    assert found["policy.name"] == resolved["policy"]["name"]
    assert found == dict(flat_parameters(resolved))


def test_metrics_are_those_of_the_steps_and_of_the_certificate(home: Path, logged: tuple[Any, Any]) -> None:
    client, run = logged
    table = pl.read_parquet(home / "run" / "metrics.parquet").filter(pl.col("cost").is_finite())
    history = client.get_metric_history(run.info.run_id, "search.cost")
    assert sorted((one.step, one.value) for one in history) == sorted(table.select("step", "cost").rows())
    certificate = json.loads((home / "run" / "certificate.json").read_text(encoding="utf-8"))
    assert run.data.metrics["certificate.holdout_cost"] == certificate["holdout_cost"]
    assert run.data.metrics["certificate.cost_terms.holding"] == certificate["cost_terms"]["holding"]
    assert run.data.tags["meio.result"] == certificate["result"]
    assert run.info.status == "FINISHED"


def test_files_are_the_certificate_and_the_tables_of_the_plan(home: Path, logged: tuple[Any, Any]) -> None:
    client, run = logged
    top = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert top == {"certificate.json", "config.yaml", "instance.json", "prices.parquet", "metrics.parquet", "plan"}
    plan = {Path(one.path).name for one in client.list_artifacts(run.info.run_id, "plan")}
    assert plan == {path.name for path in (home / "run" / "plan").iterdir()}
    (copy,) = (home / "files").rglob("orders.parquet")
    assert copy.read_bytes() == (home / "run" / "plan" / "orders.parquet").read_bytes()


def test_tables_may_be_left_out(home: Path, logged: tuple[Any, Any], finished: Finished) -> None:
    client, _ = logged
    config = make_config(mlflow=section(home, experiment="small", tables=False))
    store = open_store(config)
    assert store is not None
    store.log(config, finished.folder, Silent())
    (run,) = client.search_runs([store.experiment])
    assert {one.path for one in client.list_artifacts(run.info.run_id, "plan")} == set()
    assert run.data.params["mlflow.tables"] == "false"


def test_the_name_of_a_run_is_shown_and_not_run(home: Path, logged: tuple[Any, Any], finished: Finished) -> None:
    """The library prints it to the terminal where the store is a server."""
    run = home / "a\x1b[31mred"
    shutil.copytree(finished.folder, run)
    config = make_config(mlflow=section(home, experiment="names", tables=False))
    store = open_store(config)
    assert store is not None
    store.log(config, run, Silent())
    (found,) = logged[0].search_runs([store.experiment])
    assert found.info.run_name == "a\\x1b[31mred"
    assert found.info.status == "FINISHED"


def test_without_an_experiment_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meio_jax.runs.mlflow_log.optional_library", None)
    assert open_store(make_config()) is None


def test_a_missing_library_and_a_wrong_store_are_told_before_the_search(
    tmp_path: Path, tiny_folder: Path, meio: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = section(tmp_path, uri="nosuch://store")
    config = write_config(tmp_path / "c.yaml", config_content(tiny_folder, tmp_path / "run", mlflow=away))
    called = meio("solve", config)
    assert called.status == 2
    assert "mlflow.uri" in called.err
    assert not (tmp_path / "run" / "certificate.json").exists()
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(InputError, match=r"pip install \"meio-jax\[mlflow\]\""):
        open_store(make_config(mlflow=section(tmp_path)))


def test_a_store_that_fails_at_the_end_is_a_warning(home: Path, finished: Finished) -> None:
    class Told(Silent):
        text = ""

        def warning(self, text: str) -> None:
            self.text = text

    config, told = make_config(mlflow=section(home)), Told()
    store = open_store(config)
    assert store is not None

    class Away:
        def create_run(self, *_: object, **__: object) -> None:
            raise ConnectionError("the server is away")

    type(store)(Away(), store.experiment, True, store.begun).log(config, finished.folder, told)
    assert "is complete" in told.text
    assert "the server is away" in told.text


def test_a_password_in_the_file_is_refused() -> None:
    with pytest.raises(InputError, match="MLFLOW_TRACKING_PASSWORD"):
        make_config(mlflow={"experiment": "a", "uri": "https://me:secret@host"})


def test_figures_and_settings_by_dotted_keys() -> None:
    content = {"a": 1, "b": {"c": 2.5, "d": None, "e": [1, 2], "f": float("nan")}, "g": True, "h": "x"}
    assert dict(certificate_metrics(content)) == {"certificate.a": 1.0, "certificate.b.c": 2.5, "certificate.g": 1.0}
    wanted = {"a": "1", "b.c": "2.5", "b.e": "[1, 2]", "b.f": "NaN", "g": "true", "h": "x"}
    assert dict(flat_parameters(content)) == wanted
    assert len(dict(flat_parameters({"k": "y" * 900}))["k"]) == 500
