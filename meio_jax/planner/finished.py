"""A finished plan, and its tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from meio_jax.certify.certificate import Certificate
from meio_jax.certify.docks import QueuedDocks
from meio_jax.certify.holdout import Holdout
from meio_jax.certify.unit_values import UnitValues
from meio_jax.instance import Instance
from meio_jax.planner.model import Model
from meio_jax.plans.tables import plan_frames, shared_frames
from meio_jax.policy import AbstractPolicy
from meio_jax.results import Result
from meio_jax.solver.solve import Solution


@dataclass(frozen=True)
class PartPlan:
    """The plan of a part of the catalog: parameters in units, holdout results, and what units in stock are worth.

    `number` is that of the part among all; of a catalog in memory that of the process that has it. `overrides` is the
    table `plan/overrides`, None where nothing is overridden.
    """

    number: int
    instance: Instance
    policy: AbstractPolicy
    holdout: Holdout
    values: UnitValues | None = None
    overrides: pl.DataFrame | None = None


@dataclass(frozen=True)
class Plan:
    """A finished plan: solution, holdout results of all items together, certificate, and its parts.

    There is one part for a catalog in memory. The parts of a larger one are passed on as they are judged
    (`certify(receive=...)`), and none is kept. `docks` is what waits at docks that queue; None where nothing does.
    """

    model: Model
    solution: Solution
    holdout: Holdout
    certificate: Certificate
    parts: tuple[PartPlan, ...] = ()
    earlier_prices: np.ndarray | None = None
    docks: QueuedDocks | None = None

    @property
    def result(self) -> Result:
        """How the solve ended."""
        return Result[self.certificate.result]

    @property
    def policy(self) -> AbstractPolicy:
        """Parameters of a catalog in memory, in units."""
        return self.parts[0].policy

    @property
    def values(self) -> UnitValues | None:
        """What units in stock are worth, of a catalog in memory; None where that was not asked for."""
        return self.parts[0].values

    def frames(self) -> dict[str, pl.DataFrame]:
        """All result tables by the name they have in a run folder (`plan/targets`, `prices`, ...).

        Example:
            >>> result.frames()["plan/targets"].select("item_id", "node_id").unique().height
            4
        """
        (whole,) = self.parts
        return dict([*part_frames(self.model, self.solution, whole, self.earlier_prices), *self.shared_frames()])

    def shared_frames(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The tables that do not grow with the catalog."""
        rounds = self.model.problem.settings.rounds
        return shared_frames(self.model.instance, self.solution, self.holdout, rounds, self.docks)


def part_frames(
    model: Model, solution: Solution, part: PartPlan, earlier_prices: np.ndarray | None = None
) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables of a part by the name they have in a run folder."""
    return plan_frames(
        part.instance,
        part.policy,
        solution,
        part.holdout,
        values=part.values,
        daily=model.config.output.daily_orders,
        exceptions=model.config.exceptions,
        # Capacities are looked at once, and where all usage is known.
        earlier_prices=None if model.streamed or part.number else earlier_prices,
        overrides=part.overrides,
        settings=model.problem.settings,
        part=model.streamed or len(part.instance.items) < part.instance.census.items,
    )
