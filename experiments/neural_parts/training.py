"""Training of one network on drawn systems with lost sales; none of the 32 systems that it is judged on is among them.

Costs of a system are divided by about what it costs, so that all systems count alike; that changes no best policy.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np
from truth_families.laws import Law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build

import meio_jax as mj
from meio_jax.progress import AbstractProgress, Step
from meio_jax.tables import Tables

SYSTEMS, PERIODS, WARMUP, SEED = 96, 72, 12, 7
MEANS, PENALTIES, LEADS, DISPERSIONS, POISSON = (2.0, 12.0), (3.0, 50.0), (1, 5), (0.0, 1.3), 0.35
SCENARIOS = {"train": 2048, "per_step": 8, "holdout": 16, "clairvoyant": 0, "unit_values": 0}
SEARCH = {"max_steps": 60, "min_steps": 60, "decay_steps": 60, "learning_rate": 0.05, "block_items": SYSTEMS}
QUIET = {"slack_items": 0, "feasibility_steps": 0, "confirm": False, "probe": False}


def tables(count: int = SYSTEMS) -> Tables:
    """One item for each drawn system: mean, dispersion and penalty from ranges, a lead time of 1 to 5 periods."""
    rng, items, offers, laws = np.random.default_rng(SEED), [], [], {}
    for number in range(count):
        mean, penalty = np.exp(rng.uniform(*np.log(MEANS))), np.exp(rng.uniform(*np.log(PENALTIES)))
        dispersion = 0.0 if rng.uniform() < POISSON else rng.uniform(*DISPERSIONS)
        lead, name = int(rng.integers(LEADS[0], LEADS[1] + 1)), f"system {number}"
        about = np.sqrt(mean + dispersion * mean**2) * (1 + np.log1p(penalty)) / 2
        items.append(Item(name, {"site": 1.0}, 1 / about, penalty / about))
        offers.append(Offer(name, "site", lead))
        laws[name] = Law(mean, dispersion, "negative_binomial")
    settings = {"name": "drawn", "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
    more = {"forecast": "mean", "terminal_credit": 0.0, "stationary_targets": True, "ordering": "morning"}
    return build(Setting(settings | more, [Site("site")], items, offers, mean_forecast(laws, PERIODS)))


class _Told(AbstractProgress):
    """Prints the mean cost of every hundred steps."""

    def __init__(self) -> None:
        self._costs: list[float] = []

    def update(self, step: Step) -> None:
        self._costs.append(step.cost)
        if step.step % 100 == 0:
            print(f"step {step.step}: cost {np.mean(self._costs[-100:]):.4f} of the start's ({step.seconds:.0f} s)")
            sys.stdout.flush()


def train(path: Path, folder: Path | None, steps: int, *, quick: bool, start: Path | None) -> dict:
    """Train a network and write it; what it took.

    Args:
        path: File of the network that is written.
        folder: Where checkpoints are kept, and training is continued from if there are some; None: nowhere.
        steps: Steps of the optimiser.
        quick: Few systems.
        start: File of the network to go on from; None: from nothing.
    """
    began, processor = time.perf_counter(), time.process_time()
    found = mj.learn_network(
        tables(SYSTEMS // 8 if quick else SYSTEMS),
        start=None if start is None else mj.read_correction(start),
        options=mj.LearnOptions(steps=steps),
        search=mj.SearchOptions(**SEARCH, **QUIET),
        scenarios=mj.ScenarioOptions(**SCENARIOS),
        folder=folder,
        resume=folder is not None,
        progress=_Told(),
    )
    mj.write_correction(found, path)
    return {
        "digest": found.digest[:16],
        "steps": steps,
        "systems": SYSTEMS,
        "scenarios_per_step": SCENARIOS["per_step"],
        "periods": PERIODS,
        "weights": len(found.vector()),
        "seconds": round(time.perf_counter() - began, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
