"""What to simulate and what to keep."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from meio_jax.backtest.lookup import bad

Enforcement = Literal["day", "bucket", "measure"]
Outbound = Literal["day", "queue", "bucket", "measure"]


@dataclass(frozen=True)
class Options:
    """Options of a simulation. The defaults enforce every physical capacity on every day.

    Attributes:
        storage, inbound, outbound: `day`: the capacity of a day holds on every day; `bucket` (flows only):
            days of a bucket may lend each other capacity (an average, as the planner counts it); `measure`:
            no limit, only counted.
            Goods that find no room at a dock or in a hall wait outside; an order that a node cannot ship any
            more goes to the next cheapest node, or with `outbound: queue` waits there and leaves on a later day: it is
            late, costs as a backorder meanwhile, and is held in the hall.
        ordering: when nodes order up to the levels of a plan: in the `evening`, on what the day's sales have
            left, or in the `morning` before them (as tables are executed).
        actual: recorded sales to use instead of the forecast: `item_id`, `units` and `period` or `ds`. They
            are split over regions, speeds and waves by the item's shares.
        orders: recorded orders to use instead: `item_id, region_id, speed_id, day, hour` and, if not 1,
            `units`.
        lead_times: recorded vendor lead times: `vendor_id`, `day` (of the order) and `days`; others are
            sampled.
        deliveries: recorded short deliveries: `vendor_id`, `day` (of the order) and `share` of it that arrives. What is
            missing is not paid for and never comes; who ordered learns of it when the rest arrives.
        short_deliveries: (chance, share): where nothing is recorded, an order arrives short with that chance, and
            then with that share of its units.
        units_per_order: units of one sampled order (1: every unit is an order of its own).
        rounding: to packs: `nearest`, or `up`.
        small_orders: what becomes of an order that is too small for its vendor (table `vendors`): it is refused and
            asked for again at the next review (`refuse`), or filled up (`fill`).
        detail: keep units and outbound cost by item, node and speed, and promises kept by item and speed.
        chunk_items: items reviewed at a time (bounds memory).
    """

    storage: Literal["day", "measure"] = "day"
    inbound: Enforcement = "day"
    outbound: Outbound = "day"
    ordering: Literal["evening", "morning"] = "evening"
    actual: pl.DataFrame | None = None
    orders: pl.DataFrame | None = None
    lead_times: pl.DataFrame | None = None
    deliveries: pl.DataFrame | None = None
    short_deliveries: tuple[float, float] = (0.0, 1.0)
    units_per_order: int = 1
    rounding: Literal["nearest", "up"] = "nearest"
    small_orders: Literal["refuse", "fill"] = "refuse"
    detail: bool = False
    chunk_items: int = 100_000

    def __post_init__(self) -> None:
        choices = {
            "storage": ("day", "measure"),
            "inbound": ("day", "bucket", "measure"),
            "outbound": ("day", "queue", "bucket", "measure"),
            "rounding": ("nearest", "up"),
            "ordering": ("evening", "morning"),
            "small_orders": ("refuse", "fill"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise bad(
                    "options",
                    "",
                    name,
                    f"one of {', '.join(known)}",
                    getattr(self, name),
                    "change the option",
                )
        if not all(0 <= part <= 1 for part in self.short_deliveries):
            found, remedy = self.short_deliveries, "change the option"
            raise bad("options", "", "short_deliveries", "a chance and a share, each from 0 to 1", found, remedy)
        for name in ("units_per_order", "chunk_items"):
            if getattr(self, name) < 1:
                raise bad("options", "", name, "1 or more", getattr(self, name), "change the option")

    @classmethod
    def unlimited(cls, **changes) -> "Options":
        """Options under which capacities are measured and never bind."""
        return cls(storage="measure", inbound="measure", outbound="measure", **changes)
