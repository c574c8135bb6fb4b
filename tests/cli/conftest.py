"""One finished run of the tiny instance, shared by the tests that only look at it."""

from pathlib import Path

import pytest
from small_runs import Command, Finished, config_content, usual_promotion, write_config
from tiny import tiny_tables

from meio_jax.config import load_config
from meio_jax.progress import Silent
from meio_jax.runs.run import run_solve
from meio_jax.tables import write_instance


@pytest.fixture
def meio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_instance(tiny_tables(), tmp_path_factory.mktemp("tiny") / "instance")


@pytest.fixture(scope="session")
def finished(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    home = tmp_path_factory.mktemp("finished")
    config = write_config(home / "config.yaml", config_content(tiny_folder, home / "run"))
    with usual_promotion():
        plan = run_solve(load_config(config), Silent())
    return Finished(home / "run", config, plan)
