"""Stages in series with backorders: echelon base-stock against Clark and Scarf (1960).

Lead times of the table are those of the planner: an order placed at the end of period t arrives at the start of
t + L, so that L periods of demand pass before the cost of that period is counted. Stages hold stock at local rates
(sums of the echelon rates from the stage up). With convention `textbook` the cost includes stock on its way between
stages, at the rate of the stage that ships; with `hdpo` it does not.

Lead times that are fractions of the unit of time make the period shorter: demand of a period and lead times are
scaled, rates stay, and the average cost of a period is still the cost per unit of time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from meio_jax.tables import Tables
from truth_families.laws import Law, law, mean_forecast
from truth_families.network import Item, Offer, Setting, Site, build
from truth_families.plan import Effort, cost_rates, find_plan
from truth_families.results import Result
from truth_families.rows import Row, TruthError

NAME = "serial"
EFFORT = Effort(train=2048, per_step=64, holdout=2**15, first_steps=400, second_steps=150)
PERIODS, WARMUP = 400, 100
TOLERANCE_PCT = 0.5
CONVENTIONS = ("textbook", "hdpo")


@dataclass(frozen=True)
class Chain:
    """A row in the units of the planner: stages downstream to upstream, demand and lead times per period."""

    holding: list[float]
    leads: list[int]
    demand: Law
    pipeline: bool

    @property
    def uncounted(self) -> float:
        """Holding cost of the shift of demand (see `Law`) on its way between stages."""
        on_way = sum(rate * lead for rate, lead in zip(self.holding[1:], self.leads[:-1], strict=True))
        return self.demand.shift * on_way if self.pipeline else 0.0


def common_period(leads: Sequence[Fraction]) -> Fraction:
    """The longest period of which every lead time is a whole multiple."""
    below = math.lcm(*(lead.denominator for lead in leads))
    return Fraction(math.gcd(*(int(lead * below) for lead in leads)), below)


def chain(row: Row) -> Chain:
    """A row in the units of the planner.

    Raises:
        TruthError: If the row is not a serial system.
    """
    leads, rates = row.fractions("lead_times"), row.numbers("echelon_holding")
    if len(leads) != len(rates) or min(leads) <= 0:
        raise TruthError(f"{row.file}, line {row.line}: expected a lead time > 0 for every echelon holding rate")
    if row.text("convention") not in CONVENTIONS:
        raise TruthError(f"{row.file}, line {row.line}, column `convention`: expected one of {', '.join(CONVENTIONS)}")
    period = common_period(leads)
    size = float(period)
    # Poisson and normal demand of a part of a period; other laws only come with whole periods.
    sd = row.number("demand_2") * math.sqrt(size) if row.has("demand_2") else None
    return Chain(
        holding=[sum(rates[stage:]) for stage in range(len(rates))],
        leads=[int(lead / period) for lead in leads],
        demand=law(row.text("demand"), row.number("demand_1") * size, sd),
        pipeline=row.text("convention") == "textbook",
    )


def tables(row: Row) -> Tables:
    """The instance of a row."""
    one = chain(row)
    stages = [f"stage-{number}" for number in range(1, len(one.leads) + 1)]
    base = one.holding[0]
    settings = {"name": row.text("instance"), "periods": PERIODS, "bucket_periods": PERIODS, "warmup_periods": WARMUP}
    rules = {"terminal_credit": 0.0, "stationary_targets": True, "pipeline_holding": one.pipeline}
    return build(
        Setting(
            settings={**settings, **rules, "forecast": "mean"},
            sites=[
                Site(name, holding_factor=rate / base, sells=name == stages[0])
                for name, rate in zip(stages, one.holding, strict=True)
            ],
            items=[Item("item", {stages[0]: 1.0}, base, row.number("penalty"), unmet="backorder")],
            offers=[Offer("item", stages[-1], one.leads[-1])],
            forecast=mean_forecast({"item": one.demand}, PERIODS),
            lanes=[
                (above, below, lead) for below, above, lead in zip(stages[:-1], stages[1:], one.leads[:-1], strict=True)
            ],
        )
    )


def run(rows: Sequence[Row], *, quick: bool, report: Callable[[Result], None]) -> None:
    """Echelon base-stock on every row."""
    for row in rows:
        started = time.perf_counter()
        plan = find_plan(tables(row), "echelon", EFFORT.quick() if quick else EFFORT)
        mean, half = cost_rates(plan)
        ours, spread = float(mean[0]) - chain(row).uncounted, float(half[0])
        name = f"{row.text('instance')} ({row.text('convention')})"
        seconds = time.perf_counter() - started
        interval = (ours - spread, ours + spread)
        report(Result(NAME, name, row.number("cost"), ours, interval, TOLERANCE_PCT, seconds))
