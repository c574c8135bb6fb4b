"""The sweep over items: independent of how items are cut into blocks, and compiled once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from tiny import tiny_tables

import meio_jax.subproblem
from meio_jax.config import Config
from meio_jax.planner import Model, prepare
from meio_jax.solve import State, Trace, initial_state, joint_step

# float32 sums over three items in another order, hundreds of units.
ROUNDING = 2e-5


def model(block_items: int) -> Model:
    config = Config.model_validate(
        {
            "instance": {"path": "none"},
            "run": "none",
            "scenarios": {"train": 3, "per_step": 3, "holdout": 3, "clairvoyant": 0},
            "fulfilment": {"weight_bands": 1},
            "solve": {"block_items": block_items},
        }
    )
    return prepare(tiny_tables(), config)


def stepped(one: Model, steps: int) -> tuple[State, Trace]:
    with jax.numpy_dtype_promotion("standard"):
        state = initial_state(one.problem, one.method)
        for _ in range(steps):
            state, trace = joint_step(one.problem, one.method, one.kind_of, state)
    return state, trace


@pytest.fixture(scope="module")
def wide() -> Model:
    return model(3)


def test_block_size_changes_nothing(wide: Model) -> None:
    """Items one by one, and two ambient items with a padding item that must not be charged."""
    narrow = model(1)
    assert float(wide.instance.catalog.block.live.min()) == 0
    assert float(narrow.instance.catalog.block.live.min()) == 1
    ours, theirs = stepped(wide, 2)[1], stepped(narrow, 2)[1]
    size = float(jnp.abs(ours.evaluation.value))
    close(ours.evaluation.value, theirs.evaluation.value, tolerance=ROUNDING)
    close(ours.evaluation.terms, theirs.evaluation.terms, tolerance=ROUNDING, of=size)
    close(ours.evaluation.excess, theirs.evaluation.excess, tolerance=ROUNDING, of=100)
    join = lambda one, leaf: one.instance.layout.join(np.asarray(leaf), 3)
    close(join(wide, wide.problem.first.target), join(narrow, narrow.problem.first.target), tolerance=ROUNDING)


def test_the_joint_step_compiles_once(wide: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    original = meio_jax.subproblem.rollout

    def counted(*arguments: object, **options: object):
        traced.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr(meio_jax.subproblem, "rollout", counted)
    state, _ = stepped(wide, 1)
    first = len(traced)
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(3):
            state, _ = joint_step(wide.problem, wide.method, wide.kind_of, state)
    assert len(traced) == first
