"""Every file in `configs/` loads, and the resolved form loads to the same value."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from small_runs import write_config

import meio_jax
from meio_jax.config import dump_config, load_config, make_config
from meio_jax.errors import InputError

CONFIGS = sorted((Path(meio_jax.__file__).parents[1] / "configs").glob("*.yaml"))


def test_there_are_configurations() -> None:
    named = {path.stem: path for path in CONFIGS}
    assert {"base", "quickstart", "us_small", "us_full"} <= set(named)
    for size in ("small", "full"):
        us = load_config(named[f"us_{size}"]).instance.us
        assert us is not None
        assert us.size == size


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_loads_and_resolves(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(dump_config(config), encoding="utf-8")
    assert load_config(resolved) == config
    assert not config.run.is_absolute()
    assert not config.instance.path.is_absolute()


def test_every_objective_has_a_configuration() -> None:
    from meio_jax.objective import OBJECTIVES

    assert {load_config(path).objective.name for path in CONFIGS} == set(OBJECTIVES)


def test_own_keys_override_the_base_level_by_level(tmp_path: Path) -> None:
    write_config(
        tmp_path / "low.yaml",
        {"instance": {"path": "a"}, "run": "b", "seed": 3, "solve": {"max_steps": 9, "gap": 0.5}},
    )
    high = write_config(tmp_path / "high.yaml", {"base": "low.yaml", "solve": {"gap": 0.25}})
    config = load_config(high)
    assert (config.seed, config.solve.max_steps, config.solve.gap) == (3, 9, 0.25)


def test_frozen(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path / "c.yaml", {"instance": {"path": "a"}, "run": "b"}))
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 4


def test_seeds_are_not_negative() -> None:
    """Blocks of items for the slack are drawn by a generator that takes no negative seed."""
    with pytest.raises(InputError, match="key seed: found -1; expected a value greater than or equal to 0"):
        make_config(seed=-1)
    assert make_config(seed=2**63 - 1).seed == 2**63 - 1
