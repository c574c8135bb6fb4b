"""Training of a network that is saved as it goes: checkpoints, continuing from them to the bit, and warm starts."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from meio_jax.config.settings import ScenarioPart, SolvePart, make_config
from meio_jax.config.values import PolicyChoice, Values
from meio_jax.distributed.processes import all_agree
from meio_jax.dual.augmented import AugmentedPrices
from meio_jax.model.correction import Correction
from meio_jax.objective import AbstractObjective
from meio_jax.objective.expected_cost import ExpectedCost
from meio_jax.planner.learning import (
    Learned,
    LearnOptions,
    Prices,
    begun_at,
    correction_of_state,
    learn_step,
    learned_at,
)
from meio_jax.planner.model import Model, prepare
from meio_jax.planner.searching import search as run_search
from meio_jax.policy import POLICIES
from meio_jax.progress import AbstractProgress, Silent, Step
from meio_jax.runs.checkpoint import Checkpoints, Part, newest, read_items
from meio_jax.runs.portable import SHARED, Basis
from meio_jax.tables import Tables

# Checkpoints that are kept.
_KEEP = 2


def learn_network(
    tables: Tables,
    *,
    start: Correction | None = None,
    options: LearnOptions = LearnOptions(),
    objective: AbstractObjective = ExpectedCost(),
    search: SolvePart = SolvePart(),
    scenarios: ScenarioPart = ScenarioPart(),
    seed: int = 0,
    folder: Path | None = None,
    resume: bool = False,
    progress: AbstractProgress | None = None,
) -> Correction:
    """Train the network of the policy `neural` on an instance.

    Levels and prices are searched with the network as it is, then weights and levels are trained at these prices.

    Args:
        tables: A checked instance; the network suits systems within the range of its items.
        start: The network to go on from; None: one that corrects nothing yet.
        options: Steps, rates, size.
        objective: What is minimised.
        search: Steps of the search that comes first; `devices` is one in any case.
        scenarios: How many scenarios train, and how many of them a step sees.
        seed: Of all scenarios.
        folder: Where checkpoints are kept; None: nowhere.
        resume: Continue from the newest checkpoint of the folder, if there is one.
        progress: Is told of every step; None: nobody is.

    Returns:
        The network. `write_correction` saves it, `policy: {name: neural, correction: FILE}` plans with it.

    Raises:
        InputError: If a checkpoint is of another instance or of other settings.
    """
    told = Silent() if progress is None else progress
    values = Values(PolicyChoice(POLICIES["neural"], correction=start), objective, AugmentedPrices())
    alone = search.model_copy(update={"devices": 1})
    config = make_config(seed=seed, scenarios=scenarios.model_dump(), solve=alone.model_dump())
    model = prepare(tables, values.recorded(config), values=values)
    same = _identity(tables, model, options, start)
    state, prices, history = _begun(model, options, folder if resume else None, same)
    saved = None if folder is None else _writer(model, folder, same)
    now = _trained(model, options, (state, prices), history, told, saved)
    about = {"steps": int(now.step), "seed": seed, "items": len(model.instance.items), "data": same["instance"]}
    return correction_of_state(model, now, options, start, about)


def _trained(
    model: Model,
    options: LearnOptions,
    at: tuple[Learned, Prices],
    history: list[Step],
    progress: AbstractProgress,
    saved: Callable[[Learned, Prices, list[Step]], None] | None,
) -> Learned:
    """Train to the last step, or until told to stop."""
    now, prices = at
    sizes = _sizes(model, options)
    began = time.perf_counter()
    while int(now.step) < options.steps and not progress.should_stop():
        now, cost = learn_step(model.problem, sizes, options, prices, now)
        history.append(_step_of(int(now.step), options, float(cost), time.perf_counter() - began))
        progress.update(history[-1])
        if saved is not None and int(now.step) % options.save_every == 0:
            saved(now, prices, history)
    if saved is not None:
        saved(now, prices, history)
    return now


def _sizes(model: Model, options: LearnOptions) -> tuple[int, ...]:
    known = model.values.policy.correction
    return options.sizes if known is None else known.sizes


def _step_of(step: int, options: LearnOptions, cost: float, seconds: float) -> Step:
    return Step(step, options.steps, seconds, cost=cost, lagrangian=cost, violation=0.0, gap=0.0, change=0.0)


def _begun(
    model: Model, options: LearnOptions, folder: Path | None, same: dict[str, Any]
) -> tuple[Learned, Prices, list[Step]]:
    """Where training begins: at a checkpoint, or at the levels and prices of a search."""
    found = None if folder is None else newest(folder, lambda at: _read(folder, at, model, same), all_agree)
    if found is not None:
        arrays, history = found[0]
        like = _like(model, options)
        return (*_from_arrays(arrays, like), history)
    solution = run_search(model)
    return learned_at(model, solution, options), Prices(solution.prices, solution.list_prices), []


def _like(model: Model, options: LearnOptions) -> tuple[Learned, Prices]:
    """A state of the same structure, before any step."""
    first, none = model.problem.first, model.problem.zero_prices()
    return begun_at(first, model.problem.item_scale.dtype, options), Prices(none, none)


def _arrays(now: Learned, prices: Prices) -> dict[str, np.ndarray]:
    leaves = jax.tree.leaves((now, prices))
    return {f"{SHARED}.{number}": np.asarray(leaf) for number, leaf in enumerate(leaves)}


def _from_arrays(arrays: dict[str, np.ndarray], like: tuple[Learned, Prices]) -> tuple[Learned, Prices]:
    leaves, tree = jax.tree.flatten(like)
    found = [
        jnp.asarray(arrays[f"{SHARED}.{number}"], leaf.dtype).reshape(leaf.shape) if leaf.size else leaf
        for number, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(tree, found)


def _read(
    folder: Path, at: tuple[int, int], model: Model, same: dict[str, Any]
) -> tuple[dict[str, np.ndarray], list[Step]]:
    found = read_items(folder, at, model.instance.items, same)
    return found.arrays, found.history


def _writer(model: Model, folder: Path, same: dict[str, Any]) -> Callable[[Learned, Prices, list[Step]], None]:
    """What writes a checkpoint, and waits until it is whole."""
    own = folder / Part().folder
    own.mkdir(parents=True, exist_ok=True)
    Basis(model.instance.items, {"policy": "learner"}, {}).write(own / "basis.npz")

    def save(now: Learned, prices: Prices, history: list[Step]) -> None:
        writer = Checkpoints(folder, keep=_KEEP, identity=same)
        try:
            writer.save(_arrays(now, prices), history)
        finally:
            writer.close()

    return save


def _identity(tables: Tables, model: Model, options: LearnOptions, start: Correction | None) -> dict[str, Any]:
    """What a checkpoint must agree with: the instance, the network it began with, and all settings."""
    config = model.config.model_dump(mode="json", include={"seed", "scenarios", "solve", "precision", "objective"})
    return {
        "instance": _digest_of(tables),
        "start": None if start is None else f"network {start.digest[:16]}",
        **{f"options.{name}": value for name, value in asdict(options).items() if name != "save_every"},
        **config,
    }


def _digest_of(tables: Tables) -> str:
    """Hash of everything that an instance holds."""
    whole = hashlib.sha256(json.dumps(tables.settings.model_dump(mode="json"), sort_keys=True).encode())
    for name, frame in sorted(tables.frames().items()):
        whole.update(name.encode())
        whole.update(frame.write_csv().encode())
    return whole.hexdigest()[:16]
