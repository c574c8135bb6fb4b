"""The configuration of an instance folder that comes without one: every setting at its default."""

from __future__ import annotations

from pathlib import Path

from meio_jax.config.settings import Config, load_config, make_config
from meio_jax.errors import InputError, Note, Problem, visible
from meio_jax.tables.settings import SETTINGS_FILE

RUNS = Path("runs")
"""Folder, in the working directory, that takes the runs of instances without a configuration file."""


def config_of(path: Path) -> Config:
    """The configuration that a command is given: a file, or the folder of an instance.

    Args:
        path: A configuration file, or an instance folder, whose run goes to `runs/` and the name of the folder.

    Raises:
        InputError: With one problem per wrong or unknown key; if a folder holds no instance.
    """
    if not path.is_dir():
        return load_config(path)
    if not (path / SETTINGS_FILE).is_file():
        expected = f"a configuration file, or the folder of an instance (with {SETTINGS_FILE})"
        remedy = "check the path; docs/format.md says what an instance holds"
        raise InputError([Problem(str(path), "", "", Note(f"a folder without {SETTINGS_FILE}"), expected, remedy)])
    name = path.resolve().name or "instance"
    return make_config(instance={"path": path}, run=RUNS / name)


def defaults_text(config: Config, run: Path) -> str:
    """What a command that was given an instance folder takes for the settings that nobody gave.

    Args:
        config: All settings, at their defaults.
        run: Folder that is written.
    """
    given = visible(str(config.instance.path))
    return (
        f"No configuration file: policy {config.policy.name}, objective {config.objective.name}, dual method "
        f"{config.dual.name}, at most {config.solve.max_steps} steps, {config.scenarios.holdout} holdout scenarios, "
        f"seed {config.seed}. Results go to {visible(str(run))}. To change a setting, write it in a YAML file with "
        f"`instance: {{path: {given}}}` and `run: FOLDER`, and give that file in place of the folder."
    )
