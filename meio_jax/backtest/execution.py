"""A world lived day by day by the tables of a plan: `plan/orders` and `plan/transfers`, nothing else.

Every morning the world says what a planner may know (`morning`: the instance of that day), is told what to do
(`execute`, or `follow` for levels), and lives the day (`finish`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from meio_jax.backtest.books import Clock
from meio_jax.backtest.compiled import missing_numba, numba
from meio_jax.backtest.daily import Day, Ledger
from meio_jax.backtest.given import read_given
from meio_jax.backtest.lookup import bad
from meio_jax.backtest.network import read_world
from meio_jax.backtest.options import Options
from meio_jax.backtest.orders import Orders, order_source, read_demand, state_of
from meio_jax.backtest.outcome import Outcome, summarise
from meio_jax.backtest.place import place_orders, ship_transfers
from meio_jax.backtest.plan import PlanTable
from meio_jax.backtest.plan_shares import offer_items
from meio_jax.backtest.simulation import Simulation, blank_shipments
from meio_jax.backtest.state_tables import (
    backlog_table,
    expiries_table,
    observed_history,
    orders_table,
    stock_table,
    transfers_table,
    under_way_table,
)
from meio_jax.backtest.whole import settle
from meio_jax.backtest.window import window
from meio_jax.tables.frames import Frame, as_polars

_NO_TARGETS = pl.DataFrame(schema={"item_id": pl.String, "node_id": pl.String, "target": pl.Float64})


@dataclass(frozen=True)
class Executed:
    """What became of a day's tables: transfers for which the node that ships had too little
    (`item_id, from_node, to_node, units`: the units that did not leave), and orders that vendors refused (`vendor_id,
    node_id`)."""

    short: pl.DataFrame
    refused: pl.DataFrame


class Execution:
    """One world, from the morning of day 0 on.

    Args:
        tables: The instance of day 0 (`meio_jax.tables.Tables`); its stock and goods under way are those of the start.
        days: Days that will be lived at most.
        seed: Master seed; with `replication` it fixes customers, vendors and lanes, whatever is planned.
        replication: Number of the world.
        options: What to enforce, what to keep, recorded data.

    Raises:
        InputError: If recorded data name something that the instance lacks, or numba is missing.

    Example:
        >>> world = Execution(tables, days=2, seed=1)
        >>> _ = world.execute(frames["plan/orders"], frames["plan/transfers"])
        >>> day = world.finish()
        >>> day.units["demand"] >= day.units["shipped"]
        True
    """

    def __init__(
        self, tables: Any, days: int, *, seed: int = 0, replication: int = 0, options: Options = Options()
    ) -> None:
        if numba is None:
            raise missing_numba()
        if days < 1:
            raise bad("execution", "", "days", "at least 1", days, "ask for one or more days")
        self.tables, self.days = tables, days
        lived = window(tables, 0, days)
        self.world = read_world(lived)
        state = state_of(seed, replication)
        demand = read_demand(self.world, lived, options)
        self._source = order_source(self.world, demand, state, options.units_per_order)
        self._simulation = Simulation(self.world, None, options, state)
        self._ledger = Ledger(self._simulation)
        self._asked: list[np.ndarray] = []
        self._clock: Clock | None = None
        self._began = time.perf_counter()
        self._open()

    @property
    def day(self) -> int:
        """The day whose morning it is; `days` once all are lived."""
        return len(self._asked)

    @property
    def sales(self) -> np.ndarray:
        """Units that customers asked for on the days lived, `[days lived, items]`."""
        return np.array(self._asked, np.int64).reshape(len(self._asked), len(self.world.items))

    def morning(self, periods: int | None = None):
        """The instance as a planner finds it this morning, with the day's receipts unloaded (`Tables`).

        What comes later is due on the day on which it is expected, not on the one on which it will arrive. What the
        dock had no room for, and what is late, is due tomorrow. What demand that waits will take is no
        stock (`backlog` says how much waits). Past sales have grown by the days lived.

        Args:
            periods: Horizon, days; None: that of the instance.
        """
        moved = window(self.tables, self.day, self.tables.settings.periods if periods is None else periods)
        changes = {
            "on_hand": stock_table(self._simulation),
            "on_order": under_way_table(self._simulation, self.day),
            # What is owed is taken off stock and off what is under way.
            "backlog": self.tables.backlog.clear(),
            "expiries": expiries_table(self._simulation, self.day),
        }
        if str(self.tables.settings.forecast) == "history":
            changes["forecast"] = observed_history(self.tables, self.world.items, self.sales)
        return moved.replace(**changes)

    def coming(self) -> np.ndarray:
        """Units that customers will ask for on every day of this world, `[days, items]`: nobody may know them."""
        days = [self._source(day) for day in range(self.days)]
        return np.array([self._units_of(orders) for orders in days])

    def backlog(self) -> pl.DataFrame:
        """Demand that waits: `item_id, region_id, speed_id, units`."""
        return backlog_table(self._simulation)

    def execute(self, orders: Frame, transfers: Frame, fulfilment: PlanTable | None = None) -> Executed:
        """Place exactly these purchase orders and ship exactly these transfers.

        Args:
            orders: As `plan/orders`: `item_id, vendor_id, node_id, units`.
            transfers: As `plan/transfers`: `item_id, from_node, to_node, units`. A node ships what it has.
            fulfilment: Protection levels, prices and values of units that today's customers are served by (those of
                bucket 0); None: as yesterday, on the first day none.

        Raises:
            InputError: See `read_given`.
        """
        clock, simulation = self._present(), self._simulation
        supply, world = self.world.supply, self.world
        given = read_given(world, as_polars(orders, "orders"), as_polars(transfers, "transfers"))
        if fulfilment is not None or simulation.levels is None:
            plan = PlanTable(_NO_TARGETS) if fulfilment is None else of_today(fulfilment)
            served = PlanTable(_NO_TARGETS, protection=plan.protection, prices=plan.prices, values=plan.values)
            simulation.levels = served.levels(world)
        out = blank_shipments(len(given.offer) + len(given.lane) * simulation.state.lots.shape[2])
        kept = (simulation.state, simulation.books, out)
        left = given.moved.copy()
        sent = (given.item, given.lane, left)
        network = (world.catalog, world.sites)
        ship_transfers(network, simulation.limited, simulation.supply_side, kept, sent, clock)
        bought = (offer_items(supply)[given.offer], supply.offer_node[given.offer], given.offer, given.bought)
        place_orders(simulation.supply_side, kept, bought, clock)
        _, refused = settle(simulation, [out], clock, blank_shipments, exact=True)
        simulation.send(out, clock)
        some = left > 0
        nodes = pl.Series("node", world.nodes)
        return Executed(
            pl.DataFrame(
                {
                    "item_id": pl.Series("item", world.items).gather(given.item[some]),
                    "from_node": nodes.gather(supply.lane_from[given.lane[some]]),
                    "to_node": nodes.gather(supply.lane_to[given.lane[some]]),
                    "units": left[some],
                }
            ),
            pl.DataFrame(
                [(world.vendors[vendor], world.nodes[node]) for vendor, node in refused],
                schema={"vendor_id": pl.String, "node_id": pl.String},
                orient="row",
            ),
        )

    def follow(self, plan: PlanTable) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Order and ship by the levels of a plan made this morning (those of its bucket 0), on review days.

        Returns:
            What was ordered and what was shipped, as tables for `execute`.
        """
        self._simulation.levels = of_today(plan).levels(self.world)
        self._simulation.desk.usual = plan.usual(self.world)
        done = self._simulation.review(self._present())
        return orders_table(self._simulation, done, self.day), transfers_table(self._simulation, done, self.day)

    def finish(self) -> Day:
        """Serve the day's customers, account, and receive what the next morning brings.

        Returns:
            What the day added to the books; receipts count for the day on whose morning they come.
        """
        clock, simulation = self._present(), self._simulation
        fresh: Orders = self._source(clock.day)
        simulation.serve(fresh, clock)
        simulation.close(clock)
        self._asked.append(self._units_of(fresh))
        done = self._ledger.close(clock.day)
        self._open()
        return done

    def outcome(self) -> Outcome:
        """Costs, service and use of capacities of the days lived."""
        self._simulation.seconds = time.perf_counter() - self._began
        return summarise(self.world, [self._simulation.finished()], self._simulation.options)

    def _units_of(self, orders: Orders) -> np.ndarray:
        return np.bincount(orders.item, orders.units, minlength=len(self.world.items)).astype(np.int64)

    def _open(self) -> None:
        self._clock = None
        if self.day < self.days:
            self._clock = self._simulation.open(self.day)
            self._simulation.receive(self._clock)

    def _present(self) -> Clock:
        if self._clock is None:
            raise bad("execution", "", "days", "a day that is left", self.days, "ask for more days")
        return self._clock


def of_today(plan: PlanTable) -> PlanTable:
    """What a plan says for its first bucket, as a plan for all buckets."""

    def first(table: pl.DataFrame | None) -> pl.DataFrame | None:
        if table is None or "bucket" not in table.columns:
            return table
        return table.filter(pl.col("bucket").is_null() | (pl.col("bucket") == 0)).drop("bucket")

    targets = first(plan.targets)
    assert targets is not None  # a plan has targets
    prices = None if plan.prices is None else first(plan.prices)
    return PlanTable(
        targets,
        protection=first(plan.protection),
        prices=prices,
        shares=first(plan.shares),
        values=first(plan.values),
        sizes=plan.sizes,
        vendors=plan.vendors,
        echelon=plan.echelon,
        name=plan.name,
        chosen=plan.chosen,
        other=None if plan.other is None else of_today(plan.other),
    )
