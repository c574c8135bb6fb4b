"""Runs that are written in one folder and taken over by another."""

from __future__ import annotations

import json
from pathlib import Path

from meio_jax.config.settings import dump_config, load_config
from meio_jax.runs.files import read_json
from meio_jax.tables import write_text


def say_where(run: Path, place: Path, folder: Path) -> None:
    """Let a run in `place` say where it and its instance will be once `folder` takes it over."""
    later = lambda path: folder / path.relative_to(place) if path.is_relative_to(place) else path
    about = read_json(run / "instance.json", "what a plan says of its instance")
    places = {name: str(later(Path(about[name]))) for name in ("path", "warm_start") if name in about}
    write_text(json.dumps({**about, **places}, indent=1), run / "instance.json")
    config = load_config(run / "config.yaml")
    instance = config.instance.model_copy(update={"path": later(config.instance.path)})
    moved = config.model_copy(update={"instance": instance, "run": later(config.run)})
    write_text(dump_config(moved), run / "config.yaml")
