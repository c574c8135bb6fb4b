"""Commands that take a configuration take the folder of an instance as well."""

import shutil
from pathlib import Path

import pytest
from small_runs import SOLVE, Command, write_config

import meio_jax.runs.run as runs
from meio_jax.config import ScenarioPart, SolvePart, config_of, load_config


@pytest.fixture
def shop(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance folder `shop` in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(tiny_folder, tmp_path / "shop"))


def test_a_folder_stands_for_the_file_with_nothing_but_its_path(shop: Path) -> None:
    written = write_config(shop.parent / "c.yaml", {"instance": {"path": "shop"}, "run": "runs/shop"})
    assert config_of(Path("shop")) == config_of(written) == load_config(written)
    assert config_of(Path("shop/../shop/.")).run == Path("runs/shop")


def test_solve_says_the_defaults_and_names_the_run(meio: Command, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = runs.run_solve

    def short(config, *words, **more):
        part = ScenarioPart(train=6, per_step=3, holdout=6, clairvoyant=0, unit_values=0)
        few = SolvePart(**SOLVE, slack_items=0, probe=False)
        return whole(config.model_copy(update={"scenarios": part, "solve": few}), *words, **more)

    monkeypatch.setattr(runs, "run_solve", short)
    called = meio("solve", "shop")
    assert called.status in (0, 3), called.err
    for part in ("No configuration file", "policy base_stock", "at most 300 steps", "seed 0", "go to runs/shop"):
        assert part in called.err, part
    assert load_config(Path("runs/shop/config.yaml")).instance.path == Path("shop")
    again = meio("solve", "shop", "--quiet")
    assert again.status == 2
    assert "runs/shop" in again.err
    assert "--overwrite" in again.err


def test_a_folder_without_an_instance_is_told(meio: Command, tmp_path: Path) -> None:
    for command in ("solve", "backtest"):
        called = meio(command, tmp_path)
        assert called.status == 2
        assert "instance.yaml" in called.err
