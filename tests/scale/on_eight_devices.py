"""Run in a process of its own with eight devices: what its steps exchange, and where they lead. Prints JSON."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from launch import OPTIONS, STEPS, instance_in

from meio_jax.config import make_config
from meio_jax.generate import generate_instance
from meio_jax.planner import prepare, search
from meio_jax.scenarios.sampling import TRAINING, purpose_of
from meio_jax.solver.solve import initial_state
from meio_jax.solver.store import part_sweep
from meio_jax.solver.subproblem import SweepInputs
from meio_jax.tables import read_instance

_KINDS = "all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all|collective-broadcast|ragged-all-to-all"
# `%name = f32[3,4]{1,0} all-reduce(...)`; an asynchronous one has `-start` and a `-done` that is not counted.
COLLECTIVE = re.compile(rf"= (\([^=]*\)|\S+) ({_KINDS})(?:-start)?\(")


def collectives(text: str) -> list[tuple[str, str]]:
    """Kind and shape of every collective of a compiled program."""
    return [(kind, re.sub(r"\{[^}]*\}", "", shape)) for shape, kind in COLLECTIVE.findall(text)]


def config(devices: int):
    return make_config(
        scenarios={"train": 16, "per_step": 4},
        solve={"max_steps": STEPS, "min_steps": STEPS, "block_items": 4, "devices": devices, "probe": False},
    )


def exchanged(folder: Path) -> list[tuple[str, str]]:
    model = prepare(read_instance(folder), config(8))
    state = initial_state(model.store, model.method)
    shared = state.shared
    nothing = jnp.zeros((), shared.list_prices.dtype)
    inputs = SweepInputs(shared.list_prices, shared.list_prices, shared.step, purpose_of(TRAINING), nothing)
    lowered = part_sweep.lower(model.problem, model.store.everywhere(inputs), state.items.raw)
    return collectives(lowered.compile().compiled.as_text())


def searched(folder: Path, devices: int) -> dict[str, list]:
    model = prepare(read_instance(folder), config(devices))
    solution = search(model)
    target = model.instance.layout.join(
        np.asarray(model.problem.policy(solution.state.items.plan(solution.improved)).target), OPTIONS.items
    )
    return {
        "cost": [step.cost for step in solution.history],
        "prices": np.asarray(solution.prices).tolist(),
        "target": target.tolist(),
    }


def exchanges(home: Path) -> dict[str, list[tuple[str, str]]]:
    """What a step exchanges with few items and with three times as many."""
    many = generate_instance(OPTIONS.model_copy(update={"items": 3 * OPTIONS.items}), home / "many")
    return {"few": exchanged(instance_in(home)), "many": exchanged(many)}


def searches(home: Path) -> dict[str, dict[str, list]]:
    """Where a search on one device and one on eight end."""
    few = instance_in(home)
    return {"one": searched(few, 1), "eight": searched(few, 8)}


if __name__ == "__main__":
    # Before the first array: JAX counts devices once.
    jax.config.update("jax_num_cpu_devices", 8)
    json.dump({"exchanges": exchanges, "searches": searches}[sys.argv[1]](Path(sys.argv[2])), sys.stdout)
