"""Past sales of some items side by side, and the calendar that they and the horizon lie on."""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from meio_jax.tables.periods import (
    PERIODS_PER_CYCLE,
    PERIODS_PER_YEAR,
    PHASES,
    PeriodLength,
    period_date,
    year_phases,
)


@dataclass(frozen=True)
class Calendar:
    """Past and horizon: `past` periods end where the horizon of `horizon` periods begins, on the day `start`."""

    length: PeriodLength
    start: datetime.date
    past: int
    horizon: int

    @property
    def year(self) -> int:
        """Periods of a year."""
        return PERIODS_PER_YEAR[self.length]

    @property
    def phases(self) -> int:
        """Parts of the year that a season tells apart."""
        return PHASES[self.length]

    @property
    def cycle(self) -> int:
        """Periods of the short cycle: 7 for days, else 1."""
        return PERIODS_PER_CYCLE[self.length]

    def past_phases(self) -> Int[np.ndarray, " past"]:
        """Part of the year of every period of the past."""
        return year_phases(self.start, -self.past, 0, self.length)

    def horizon_phases(self) -> Int[np.ndarray, " horizon"]:
        """Part of the year of every period of the horizon."""
        return year_phases(self.start, 0, self.horizon, self.length)

    def weekdays(self) -> Int[np.ndarray, " all"]:
        """Place in the short cycle of past and horizon; 0 for the first period of the horizon."""
        return np.arange(-self.past, self.horizon) % self.cycle


@dataclass(frozen=True)
class Regressors:
    """What is known to move demand, over past and horizon.

    Attributes:
        events: For every event by name, where it takes place. A first axis of one: for all items.
        log_price: Logarithm of price over the item's usual price; 0 where no price is known.
    """

    events: dict[str, Bool[np.ndarray, "#items all"]]
    log_price: Float[np.ndarray, "items all"] | None = None

    def until(self, periods: int) -> Regressors:
        """The first periods only."""
        price = None if self.log_price is None else self.log_price[:, :periods]
        return Regressors({name: where[:, :periods] for name, where in self.events.items()}, price)


@dataclass(frozen=True)
class Panel:
    """Past sales, oldest first.

    Attributes:
        names: Ids of the items.
        units: Sales by period.
        known: Where sales are demand: from the item's first sale on, and all period on the shelf.
        calendar: Dates of past and horizon.
        least: Sales of periods in which the item ran out: a lower bound of demand; 0 elsewhere.
        regressors: Events and prices.
    """

    names: list[str]
    units: Float[np.ndarray, "items past"]
    known: Bool[np.ndarray, "items past"]
    calendar: Calendar
    least: Float[np.ndarray, "items past"]
    regressors: Regressors

    @property
    def sold(self) -> Float[np.ndarray, "items past"]:
        """Sales where they are demand, else 0."""
        return np.where(self.known, self.units, 0.0)

    def cut(self, periods: int) -> Panel:
        """As it was `periods` ago, with those periods as the horizon."""
        kept = self.calendar.past - periods
        first = period_date(self.calendar.start, -periods, self.calendar.length)
        return dataclasses.replace(
            self,
            units=self.units[:, :kept],
            known=self.known[:, :kept],
            least=self.least[:, :kept],
            calendar=Calendar(self.calendar.length, first, kept, periods),
            regressors=self.regressors.until(kept + periods),
        )


def make_panel(
    names: list[str],
    units: Float[np.ndarray, "items past"],
    available: Bool[np.ndarray, "items past"],
    calendar: Calendar,
    regressors: Regressors | None = None,
) -> Panel:
    """A panel of sales as recorded.

    An item counts from its first sale on: before it, nobody knows whether it was on offer.

    Args:
        names: Ids of the items.
        units: Recorded sales by period.
        available: False where the item was out of stock: sales are a lower bound of demand.
        calendar: Dates; `calendar.past` is the second axis of `units`.
        regressors: Events and prices, if any.
    """
    started = np.cumsum(units > 0, axis=1) > 0
    least = np.where(~available, units, 0.0)
    return Panel(names, units, available & started, calendar, least, regressors or Regressors({}))
