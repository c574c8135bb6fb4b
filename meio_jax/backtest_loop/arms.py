"""Who decides: our planner, and the baselines that it is compared with, each every morning from what is known."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

from meio_jax.backtest import PlanTable
from meio_jax.backtest.baselines import BASELINES
from meio_jax.backtest_loop.knowledge import AbstractKnowledge, OwnForecast
from meio_jax.backtest_loop.nervousness import Change, changes
from meio_jax.config.settings import Config
from meio_jax.folders import remove
from meio_jax.items.fixed_levels import FixedLevels
from meio_jax.progress import AbstractProgress
from meio_jax.runs.files import read_certificate
from meio_jax.runs.run import run_solve
from meio_jax.tables import Tables, read_settings, write_instance
from meio_jax.tables.own_files import own_table

OURS, STEADY, CLAIRVOYANT = "meio", "meio_steady", "meio_clairvoyant"


@dataclass(frozen=True)
class Decision:
    """What is done on a day.

    Attributes:
        orders, transfers: Tables to execute exactly; None: `levels` are followed instead.
        levels: A plan whose levels the simulator follows, whole packs and all.
        fulfilment: Prices, protection levels and values of units that customers are served by; None: the cheapest node.
        how: What was computed: `cold`, `warm`, `levels` (decisions at the last plan's levels and prices) or `formula`.
        seconds: Time that it took.
        result: How the solve ended; "" where nothing was solved.
        change: How much was changed of what had been planned the day before; None: not known.
    """

    orders: pl.DataFrame | None = None
    transfers: pl.DataFrame | None = None
    levels: PlanTable | None = None
    fulfilment: PlanTable | None = None
    how: str = "formula"
    seconds: float = 0.0
    result: str = ""
    change: Change | None = None


class AbstractArm(abc.ABC):
    """A way to decide."""

    name: str

    @abc.abstractmethod
    def decide(self, day: int, morning: Tables) -> Decision:
        """Today's decision, from what is known this morning."""


@dataclass
class Baseline(AbstractArm):
    """A baseline, planned anew every morning."""

    name: str
    plan: Callable[[Tables], PlanTable] = field(repr=False)
    knowledge: AbstractKnowledge = OwnForecast()

    def decide(self, day: int, morning: Tables) -> Decision:
        began = time.perf_counter()
        levels = self.plan(self.knowledge.seen(day, morning))
        return Decision(levels=levels, seconds=time.perf_counter() - began)


def baseline(name: str, knowledge: AbstractKnowledge = OwnForecast()) -> Baseline:
    """The baseline of that name."""
    return Baseline(name, partial(BASELINES[name], morning=True), knowledge)


class Planner(AbstractArm):
    """Our planner: a full plan every so many days, warm from the one before; between them its levels and prices.

    Args:
        config: Settings of the solves.
        folder: Where the mornings' instances and the plans are written; the last plan stays.
        every: Days from one plan to the next.
        progress: Where solves report.
        name: What it is called.
        knowledge: What it knows of demand.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        every: int,
        progress: AbstractProgress,
        name: str = OURS,
        knowledge: AbstractKnowledge = OwnForecast(),
    ) -> None:
        output = config.output.model_copy(update={"daily_orders": True})
        # Values of units are read by nobody here, and cost a gradient of the whole catalog every day.
        scenarios = config.scenarios.model_copy(update={"unit_values": 0})
        self.name, self._folder = name, folder
        self._config = config.model_copy(update={"output": output, "scenarios": scenarios})
        self._every, self._progress, self._knowledge = every, progress, knowledge

    def decide(self, day: int, morning: Tables) -> Decision:
        began = time.perf_counter()
        morning = self._knowledge.seen(day, morning)
        if day % self._every:
            levels = self._levels(day - day % self._every)
            found = levels.decide(morning)
            tables, how, result = levels.today(morning), "levels", ""
            change = None
        else:
            how = "warm" if day else "cold"
            result = self._solve(day, morning)
            levels = self._levels(day)
            run = self._plan(day)
            found = {f"plan/{name}": own_table(run, f"plan/{name}") for name in _DECIDED}
            tables = levels.today(morning)
            change = changes(self._plan(day - self._every), run) if day else None
            self._tidy(day)
        protection, prices = tables.get("plan/protection"), tables.get("prices")
        fulfilment = PlanTable(_nothing(), protection, prices, values=tables.get("plan/node_values"))
        seconds = time.perf_counter() - began
        return Decision(
            found["plan/orders"],
            found["plan/transfers"],
            fulfilment=fulfilment,
            how=how,
            seconds=seconds,
            result=result,
            change=change,
        )

    def _solve(self, day: int, morning: Tables) -> str:
        """Plan the day; returns how the solve ended."""
        instance, run = self._instance(day), self._plan(day)
        remove(instance)
        remove(run)
        write_instance(morning, instance)
        part = self._config.instance.model_copy(update={"path": instance, "generate": None, "us": None})
        config = self._config.model_copy(update={"instance": part, "run": run})
        earlier = self._plan(day - self._every) if day else None
        run_solve(config, self._progress, warm_start=earlier)
        return str(read_certificate(run)["result"])

    def _levels(self, day: int) -> FixedLevels:
        return FixedLevels(self._plan(day), read_settings(self._instance(day)))

    def _instance(self, day: int) -> Path:
        return self._folder / "mornings" / f"{day:03d}"

    def _plan(self, day: int) -> Path:
        return self._folder / "plans" / f"{day:03d}"

    def _tidy(self, day: int) -> None:
        """Take away what is older than the last two plans: a day that is not recorded yet may need the one before."""
        for kind in ("mornings", "plans"):
            for path in sorted((self._folder / kind).glob("[0-9]*"))[:-2]:
                if int(path.name) < day:
                    remove(path)


_DECIDED = ("orders", "transfers")


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema={"item_id": pl.String, "node_id": pl.String, "target": pl.Float64})
